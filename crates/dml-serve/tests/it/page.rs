//! The page and the description over HTTP.

use serde_json::Value;

use crate::service::{Service, color_server};

#[test]
fn the_page_is_one_file_with_a_policy_of_its_own() {
    let service = Service::start(color_server());
    let page = service.get("/");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().starts_with("<!doctype html>"));
    assert!(page.text().contains("<title>Colors &lt;1&gt;</title>"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("x-frame-options"), "DENY");
}

#[test]
fn described_routes_answer() {
    let service = Service::start(color_server());
    let description: Value = service.get("/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    for path in description["paths"].as_object().unwrap().keys() {
        let path = path
            .replace("{id}", "green")
            .replace("{number}", "0")
            .replace("{side}", "a");
        // No route has this method; status 405 shows that the path exists.
        assert_eq!(service.send("PATCH", &path, &[], &[]).status, 405, "{path}");
    }
}
