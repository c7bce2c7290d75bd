//! Files in the cache folder that a download writes itself.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use crate::{DataError, Result};

/// Opens a regular file for appending, and makes it where there is none.
///
/// A symbolic link is refused: a cache folder may be one that others can write to, and whatever a link there leads to
/// would be overwritten.
pub(super) fn open_own(path: &Path) -> Result<File> {
    for _ in 0..8 {
        // `create_new` doesn't follow a link in the last part of the path, not even one to nowhere.
        match File::options().create_new(true).append(true).open(path) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DataError::io("create", path)(error)),
        }
        let Some(named) = regular(path)? else {
            continue; // it went away in between
        };
        match File::options().append(true).open(path) {
            Ok(file) => {
                let opened = file.metadata().map_err(DataError::io("read", path))?;
                // Between the check and the opening, the file may have been exchanged for a link.
                if same(&named, &opened) {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DataError::io("open", path)(error)),
        }
    }
    Err(DataError::FileKind {
        file: path.to_path_buf(),
        found: "one that changes while it is opened",
    })
}

/// Length of a regular file, 0 where there is none.
pub(super) fn own_len(path: &Path) -> Result<u64> {
    Ok(regular(path)?.map_or(0, |metadata| metadata.len()))
}

/// What is known about a regular file, `None` where there is no file.
fn regular(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(metadata) => Err(DataError::FileKind {
            file: path.to_path_buf(),
            found: crate::file_kind::name(metadata.file_type()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::io("read", path)(error)),
    }
}

#[cfg(unix)]
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same(_: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_made_and_then_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(own_len(&path).unwrap(), 0);
        open_own(&path).unwrap().write_all(b"ab").unwrap();
        open_own(&path).unwrap().write_all(b"c").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(own_len(&path).unwrap(), 3);
        let error = open_own(folder.path()).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::FileKind {
                    found: "a folder",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_and_what_they_lead_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for target_is_there in [false, true] {
            if target_is_there {
                fs::write(&target, "precious").unwrap();
            }
            for error in [open_own(&link).map(drop), own_len(&link).map(drop)] {
                assert_eq!(
                    error.unwrap_err().to_string(),
                    format!(
                        "{}: expected a regular file, found a symbolic link",
                        link.display()
                    )
                );
            }
            assert_eq!(target.exists(), target_is_there);
        }
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }
}
