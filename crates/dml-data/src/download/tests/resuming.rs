//! What has arrived is not fetched again.

use super::*;

#[test]
fn a_dropped_connection_is_taken_up_where_it_broke() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |n, _| match n {
        0 => Reply::DropAt(file.clone(), 70_000),
        1 => Reply::DropAt(file.clone(), 70_010),
        _ => Reply::Send(file.clone()),
    });
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events.len(), 3);
    assert_eq!(server.starts(), [None, Some(70_000), Some(70_010)]);
    assert_there(&folder);
}

#[test]
fn drops_without_an_announced_length_are_noticed_too() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let size = file.len();
    let server = Server::start(move |n, _| match n {
        0 => Reply::Unannounced(file.clone(), 1_000),
        _ => Reply::Unannounced(file.clone(), size),
    });
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert!(
        events[0].starts_with("expected 235216 bytes, found"),
        "{events:?}"
    );
    assert_eq!(server.starts(), [None, Some(1_000)]);
    assert_there(&folder);
}

#[test]
fn nothing_is_lost_between_two_calls_or_two_mirrors() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let copy = file.clone();
    let bad = Server::start(move |n, _| Reply::DropAt(copy.clone(), 100 * (n + 1)));
    let (result, _) = fetch(folder.path(), &[bad.url()], &quick());
    let failed = attempts(result);
    assert_eq!(
        failed.iter().map(|a| a.received).collect::<Vec<_>>(),
        [100, 100, 100]
    );
    assert_eq!(fs::metadata(part(&folder)).unwrap().len(), 300);

    let other = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, _) = fetch(folder.path(), &[bad.url(), other.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(bad.starts()[3..], [Some(300), Some(400), Some(500)]);
    assert_eq!(other.starts(), [Some(600)]);
    assert_there(&folder);
}

#[test]
fn progress_renews_the_patience() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |n, _| {
        let at = ((n / 2 + 1) * 70_000).min(file.len());
        Reply::DropAt(file.clone(), at) // every second attempt brings nothing
    });
    let config = DownloadConfig {
        attempts: 2,
        ..quick()
    };
    let (result, _) = fetch(folder.path(), &[server.url()], &config);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(server.requests().len(), 7);
}

#[test]
fn a_server_that_ignores_ranges_costs_only_time() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    let server = Server::start(move |n, _| match n {
        0 => Reply::DropAt(file.clone(), 1_234),
        _ => Reply::IgnoreRange(file.clone()),
    });
    let (result, _) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(server.starts(), [None, Some(1_234)]);
    assert_there(&folder);
}

#[test]
fn a_part_that_is_whole_already_is_kept() {
    let (folder, file) = (tempfile::tempdir().unwrap(), good());
    fs::write(part(&folder), &file[..]).unwrap();
    let server = Server::start(move |_, _| Reply::Send(file.clone()));
    let (result, events) = fetch(folder.path(), &[server.url()], &quick());
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(events, ["done"]);
    assert_eq!(server.requests().len(), 1); // answered by 416
    assert_there(&folder);
}
