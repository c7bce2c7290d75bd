//! Files for readers that take a path.

use std::path::Path;

/// Calls `f` with a file of that name and content, in a folder that is gone afterwards.
pub(super) fn with_file<T>(name: &str, bytes: &[u8], f: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    f(&path)
}
