//! Requests that are refused, each with its status and one sentence.

mod bodies;

use dml_eval::{Collection, FlatIndex};
use dml_serve::{Edits, Server};
use serde_json::json;

use crate::service::{Service, color_server, png};

#[test]
fn wrong_requests_get_their_status_and_one_sentence() {
    let service = Service::start(color_server().edits(Edits::Allowed));
    let json_type = [("content-type", "application/json")];
    let table: &[(&str, &str, &str, u16, &str)] = &[
        (
            "POST",
            "/search",
            "",
            400,
            "body: EOF while parsing a value",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\"",
            400,
            "body: EOF while parsing",
        ),
        (
            "POST",
            "/search",
            "{\"text\": 1}",
            400,
            "body: text: invalid type: integer `1`",
        ),
        (
            "POST",
            "/search",
            "{\"txt\": \"red\"}",
            400,
            "body: txt: unknown field `txt`",
        ),
        (
            "POST",
            "/search",
            "{}",
            400,
            "expected one of image, text, vector and id, got none",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"k\": 0}",
            400,
            "k: expected 1 to 1000, got 0",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"k\": 1.5}",
            400,
            "body: k: invalid type: floating point",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"k\": 99999999999999999999}",
            400,
            "body: k: ",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"filter\": \"price >\"}",
            400,
            "filter, at byte 7: expected a text in quotes, a number",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"filter\": \"colour = 1\"}",
            400,
            "attribute colour: no item has it; there are family, path, price",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"filter\": \"price = \\\"x\\\"\"}",
            400,
            "attribute price: ",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"red\", \"filter\": {\"eq\": 1}}",
            400,
            "filter: ",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"mauve\"}",
            422,
            "text: no color \"mauve\"",
        ),
        (
            "POST",
            "/search",
            "{\"text\": \"long\"}",
            422,
            "query: expected a vector of 3 numbers, got 4",
        ),
        (
            "POST",
            "/search",
            "{\"vector\": []}",
            422,
            "query: expected a vector of 3 numbers, got 0",
        ),
        (
            "POST",
            "/search",
            "{\"vector\": [1, 2]}",
            422,
            "query: expected a vector of 3 numbers, got 2",
        ),
        (
            "POST",
            "/search",
            "{\"vector\": [1, 2, 1e40]}",
            400,
            "body: vector[2]: number out of range",
        ),
        (
            "POST",
            "/search",
            "{\"id\": \"mauve\"}",
            404,
            "id: no item \"mauve\"",
        ),
        ("POST", "/search", "{\"id\": 7}", 404, "id: no item \"7\""),
        ("POST", "/search", "{\"id\": [7]}", 400, "body: id: "),
        (
            "POST",
            "/embed",
            "{\"text\": \" \"}",
            400,
            "text: expected a text",
        ),
        (
            "POST",
            "/embed",
            "{\"vector\": [1]}",
            400,
            "body: vector: unknown field",
        ),
        (
            "POST",
            "/items",
            "{\"items\": []}",
            400,
            "items: expected 1 to 10000, got 0",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"a\", \"vector\": [1, 2]}]}",
            422,
            "items[0]: expected a vector of 3 numbers, got 2",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"\", \"vector\": [1, 2, 3]}]}",
            400,
            "ids[0]: expected a text",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"a\", \"vector\": [1, 2, 3], \"attributes\": {\"price\": \"x\"}}]}",
            400,
            "attribute price: ",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"a\", \"vector\": [1, 2, 3]}, {\"id\": \"a\", \"vector\": [1, 2, 3]}]}",
            400,
            "id a: given twice",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"a\", \"vector\": [1, 2, 3]}, {\"id\": \"b\", \"vector\": [1, 2]}]}",
            422,
            "items[1]: expected a vector of 3 numbers, got 2",
        ),
        (
            "POST",
            "/items",
            "{\"items\": [{\"id\": \"a\", \"text\": \"mauve\"}]}",
            422,
            "text: no color",
        ),
        (
            "DELETE",
            "/items",
            "{\"ids\": []}",
            400,
            "ids: expected 1 to 10000, got 0",
        ),
        ("DELETE", "/items/mauve", "", 404, "id: no item \"mauve\""),
        ("GET", "/items/mauve", "", 404, "id: no item \"mauve\""),
        (
            "GET",
            "/items?limit=0",
            "",
            400,
            "limit: expected 1 to 10000, got 0",
        ),
        ("GET", "/items?limit=x", "", 400, "query: "),
        ("GET", "/items?offset=-1", "", 400, "query: "),
        ("GET", "/items?order=up", "", 400, "query: "),
        ("GET", "/items?filter=price", "", 400, "filter, at byte 5: "),
        (
            "GET",
            "/items?filter=colour%20%3D%201",
            "",
            400,
            "attribute colour: no item has it",
        ),
        ("GET", "/items/green?vector=maybe", "", 400, "query: "),
        (
            "GET",
            "/items/green/picture",
            "",
            404,
            "picture: this service has no pictures",
        ),
        (
            "GET",
            "/items/green/thumbnail?size=5",
            "",
            400,
            "size: expected 16 to 1024, got 5",
        ),
        (
            "GET",
            "/pairs",
            "",
            404,
            "pairs: this service has no hard pairs",
        ),
        ("GET", "/pairs?kind=odd", "", 400, "query: "),
        (
            "GET",
            "/pairs/0/a/thumbnail",
            "",
            404,
            "pair: no pair \"0\"",
        ),
        (
            "GET",
            "/nowhere",
            "",
            404,
            "no route \"/nowhere\"; `/openapi.json` lists them",
        ),
        (
            "GET",
            "/search",
            "",
            405,
            "\"/search\": expected a method of the header `Allow`, got GET",
        ),
        ("PUT", "/items", "", 405, "\"/items\": expected a method"),
        ("BREW", "/items", "", 405, "\"/items\": expected a method"),
        ("POST", "/", "", 405, "\"/\": expected a method"),
    ];
    for (method, path, body, status, sentence) in table {
        let answer = service.send(method, path, &json_type, body.as_bytes());
        let (got, code, message) = answer.problem();
        assert_eq!(got, *status, "{method} {path} {body}: {message}");
        assert!(
            message.starts_with(sentence),
            "{method} {path} {body}: {message}"
        );
        assert!(
            !code.is_empty() && !message.contains('\n') && message.len() < 400,
            "{message}"
        );
        if got == 405 {
            assert!(!answer.header("allow").is_empty());
        }
    }
    // None of them has changed anything.
    assert_eq!(service.get("/items").json()["total"], 5);
}

#[test]
fn what_a_service_lacks_is_said() {
    let service = Service::start(Server::builder(Collection::new(FlatIndex::default())));
    let (status, code, message) = service.post("/search", &json!({"text": "red"})).problem();
    assert_eq!((status, code.as_str()), (501, "unavailable"));
    assert_eq!(message, "text: this service has no model for texts");
    let image = service.send(
        "POST",
        "/embed",
        &[("content-type", "image/png")],
        &png([0, 0, 0]),
    );
    assert_eq!(
        image.problem().2,
        "image: this service has no model for images"
    );
}

#[test]
fn a_model_that_fails_or_panics_fails_for_its_request_alone() {
    let service = Service::start(color_server());
    for text in ["fail", "panic", "fail"] {
        let (status, code, message) = service.post("/search", &json!({"text": text})).problem();
        assert_eq!((status, code.as_str()), (500, "internal"));
        assert!(
            !message.contains("secret") && !message.contains("purpose"),
            "{message}"
        );
    }
    assert_eq!(
        service
            .post("/search", &json!({"text": "red", "k": 1}))
            .ids(),
        ["red/1"]
    );
    assert_eq!(service.get("/health/ready").status, 200);
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let service = Service::start(color_server());
    let with_host = |host: &str| service.send("GET", "/items", &[("host", host)], &[]);
    for host in ["localhost", "localhost:1234", "127.0.0.1"] {
        assert_eq!(with_host(host).status, 200, "{host}");
    }
    let (status, code, message) = with_host("evil.example").problem();
    assert_eq!((status, code.as_str()), (421, "host"));
    assert_eq!(
        message,
        "host: expected a name of this service, got `\"evil.example\"`"
    );
    let cross = [
        ("content-type", "application/json"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(
        service
            .send("POST", "/search", &cross, b"{\"text\": \"red\"}")
            .problem()
            .0,
        403
    );
    let named = Service::start(color_server().hosts(["search.example"]));
    let of = |host: &str| named.send("GET", "/items", &[("host", host)], &[]).status;
    assert_eq!((of("search.example"), of("localhost")), (200, 421));
}

#[test]
fn a_token_is_asked_for_everywhere_but_on_the_page_and_for_health() {
    let service = Service::start(color_server().token("secret-7"));
    for path in [
        "/",
        "/openapi.json",
        "/health",
        "/health/live",
        "/health/ready",
    ] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    for path in [
        "/collection",
        "/items",
        "/items/green",
        "/items/green/picture",
        "/metrics",
        "/pairs",
    ] {
        let answer = service.get(path);
        let (status, code, _) = answer.problem();
        assert_eq!((status, code.as_str()), (401, "unauthorized"), "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(service.post("/search", &json!({"text": "red"})).status, 401);
    let wrong = service.send(
        "GET",
        "/items",
        &[("authorization", "Bearer secret-8")],
        &[],
    );
    assert_eq!(wrong.status, 401);
    let service = service.with_token("secret-7");
    assert_eq!(service.get("/items").status, 200);
    assert_eq!(service.get("/metrics").status, 200);
}
