//! Servers that answer as no hub does.

use dml_models::hub::HubError;

use super::*;

#[test]
fn headers_become_no_paths() {
    let above = "../../../../stolen";
    for (name, value) in [
        ("X-Linked-Etag", format!("\"{above}\"")),
        ("X-Linked-Etag", "\"/etc/stolen\"".to_owned()),
        ("X-Repo-Commit", above.to_owned()),
        ("X-Repo-Commit", String::new()),
        ("Location", "file:///etc/passwd".to_owned()),
        ("Location", "//127.0.0.1/x".to_owned()),
        ("Location", String::new()),
    ] {
        let (hub, outside) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
        one_file(&hub, 100);
        hub.state().headers = vec![(name, value.clone())];
        let cache = outside.path().join("cache");
        let error = model(&hub, &cache).file("model.safetensors").unwrap_err();
        assert!(
            matches!(error, HubError::Answer { .. }),
            "{name} {value}: {error}"
        );
        let (text, name) = (error.to_string().to_lowercase(), name.to_lowercase());
        assert!(
            text.contains(name.trim_start_matches("x-linked-")),
            "{error}"
        );
        assert!(
            files(outside.path())
                .iter()
                .all(|name| name.ends_with(".lock"))
        );
    }
}

#[test]
fn lists_of_files_lead_nowhere_else() {
    let (hub, outside) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let cache = outside.path().join("cache");
    let contents = bytes(100);
    hub.push(
        NAME,
        &[("../../stolen", b"x"), ("model.safetensors", &contents)],
    );
    model(&hub, &cache).download().unwrap();
    for (name, text) in [
        ("modules.json", r#"[{"path": "../.."}]"#),
        (
            "model.safetensors.index.json",
            r#"{"weight_map": {"a": "../../x"}}"#,
        ),
    ] {
        hub.push(NAME, &[(name, text.as_bytes())]);
        let error = model(&hub, &cache).download().unwrap_err();
        assert!(matches!(error, HubError::Answer { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let names = files(outside.path());
    assert!(
        names.iter().all(|name| name.starts_with("cache/")),
        "{names:?}"
    );
}

#[test]
fn endless_redirections_and_other_servers_are_errors() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    hub.push(NAME, &[("config.json", b"{}")]);
    hub.state().headers = vec![("Location", format!("/{NAME}/resolve/main/config.json"))];
    let error = model(&hub, cache.path()).file("config.json").unwrap_err();
    assert!(matches!(error, HubError::Answer { .. }), "{error}");
    assert!(error.to_string().contains("redirections"), "{error}");
    assert!(hub.asked().len() < 20);

    // A server that knows nothing of hubs.
    hub.state().headers.clear();
    hub.state().refusals = vec![(200, "Content-Type: text/html\r\n"); 2];
    for error in [
        model(&hub, cache.path()).download().unwrap_err(),
        model(&hub, cache.path()).file("config.json").unwrap_err(),
    ] {
        assert!(matches!(error, HubError::Answer { .. }), "{error}");
        assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_the_cache_is_not_written_through() {
    let (hub, cache) = (
        Hub::start(|_| Trouble::DropAt(10)),
        tempfile::tempdir().unwrap(),
    );
    one_file(&hub, 100);
    let own = model(&hub, cache.path());
    assert!(own.file("model.safetensors").is_err());
    let (part, precious) = (part_of(cache.path()), cache.path().join("precious"));
    fs::write(&precious, "precious").unwrap();
    fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&precious, &part).unwrap();
    let error = own.file("model.safetensors").unwrap_err();
    assert!(matches!(error, HubError::Io { .. }), "{error}");
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}
