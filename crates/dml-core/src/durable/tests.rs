use std::fs;
use std::path::Path;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"old, and longer").unwrap();
    write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["a"]);
    // A name of the greatest length has room for no suffix.
    let long = folder.path().join("n".repeat(255));
    write(&long, b"x").unwrap();
    assert_eq!(fs::read(&long).unwrap(), b"x");
}

#[test]
fn a_failed_or_panicking_writer_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"old").unwrap();
    let failed = write_with(&path, |part| {
        part.write_all(&[0; 100_000])?;
        Err(Error::other("the disk is full"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
    let panics = std::panic::catch_unwind(|| {
        write_with(&path, |_| -> Result<()> { panic!("in the writer") })
    });
    assert!(panics.is_err());
    assert_eq!(names(folder.path()), ["a"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(folder.path(), b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let error = write(&folder.path().join("none/a"), b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn many_threads_write_one_file_and_each_time_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::thread::scope(|scope| {
        for letter in b'a'..b'i' {
            let path = &path;
            scope.spawn(move || {
                for length in 0..20 {
                    write(path, &vec![letter; 10_000 + length]).unwrap();
                    let read = fs::read(path).unwrap();
                    assert!(read.len() >= 10_000 && read.iter().all(|own| *own == read[0]));
                }
            });
        }
    });
    assert_eq!(names(folder.path()), ["a"]);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn permissions_are_those_of_any_new_file() {
        let folder = tempfile::tempdir().unwrap();
        // The umask of the process, whatever it is, seen on a file that the system creates.
        let (plain, own) = (folder.path().join("plain"), folder.path().join("own"));
        fs::write(&plain, "x").unwrap();
        write(&own, b"x").unwrap();
        assert_eq!(mode(&own), mode(&plain));
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        fs::create_dir(folder.path().join("deep")).unwrap();
        symlink("second", &first).unwrap();
        symlink("deep/file", &second).unwrap();
        // The file at the end need not be there yet.
        for bytes in [b"one", b"two"] {
            write(&first, bytes).unwrap();
            assert_eq!(fs::read(folder.path().join("deep/file")).unwrap(), bytes);
        }
        assert!(fs::symlink_metadata(&first).unwrap().is_symlink());
        assert!(fs::symlink_metadata(&second).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["deep", "first", "second"]);
        assert_eq!(names(&folder.path().join("deep")), ["file"]);
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        symlink("b", &a).unwrap();
        symlink("a", &b).unwrap();
        let error = write(&a, b"x").unwrap_err().to_string();
        assert!(error.contains("symbolic links in a row"), "{error}");
    }

    #[test]
    fn devices_are_written_to_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        symlink("/dev/null", &link).unwrap();
        write(&link, b"gone").unwrap();
        assert!(fs::read(&link).unwrap().is_empty());
        assert_eq!(names(folder.path()), ["null"]);
    }

    #[test]
    fn a_killed_writers_file_goes_with_the_next_one_and_a_living_writers_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let abandoned = folder.path().join(format!("{TEMPORARY}1-2-3"));
        let foreign = folder.path().join(".tmpAbC123");
        for name in [&abandoned, &foreign] {
            fs::write(name, "half").unwrap();
        }
        write_with(&path, |part| {
            write(&folder.path().join("b"), b"other")?;
            assert!(fs::exists(part.path())?, "removed under its writer");
            part.write_all(b"mine")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(names(folder.path()), [".tmpAbC123", "a", "b"]);
        // Only in a folder of one's own is such a name known to be nobody's.
        fs::create_dir(folder.path().join(".tmpAbC124")).unwrap();
        fs::write(folder.path().join(".tmp-notes"), "a user's").unwrap();
        sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".tmp-notes", ".tmpAbC124", "a", "b"]);
        sweep(&folder.path().join("none")).unwrap();
    }
}
