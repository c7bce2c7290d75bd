//! Downloads that are told to stop.

use super::*;

/// Runs a download that is stopped at the first event that `stop` names; returns the error.
fn stopped_at(
    folder: &Path,
    url: &str,
    config: &DownloadConfig,
    mut stop: impl FnMut(&DownloadEvent<'_>) -> bool,
) -> DataError {
    let result = Download {
        file: known_file(),
        mirrors: &[url.to_owned()],
        folder,
        config,
    }
    .run(&mut |event| {
        if stop(&event) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    result.unwrap_err()
}

#[test]
fn a_download_stops_when_it_is_told_to_and_goes_on_later() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let error = stopped_at(folder.path(), &server.url(), &quick(), |event| {
        matches!(event, DownloadEvent::Received { received: 1.., .. })
    });
    assert!(matches!(&error, DataError::Stopped { file } if *file == format!("{NAME}.gz")));
    let kept = fs::metadata(part(&folder)).unwrap().len() as usize;
    assert!(kept > 0);
    let (result, _) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(server.starts(), [None, Some(kept)]);
    assert_there(&folder);
}

#[test]
fn waits_of_every_kind_can_be_stopped() {
    let waiting = |event: &DownloadEvent<'_>| matches!(event, DownloadEvent::Waiting { .. });
    // Times that no test would wait for.
    let patient = DownloadConfig {
        first_wait: Duration::from_secs(500),
        longest_wait: Duration::from_secs(500),
        stall_timeout: Duration::from_secs(500),
        lock_timeout: Duration::from_secs(500),
        ..quick()
    };
    let silent = Server::start(|_, _| Reply::Stall(Duration::from_millis(800)));
    let busy = Server::start(|_, _| Reply::Status(503, ""));
    for server in [&silent, &busy] {
        let folder = tempfile::tempdir().unwrap();
        let error = stopped_at(folder.path(), &server.url(), &patient, waiting);
        assert!(matches!(error, DataError::Stopped { .. }), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join(format!(".{NAME}.gz.lock"));
    let _held = crate::download::lock::lock(&lock, Duration::ZERO, &mut || Ok(())).unwrap();
    let error = stopped_at(folder.path(), &busy.url(), &patient, waiting);
    assert!(matches!(error, DataError::Stopped { .. }), "{error}");
}
