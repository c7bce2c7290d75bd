//! Without a network: what the cache has.

use dml_models::hub::HubError;

use super::*;

fn offline(hub: &Hub, cache: &Path) -> HubModel {
    let mut config = config(hub, cache);
    config.offline = true;
    HubModel::new(NAME).config(config)
}

#[test]
fn what_was_downloaded_is_there() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    let folder = model(&hub, cache.path()).download().unwrap();
    let before = hub.asked().len();
    let again = offline(&hub, cache.path()).download().unwrap();
    assert_eq!((again.path(), again.is_confirmed()), (folder.path(), false));
    assert_eq!(embeddings(&again), embeddings(&folder));
    let at_commit = offline(&hub, cache.path()).revision(folder.commit());
    assert!(at_commit.download().unwrap().is_confirmed());
    let path = offline(&hub, cache.path()).file("config.json").unwrap();
    assert_eq!(path, folder.path().join("config.json"));
    assert_eq!(hub.asked().len(), before);
}

#[test]
fn what_is_missing_is_an_error_that_names_it() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    for error in [
        offline(&hub, cache.path()).download().unwrap_err(),
        offline(&hub, cache.path()).file("config.json").unwrap_err(),
    ] {
        assert!(matches!(error, HubError::NotCached { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("HF_HUB_OFFLINE") && text.contains(NAME),
            "{text}"
        );
    }
    let folder = model(&hub, cache.path()).download().unwrap();
    // One file of a whole folder, gone since.
    fs::remove_file(folder.path().join("1_Pooling/config.json")).unwrap();
    let error = offline(&hub, cache.path())
        .download()
        .unwrap_err()
        .to_string();
    assert!(error.contains("1_Pooling/config.json"), "{error}");
    assert!(offline(&hub, cache.path()).file("config.json").is_ok());
    // The next download brings it back without a transfer of the weights.
    let again = model(&hub, cache.path()).download().unwrap();
    assert_eq!(embeddings(&again), embeddings(&folder));
    assert_eq!(hub.starts(), [None]);
}

/// Another program fetched the network alone: an encoder without its modules would have another pooling.
#[test]
fn a_folder_without_a_list_of_files_must_say_whether_there_are_modules() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    let own = model(&hub, cache.path());
    for name in ["config.json", "model.safetensors"] {
        own.file(name).unwrap();
    }
    let error = offline(&hub, cache.path())
        .download()
        .unwrap_err()
        .to_string();
    assert!(error.contains("modules.json"), "{error}");
    assert!(error.contains("does not know whether the repository has this file"));
    // With the modules, it is known what else there has to be.
    own.file("modules.json").unwrap();
    own.file("1_Pooling/config.json").unwrap();
    assert!(offline(&hub, cache.path()).download().is_ok());

    // A repository that has none, which the cache has heard of.
    let plain = tempfile::tempdir().unwrap();
    one_file(&hub, 100);
    let own = model(&hub, plain.path());
    own.file("model.safetensors").unwrap();
    assert!(offline(&hub, plain.path()).download().is_err());
    assert!(own.file("modules.json").is_err());
    assert!(offline(&hub, plain.path()).download().is_ok());
    let error = offline(&hub, plain.path())
        .file("modules.json")
        .unwrap_err();
    assert!(matches!(error, HubError::File { .. }), "{error}");
}

#[test]
fn a_hub_that_cannot_be_reached_leaves_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::start(|_| Trouble::No);
    push_encoder(&hub);
    let own = model(&hub, cache.path());
    let folder = own.download().unwrap();
    let other = HubModel::new("other/name").config(config(&hub, cache.path()));
    // A hub in trouble, then none.
    hub.state().refusals = vec![(502, "")];
    assert!(!own.download().unwrap().is_confirmed());
    drop(hub);
    let again = own.download().unwrap();
    assert_eq!((again.path(), again.is_confirmed()), (folder.path(), false));
    assert_eq!(
        own.file("config.json").unwrap(),
        folder.path().join("config.json")
    );
    for error in [
        other.download().unwrap_err(),
        own.file("absent").unwrap_err(),
    ] {
        assert!(
            matches!(error, HubError::Unreachable { attempts: 3, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
    }
}

/// What the hub says about a name counts, whatever the cache has.
#[test]
fn a_repository_that_is_gone_is_an_error() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    push_encoder(&hub);
    model(&hub, cache.path()).download().unwrap();
    hub.state().repositories.clear();
    let error = model(&hub, cache.path()).download().unwrap_err();
    assert!(matches!(error, HubError::Repository { .. }), "{error}");
}
