//! What a path leads to: its kind in words, and regular files.

use std::fs::FileType;
#[cfg(feature = "images")]
use std::{fs::File, path::Path};

#[cfg(feature = "images")]
use crate::{DataError, Result};

/// The kind of a file for an error message, such as `a folder`.
pub(crate) fn name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "another kind of file"
    }
}

/// The length of a regular file. It is checked before a file is opened, since opening a named pipe waits for a writer.
///
/// # Errors
/// [`DataError::Io`] if nothing is known of the path, [`DataError::FileKind`] if it isn't a regular file.
#[cfg(feature = "images")]
pub(crate) fn regular_len(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(DataError::io("read", path))?;
    if !metadata.is_file() {
        return Err(DataError::FileKind {
            file: path.to_path_buf(),
            found: name(metadata.file_type()),
        });
    }
    Ok(metadata.len())
}

/// Opens a regular file; its length beside it.
///
/// # Errors
/// As [`regular_len`], and [`DataError::Io`] if it can't be opened.
#[cfg(feature = "images")]
pub(crate) fn open_regular(path: &Path) -> Result<(File, u64)> {
    let length = regular_len(path)?;
    let file = File::open(path).map_err(DataError::io("read", path))?;
    Ok((file, length))
}
