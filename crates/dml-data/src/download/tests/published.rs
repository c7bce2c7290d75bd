//! Published data sets, from archives that `crates/dml-testing/generate/inputs/archives.py` wrote.

use std::path::PathBuf;

use super::*;
use crate::layouts::{Archive, Layout, LayoutConfig, layout};

fn bytes(name: &str) -> Arc<[u8]> {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs/archives");
    fs::read(inputs.join(name)).unwrap().into()
}

fn archive(file: &'static str, contents: &[u8]) -> Archive {
    Archive {
        file,
        url: "http://127.0.0.1:9/none",
        digest: Digest::Md5OfFile(leak(&Md5::digest(contents))),
        most_bytes: 1 << 20,
    }
}

/// Omniglot in two small archives.
fn characters() -> Layout {
    let archives = vec![
        archive("background.tgz", &bytes("background.tgz")),
        archive("evaluation.zip", &bytes("evaluation.zip")),
    ];
    layout("omniglot").unwrap().with_archives(archives.leak())
}

fn download(layout: &Layout, folder: &Path, server: &Server) -> Result<PathBuf> {
    let config = DownloadConfig {
        folder: Some(folder.to_path_buf()),
        mirrors: vec![server.url()],
        ..quick()
    };
    layout.download(&config, &mut |_| ControlFlow::Continue(()))
}

fn serve() -> Server {
    Server::start(
        |_, request| match request.path.rsplit('/').next().unwrap() {
            name @ ("background.tgz" | "evaluation.zip") => Reply::Send(bytes(name)),
            _ => Reply::Status(404, ""),
        },
    )
}

#[test]
fn archives_are_fetched_unpacked_and_removed() -> Result<()> {
    let (server, folder) = (serve(), tempfile::tempdir().unwrap());
    let characters = characters();
    let found = download(&characters, folder.path(), &server)?;
    assert_eq!(found, folder.path());
    let read = characters.read(&found, &LayoutConfig::default())?.manifest;
    assert_eq!(
        (
            read.split("train")?.entries().len(),
            read.split("test")?.entries().len()
        ),
        (2, 2)
    );
    assert!(!folder.path().join("background.tgz").exists());
    assert_eq!(server.requests().len(), 2);
    // What is there is not fetched again.
    download(&characters, folder.path(), &server)?;
    assert_eq!(server.requests().len(), 2);
    // Nor is an archive that was unpacked, when another is missing.
    fs::remove_dir_all(folder.path().join("images_evaluation")).unwrap();
    fs::remove_file(folder.path().join(".evaluation.zip.unpacked")).unwrap();
    download(&characters, folder.path(), &server)?;
    assert_eq!(server.requests().len(), 3);
    Ok(())
}

#[test]
fn other_contents_are_refused() {
    let server = Server::start(|_, _| Reply::Send(bytes("background.tar")));
    let folder = tempfile::tempdir().unwrap();
    let error = download(&characters(), folder.path(), &server).unwrap_err();
    let DataError::Download { file, attempts } = error else {
        panic!("{error}");
    };
    assert_eq!(file, "background.tgz");
    assert!(
        matches!(attempts[0].fault, Fault::Contents(_)),
        "{attempts:?}"
    );
    assert!(!folder.path().join("images_background").exists());
}

#[test]
fn data_sets_without_an_address_say_where_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve();
    let error = download(layout("market1501").unwrap(), folder.path(), &server).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("get it from https://zheng-lab-anu.github.io"),
        "{text}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let (server, folder) = (serve(), tempfile::tempdir().unwrap());
    let own = folder.path().join("images_background/mine.txt");
    fs::create_dir(own.parent().unwrap()).unwrap();
    fs::write(&own, "mine").unwrap();
    let error = download(&characters(), folder.path(), &server).unwrap_err();
    assert!(matches!(error, DataError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(own).unwrap(), "mine");
}
