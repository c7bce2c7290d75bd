//! What has arrived is not transferred again, and what is wrong is not kept.

use std::ops::ControlFlow;

use dml_models::hub::HubError;

use super::*;

const SIZE: usize = 300_000;

fn file(hub: &Hub, cache: &Path) -> Result<Vec<u8>> {
    let path = model(hub, cache).file("model.safetensors")?;
    Ok(fs::read(path).unwrap())
}

#[test]
fn a_transfer_that_breaks_resumes_where_it_broke() {
    let hub = Hub::start(|n| match n {
        0 => Trouble::DropAt(100_000),
        1 => Trouble::DropAt(100_010),
        2 => Trouble::Status(503, ""),
        _ => Trouble::No,
    });
    let cache = tempfile::tempdir().unwrap();
    let contents = one_file(&hub, SIZE);
    assert_eq!(file(&hub, cache.path()).unwrap(), contents);
    let expected = [None, Some(100_000), Some(100_010), Some(100_010)];
    assert_eq!(hub.starts(), expected);
}

#[test]
fn the_next_download_resumes_too() {
    let hub = Hub::start(|n| Trouble::DropAt(if n < 3 { 100 * (n + 1) } else { SIZE }));
    let cache = tempfile::tempdir().unwrap();
    let contents = one_file(&hub, SIZE);
    let error = file(&hub, cache.path()).unwrap_err();
    let HubError::Interrupted {
        target,
        received,
        expected,
        attempts,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (*received, *expected, *attempts),
        (300, Some(SIZE as u64), 3)
    );
    assert_eq!(target.file.as_deref(), Some("model.safetensors"));
    assert!(error.to_string().contains("300 bytes of 300000 are there"));
    // Nothing under the file's name, and no reference to the commit.
    let root = cache.path().join("models--owner--name");
    assert!(!root.join("snapshots").exists() && !root.join("refs").exists());
    assert_eq!(fs::read(part_of(cache.path())).unwrap(), contents[..300]);

    assert_eq!(file(&hub, cache.path()).unwrap(), contents);
    assert_eq!(hub.starts(), [None, Some(100), Some(200), Some(300)]);
}

#[test]
fn a_length_that_nobody_announces_is_noticed() {
    let hub = Hub::start(|n| match n {
        0 => Trouble::Unannounced(1_000),
        _ => Trouble::Unannounced(SIZE),
    });
    let cache = tempfile::tempdir().unwrap();
    let contents = one_file(&hub, SIZE);
    assert_eq!(file(&hub, cache.path()).unwrap(), contents);
    assert_eq!(hub.starts(), [None, Some(1_000)]);
}

#[test]
fn servers_that_ignore_or_mistake_ranges_cost_only_time() {
    for trouble in [Trouble::IgnoreRange, Trouble::WrongRange] {
        let hub = Hub::start(move |n| {
            if n == 0 {
                Trouble::DropAt(1_234)
            } else {
                trouble
            }
        });
        let cache = tempfile::tempdir().unwrap();
        let contents = one_file(&hub, SIZE);
        assert_eq!(file(&hub, cache.path()).unwrap(), contents, "{trouble:?}");
        assert_eq!(hub.starts()[..2], [None, Some(1_234)]);
    }
}

#[test]
fn wrong_contents_are_refused_and_removed() {
    for (trouble, expected) in [
        (Trouble::Flip, "SHA-256"),
        (Trouble::Longer, "300000 bytes"),
    ] {
        let hub = Hub::start(move |n| if n == 0 { trouble } else { Trouble::No });
        let cache = tempfile::tempdir().unwrap();
        let contents = one_file(&hub, SIZE);
        let error = file(&hub, cache.path()).unwrap_err();
        assert!(matches!(error, HubError::Contents { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        let left = files(cache.path());
        assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
        assert_eq!(file(&hub, cache.path()).unwrap(), contents);
    }
}

#[test]
fn a_damaged_part_of_an_earlier_download_does_no_harm() {
    for damaged in [b"something else".to_vec(), bytes(SIZE + 5)] {
        let hub = Hub::start(|n| {
            if n < 3 {
                Trouble::DropAt(100)
            } else {
                Trouble::No
            }
        });
        let cache = tempfile::tempdir().unwrap();
        let contents = one_file(&hub, SIZE);
        assert!(file(&hub, cache.path()).is_err());
        fs::write(part_of(cache.path()), &damaged).unwrap();
        assert_eq!(file(&hub, cache.path()).unwrap(), contents);
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let hub = Hub::start(|_| Trouble::Silence);
    let cache = tempfile::tempdir().unwrap();
    one_file(&hub, SIZE);
    let mut config = config(&hub, cache.path());
    config.answer_timeout = Duration::from_secs(3);
    config.attempts = 2;
    let model = HubModel::new(NAME).config(config);
    let error = model.file("model.safetensors").unwrap_err();
    assert!(
        matches!(error, HubError::Interrupted { attempts: 2, .. }),
        "{error}"
    );
}

#[test]
fn the_caller_hears_of_progress_and_may_stop() {
    let (hub, cache) = (Hub::start(|_| Trouble::No), tempfile::tempdir().unwrap());
    let contents = one_file(&hub, SIZE);
    let mut heard = Vec::new();
    let error = model(&hub, cache.path())
        .file_with("model.safetensors", &mut |event| {
            assert_eq!(
                (event.file, event.total),
                ("model.safetensors", Some(SIZE as u64))
            );
            heard.push(event.received);
            if event.received > 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap_err();
    assert!(matches!(error, HubError::Stopped { .. }), "{error}");
    let kept = fs::metadata(part_of(cache.path())).unwrap().len();
    assert_eq!(heard, [0, kept]);
    let mut last = 0;
    model(&hub, cache.path())
        .download_with(&mut |event| {
            assert!(event.received >= last.max(kept));
            last = event.received;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(last, SIZE as u64);
    assert_eq!(file(&hub, cache.path()).unwrap(), contents);
}
