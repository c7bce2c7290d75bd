use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::file::Download;
use super::*;
use crate::{DataError, Digest, Idx, MnistFile};

mod contents;
#[cfg(feature = "images")]
mod published;
mod resuming;
mod server;
mod stopping;

use self::server::{Reply, Server};

const DIMS: &[usize] = &[300, 28, 28];
const NAME: &str = "some-images-idx3-ubyte";

/// Images that don't compress, so that the file is large enough to be cut anywhere.
fn plain(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    DIMS.iter()
        .for_each(|&dim| bytes.extend((dim as u32).to_be_bytes()));
    let mut state = seed;
    bytes.extend((0..DIMS.iter().product()).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    }));
    bytes
}

fn compressed(plain: &[u8]) -> Arc<[u8]> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().into()
}

fn leak(hash: &[u8]) -> &'static str {
    let digits: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    Box::leak(digits.into_boxed_str())
}

fn good() -> Arc<[u8]> {
    compressed(&plain(1))
}

fn known_file() -> MnistFile {
    MnistFile {
        name: NAME,
        dims: DIMS,
        digest: Digest::Sha256(leak(&Sha256::digest(plain(1)))),
    }
}

fn quick() -> DownloadConfig {
    DownloadConfig {
        attempts: 3,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(10),
        connect_timeout: Duration::from_millis(2000),
        stall_timeout: Duration::from_millis(300),
        lock_timeout: Duration::from_secs(20),
        proxy_from_environment: false,
        ..Default::default()
    }
}

/// Downloads the file from `mirrors`; returns what came of it, and the events in one word each.
fn fetch(folder: &Path, mirrors: &[String], config: &DownloadConfig) -> (Result<()>, Vec<String>) {
    let mut events = Vec::new();
    let result = Download {
        file: known_file(),
        mirrors,
        folder,
        config,
    }
    .run(&mut |event| {
        match event {
            DownloadEvent::Received { .. } | DownloadEvent::Waiting { .. } => {}
            DownloadEvent::Cached { .. } => events.push("cached".to_owned()),
            DownloadEvent::Done { .. } => events.push("done".to_owned()),
            DownloadEvent::Failed { attempt, .. } => events.push(attempt.fault.to_string()),
        }
        ControlFlow::Continue(())
    });
    (result, events)
}

fn assert_there(folder: &TempDir) {
    let path = folder.path().join(format!("{NAME}.gz"));
    assert_eq!(Idx::open(&path).unwrap().dims(), DIMS);
    assert!(!part(folder).exists());
}

fn part(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join(format!("{NAME}.gz.part"))
}

/// The attempts of a download that failed.
fn attempts(result: Result<()>) -> Vec<Attempt> {
    match result {
        Err(DataError::Download { file, attempts }) => {
            assert_eq!(file, format!("{NAME}.gz"));
            attempts
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_fetched_once_and_found_again() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let deep = folder.path().join("made/on/the/way");
    let (result, events) = fetch(&deep, &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events, ["done"]);
    let (result, events) = fetch(&deep, &[server.url()], &quick());
    assert!(result.is_ok());
    assert_eq!(events, ["cached"]);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].path, format!("/files/{NAME}.gz"));
}

#[test]
fn progress_counts_up_to_the_announced_total() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let size = file.len() as u64;
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let mut seen = Vec::new();
    Download {
        file: known_file(),
        mirrors: &[server.url()],
        folder: folder.path(),
        config: &quick(),
    }
    .run(&mut |event| {
        if let DownloadEvent::Received {
            received, total, ..
        } = event
        {
            assert_eq!(total, Some(size));
            seen.push(received);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.len() > 2 && seen.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(seen.last(), Some(&size));
}

#[test]
fn a_busy_server_is_asked_again_and_a_missing_file_is_not() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let gone = Server::start(|_, _| Reply::Status(404, ""));
    let busy = Server::start(move |n, _| match n {
        0 => Reply::Status(503, "Retry-After: 0\r\n"),
        1 => Reply::Status(429, "Retry-After: 3600\r\n"), // longer than we wait
        _ => Reply::Send(file.clone()),
    });
    let (result, events) = fetch(folder.path(), &[gone.url(), busy.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events, ["status 404", "status 503", "status 429", "done"]);
    let folder = tempfile::tempdir().unwrap();
    let failed = attempts(fetch(folder.path(), &[gone.url()], &quick()).0);
    assert_eq!(failed.len(), 1);
}

#[test]
fn without_a_network_the_error_says_what_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    // Two addresses that nobody listens on any more.
    let dead: Vec<String> = (0..2)
        .map(|_| Server::start(|_, _| Reply::Status(404, "")).url())
        .collect();
    let (result, events) = fetch(folder.path(), &dead, &quick());
    let message = result.as_ref().unwrap_err().to_string();
    assert!(dead.iter().all(|url| message.contains(url)), "{message}");
    assert!(
        message.starts_with(&format!("can't download {NAME}.gz: ")),
        "{message}"
    );
    assert_eq!(events.len(), 5); // the last failure is the result
    let failed = attempts(result);
    assert_eq!(failed.len(), 6);
    assert!(
        failed
            .iter()
            .all(|a| matches!(a.fault, Fault::Transport(_)) && a.received == 0)
    );
    let no_mirror = attempts(fetch(folder.path(), &[], &quick()).0);
    assert!(no_mirror.is_empty());
}

#[test]
fn a_silent_server_is_given_up_and_a_slow_one_loses_nothing() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let long = Duration::from_secs(3);
    let server = Server::start(move |n, _| match n {
        0 => Reply::Stall(long),
        1 => Reply::StallAt(file.clone(), 5_000, long),
        _ => Reply::Send(file.clone()),
    });
    let start = Instant::now();
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert!(start.elapsed() < long, "{events:?}");
    assert_eq!(server.starts(), [None, None, Some(5_000)]);
    assert_there(&folder);
}

#[test]
fn of_two_downloads_of_one_file_one_waits_for_the_other() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let mirrors = [server.url()];
    let mut events: Vec<Vec<String>> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| fetch(folder.path(), &mirrors, &quick())))
            .collect();
        both.into_iter()
            .map(|thread| {
                let (result, events) = thread.join().unwrap();
                assert!(result.is_ok(), "{result:?}");
                events
            })
            .collect()
    });
    events.sort();
    assert_eq!(events, [["cached"], ["done"]]);
    assert_eq!(server.requests().len(), 1);
    assert_there(&folder);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("a file");
    fs::write(&occupied, b"").unwrap();
    let (result, _) = fetch(&occupied.join("below"), &[], &quick());
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Io {
                action: "create",
                ..
            }
        ),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_part_that_is_a_link_is_refused_and_its_target_stays() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let target = folder.path().join("precious");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, part(&folder)).unwrap();
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, events) = fetch(folder.path(), &[server.url(), server.url()], &quick());
    let error = result.unwrap_err();
    assert!(matches!(error, DataError::FileKind { .. }), "{error}");
    assert!(
        error.to_string().ends_with("found a symbolic link"),
        "{error}"
    );
    assert_eq!((events.len(), server.requests().len()), (0, 0));
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

#[test]
fn a_server_that_drips_is_given_up_and_what_came_is_kept() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let copy = file.clone();
    // A byte each 20 milliseconds is never a stall, and would take more than an hour.
    let slow = Server::start(move |_, _| Reply::Drip(copy.clone(), Duration::from_millis(20)));
    let config = DownloadConfig {
        attempts: 2,
        stall_timeout: Duration::from_millis(200),
        ..quick()
    };
    let failed = attempts(fetch(folder.path(), &[slow.url()], &config).0);
    assert_eq!(failed.len(), 2);
    for attempt in &failed {
        let fault = &attempt.fault;
        assert!(
            matches!(
                fault,
                Fault::TooSlow {
                    expected: 1000,
                    received: 1..,
                    ..
                }
            ),
            "{fault}"
        );
    }
    let kept = fs::metadata(part(&folder)).unwrap().len();
    assert_eq!(kept, failed.iter().map(|a| a.received).sum::<u64>());
    let good = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, _) = fetch(folder.path(), &[good.url()], &config);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(good.starts(), [Some(kept as usize)]);
    assert_there(&folder);
}

#[test]
fn messages_do_not_repeat_their_causes() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Server::start(|_, _| Reply::Status(404, "")).url();
    let failed = attempts(fetch(folder.path(), &[dead], &quick()).0);
    let attempt: &dyn std::error::Error = &failed[0];
    let mut chain = Vec::new();
    let mut next = Some(attempt);
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    assert!(chain.len() >= 3, "{chain:?}");
    for (i, message) in chain.iter().enumerate() {
        for cause in &chain[i + 1..] {
            assert!(!message.contains(cause.as_str()), "{chain:?}");
        }
    }
}

#[test]
fn a_data_set_names_the_file_that_no_mirror_has() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Reply::Status(404, ""));
    let config = DownloadConfig {
        mirrors: vec![server.url()],
        folder: Some(folder.path().to_path_buf()),
        ..quick()
    };
    let error = MnistVariant::Mnist
        .download(&config, &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(
        matches!(error, DataError::Download { ref file, .. } if file == "train-images-idx3-ubyte.gz")
    );
    assert_eq!(
        server.requests()[0].path,
        "/files/train-images-idx3-ubyte.gz"
    );
}
