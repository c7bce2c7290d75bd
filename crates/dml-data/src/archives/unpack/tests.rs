use super::*;

/// Archives that `crates/dml-testing/generate/inputs/archives.py` wrote.
fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/archives")
        .join(name)
}

/// All files below a folder, without the folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                false => {
                    let path = path.strip_prefix(folder).unwrap();
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn archives_become_folders() -> Result<()> {
    for name in ["background.tgz", "background.tar", "evaluation.zip"] {
        let folder = tempfile::tempdir().unwrap();
        into_folder(&input(name), folder.path())?;
        let part = if name == "evaluation.zip" {
            "evaluation"
        } else {
            "background"
        };
        let path = |i| format!("images_{part}/Greek/character01/0001_0{i}.png");
        assert_eq!(files(folder.path()), [path(1), path(2)], "{name}");
        let image = image::open(folder.path().join(path(2))).unwrap();
        assert_eq!((image.width(), image.height()), (6, 4));
        // What is there is never overwritten.
        let error = into_folder(&input(name), folder.path()).unwrap_err();
        assert!(matches!(error, DataError::Exists { .. }), "{error}");
        assert_eq!(files(folder.path()).len(), 2);
    }
    Ok(())
}

#[test]
fn hostile_archives_leave_nothing() {
    let cases = [
        (
            "hostile/escape.zip",
            "../one.png: expected a path that stays within the archive",
        ),
        (
            "hostile/absolute.zip",
            "/etc/one.png: expected a path that stays within the archive",
        ),
        (
            "hostile/link.zip",
            "one.png: expected a regular file or a folder",
        ),
        (
            "hostile/bzip2.zip",
            "one.png: expected a file that is stored or deflated",
        ),
        (
            "hostile/absolute.tar",
            "entry 0: expected a path in UTF-8 that stays within the archive",
        ),
        (
            "hostile/escape.tar",
            "entry 0: expected a path in UTF-8 that stays within the archive",
        ),
        ("hostile/link.tar", "found a symbolic link"),
        ("hostile/hard_link.tar", "found a hard link"),
        ("hostile/device.tar", "found an entry of type 0x33"),
        ("hostile/huge.tar", "expected 1099511628288 bytes"),
        (
            "hostile/long_name.tar.gz",
            "entry 0: expected a name of at most 65536 bytes",
        ),
    ];
    for (name, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let text = into_folder(&input(name), folder.path())
            .unwrap_err()
            .to_string();
        assert!(text.contains(expected), "{name}: {text}");
        assert!(
            fs::read_dir(folder.path()).unwrap().next().is_none(),
            "{name}"
        );
    }
    // A file where a folder should be.
    let folder = tempfile::tempdir().unwrap();
    let error = into_folder(&input("hostile/file_and_folder.zip"), folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }), "{error}");
}

#[test]
fn damaged_archives_are_unpacked_or_refused_as_a_whole() {
    let source = tempfile::tempdir().unwrap();
    for (i, name) in ["background.tgz", "background.tar", "evaluation.zip"]
        .into_iter()
        .enumerate()
    {
        let whole = fs::read(input(name)).unwrap();
        let path = source.path().join(name);
        for seed in 0..150 {
            let folder = tempfile::tempdir().unwrap();
            fs::write(&path, crate::mutation::mutated(&whole, seed * 4 + i as u64)).unwrap();
            let result = into_folder(&path, folder.path());
            match result {
                Ok(()) => assert!(files(folder.path()).len() <= 3),
                Err(_) => assert!(fs::read_dir(folder.path()).unwrap().next().is_none()),
            }
        }
    }
}

#[test]
fn what_an_interrupted_run_left_is_removed() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".unpacking-background.tgz");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("half.png"), "x").unwrap();
    into_folder(&input("background.tgz"), folder.path())?;
    assert_eq!(files(folder.path()).len(), 2);
    Ok(())
}
