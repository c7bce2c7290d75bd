//! What the hub does not have, or does not give.

use dml_models::hub::{HubError, HubToken};

use super::*;

fn said(error: &HubError, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn names_that_there_are_not() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let commit = hub.push(NAME, &[("config.json", b"{}")]);
    let own = model(&hub, cache.path());

    let error = own.file("model.safetensors").unwrap_err();
    assert!(
        matches!(error, HubError::File { status: 404, .. }),
        "{error}"
    );
    said(&error, &[NAME, "(main)", "model.safetensors", "404"]);
    // The cache remembers it, as huggingface_hub's does.
    let root = cache.path().join("models--owner--name");
    assert!(
        root.join(".no_exist")
            .join(&commit)
            .join("model.safetensors")
            .is_file()
    );

    let wrong = own.clone().revision("v9");
    for error in [
        wrong.download().unwrap_err(),
        wrong.file("config.json").unwrap_err(),
    ] {
        assert!(
            matches!(error, HubError::Revision { status: 404, .. }),
            "{error}"
        );
        said(&error, &[NAME, "(v9)", "no such revision"]);
    }

    let nobody = HubModel::new("no/body").config(config(&hub, cache.path()));
    for error in [
        nobody.download().unwrap_err(),
        nobody.file("x").unwrap_err(),
    ] {
        let is_unknown = matches!(
            error,
            HubError::Repository {
                status: 401,
                has_token: false,
                ..
            }
        );
        assert!(is_unknown, "{error}");
        said(&error, &["no/body", "private", "HF_TOKEN"]);
    }

    let error = own.download().unwrap_err();
    assert!(matches!(error, HubError::NoWeights { .. }), "{error}");
    hub.push(NAME, &[("open_clip_model.safetensors", b"")]);
    said(
        &own.download().unwrap_err(),
        &["open_clip_model.safetensors", "HubModel::file"],
    );
    // None of it is tried again.
    assert!(hub.starts().is_empty());
}

#[test]
fn gates_and_tokens() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    {
        let mut state = hub.state();
        state.gated.push(NAME.to_owned());
        state.token = Some("hf_good".to_owned());
    }
    let with = |token: &str| {
        let mut config = config(&hub, cache.path());
        config.token = HubToken::new(token);
        HubModel::new(NAME).config(config)
    };
    let error = with("").download().unwrap_err();
    assert!(
        matches!(
            error,
            HubError::Gated {
                status: 401,
                has_token: false,
                ..
            }
        ),
        "{error}"
    );
    said(&error, &[NAME, "accept its conditions", "set HF_TOKEN"]);
    let error = with("hf_bad").download().unwrap_err();
    assert!(
        matches!(error, HubError::Token { status: 401, .. }),
        "{error}"
    );
    said(&error, &["HF_TOKEN", "Invalid credentials"]);
    assert!(!error.to_string().contains("hf_bad"));
    with("hf_good").download().unwrap();

    hub.state().refusals = vec![(403, "X-Error-Message: Forbidden by plan.\r\n")];
    let error = with("hf_good").download().unwrap_err();
    assert!(
        matches!(error, HubError::Token { status: 403, .. }),
        "{error}"
    );
    said(&error, &["Forbidden by plan."]);
}

#[test]
fn refusals_that_may_pass_are_tried_again() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let contents = one_file(&hub, 100);
    hub.state().refusals = vec![(429, "Retry-After: 1\r\n"), (503, "")];
    let path = model(&hub, cache.path()).file("model.safetensors").unwrap();
    assert_eq!(fs::read(path).unwrap(), contents);

    let other = tempfile::tempdir().unwrap();
    hub.state().refusals = vec![(500, ""); 3];
    let error = model(&hub, other.path())
        .file("model.safetensors")
        .unwrap_err();
    assert!(
        matches!(error, HubError::Status { status: 500, .. }),
        "{error}"
    );
    said(&error, &[NAME, "model.safetensors", "500", &hub.endpoint()]);
}

#[test]
fn arguments_are_checked_before_anything_is_asked() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let own = |name: &str| HubModel::new(name).config(config(&hub, cache.path()));
    for name in ["", "a/b/c", "../etc", "a--b", "http://x/y"] {
        said(
            &own(name).download().unwrap_err(),
            &["repository: expected owner/name"],
        );
    }
    for name in ["", "../x", "/etc/passwd", "a\\b"] {
        said(
            &own(NAME).file(name).unwrap_err(),
            &["file: expected the path"],
        );
        said(
            &own(NAME).revision(name).download().unwrap_err(),
            &["revision: expected a branch"],
        );
    }
    let mut config = config(&hub, cache.path());
    config.endpoint = "huggingface.co".to_owned();
    let error = HubModel::new(NAME).config(config).download().unwrap_err();
    said(&error, &["endpoint: expected an address"]);
    assert!(hub.asked().is_empty() && files(cache.path()).is_empty());
}
