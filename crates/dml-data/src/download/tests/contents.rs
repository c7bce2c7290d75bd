//! Bytes that are not those of the file.

use super::*;

#[test]
fn another_range_than_asked_for_is_refused() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |n, _| match n {
        0 => Reply::DropAt(file.clone(), 1_234),
        1 => Reply::WrongRange(file.clone()),
        _ => Reply::Send(file.clone()),
    });
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert!(
        events[1].starts_with("expected the file from byte 1234 on, found the range \"bytes 0-")
    );
    assert_there(&folder);
}

#[test]
fn wrong_bytes_are_discarded_and_the_next_mirror_is_asked_for_all() {
    for wrong in [
        compressed(&plain(2)),                       // another content
        plain(1)[..1000].into(),                     // a file that is too short, uncompressed
        (&b"<html>no such page</html>"[..]).into(),  // a status of 200 all the same
        compressed(&[&plain(1)[..], &[0]].concat()), // too long
    ] {
        let (folder, file) = (tempfile::tempdir().unwrap(), good());
        let bad = Server::start(move |_, _| Reply::Send(wrong.clone()));
        let next = Server::start(move |_, _| Reply::Send(file.clone()));
        let (result, events) = fetch(folder.path(), &[bad.url(), next.url()], &quick());
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(
            (bad.starts(), next.starts()),
            (vec![None], vec![None]),
            "{events:?}"
        );
        assert_there(&folder);
        // Alone it is an error that tells what was wrong, and leaves nothing behind.
        let folder = tempfile::tempdir().unwrap();
        let failed = attempts(fetch(folder.path(), &[bad.url()], &quick()).0);
        assert!(matches!(
            failed[..],
            [Attempt {
                fault: Fault::Contents(_),
                ..
            }]
        ));
        assert!(!part(&folder).exists());
    }
}

#[test]
fn a_spoilt_part_does_not_spoil_a_good_mirror() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    fs::write(part(&folder), b"left by something else").unwrap();
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events.len(), 2);
    assert_eq!(server.starts(), [Some(22), None]);
    assert_there(&folder);
}

#[test]
fn a_file_that_was_damaged_since_is_fetched_anew() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let path = folder.path().join(format!("{NAME}.gz"));
    fs::write(&path, compressed(&plain(2))).unwrap();
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events, ["done"]);
    assert_eq!(Idx::open(&path).unwrap().data(), &plain(1)[16..]);
}

#[test]
fn an_endless_file_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let endless: Arc<[u8]> = vec![0x1f; 2 << 20].into();
    let size = endless.len();
    let server = Server::start(move |n, _| match n {
        0 => Reply::Send(endless.clone()),
        _ => Reply::Unannounced(endless.clone(), size),
    });
    let both = [server.url(), server.url()];
    let failed = attempts(fetch(folder.path(), &both, &quick()).0);
    assert_eq!(failed.len(), 2);
    assert!(
        failed
            .iter()
            .all(|a| matches!(a.fault, Fault::TooLarge { .. }))
    );
    assert!(!part(&folder).exists());
}

#[test]
fn a_published_md5_of_the_compressed_file_serves_too() {
    let folder = tempfile::tempdir().unwrap();
    let copies = [good(), compressed(&plain(2))];
    let digest = Digest::Md5OfCompressed(leak(&Md5::digest(&copies[0])));
    let server = Server::start(move |n, _| Reply::Send(copies[1 - n].clone()));
    let (mirrors, config) = ([server.url(), server.url()], quick());
    let mut failed = Vec::new();
    Download {
        file: MnistFile {
            digest,
            ..known_file()
        },
        mirrors: &mirrors,
        folder: folder.path(),
        config: &config,
    }
    .run(&mut |event| {
        if let DownloadEvent::Failed { attempt, .. } = event {
            failed.push(attempt.fault.to_string());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(failed.len() == 1 && failed[0].contains("MD5"), "{failed:?}");
    assert_there(&folder);
}
