//! What was left out of a data set of images, and why.

use std::path::PathBuf;

/// A file or folder that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedFile {
    /// The file or folder.
    pub path: PathBuf,
    /// Kind of the reason.
    pub kind: SkippedKind,
    /// The reason, in words.
    pub reason: String,
}

/// Why a file or folder was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkippedKind {
    /// An image that can't be decoded: damaged, cut off, or larger than the memory limit.
    Undecodable,
    /// A file or folder that the operating system doesn't let the program read.
    Unreadable,
    /// An image of a format that isn't read, by its name.
    Unsupported,
    /// A file whose name and contents are not those of an image.
    NotAnImage,
    /// Neither a file nor a folder: a named pipe, a socket or a device.
    NotAFile,
    /// A name that begins with a dot, or a folder of thumbnails, deleted files or archive data.
    Hidden,
}

impl SkippedFile {
    pub(crate) fn new(path: PathBuf, kind: SkippedKind, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { path, kind, reason }
    }
}
