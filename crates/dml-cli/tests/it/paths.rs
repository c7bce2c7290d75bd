//! Paths of a file system that TOML has no text for.

use crate::program::{Ended, Folder};

#[test]
fn paths_that_are_no_text_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    let name = OsStr::from_bytes(b"ph\xffotos");
    let path = folder.path("photos").with_file_name(name);
    std::fs::rename(folder.path("photos"), &path).unwrap();
    for args in [
        &["init", "-o", "other.toml"][..],
        &["train", "--train"],
        &["train", "--out"],
    ] {
        let ended = Ended::of(&folder.command(args).arg(name).output().unwrap());
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert!(
            ended.error.contains("expected a path in UTF-8"),
            "{args:?}: {ended:?}"
        );
    }
    assert!(!folder.path("other.toml").exists() && !folder.path("run").exists());
    // Data that no configuration names may have any name.
    let ended = Ended::of(&folder.command(&["inspect"]).arg(name).output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    // A configuration may not be in such a folder, whose relative paths would be lost.
    std::fs::copy(folder.path("dml.toml"), path.join("dml.toml")).unwrap();
    let config = path.join("dml.toml");
    let mut command = folder.command(&["train", "--dry-run"]);
    let ended = Ended::of(&command.arg(&config).output().unwrap());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.error.contains("expected a path in UTF-8"),
        "{ended:?}"
    );
}
