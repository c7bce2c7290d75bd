//! The folder of a published data set.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Layout;
use super::list_file::ListFile;
use crate::image_files::format::{Ending, ending};
use crate::{DataError, Result};

/// A folder that a data set is read from.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    layout: &'a Layout,
    /// The folder that was asked for.
    given: &'a Path,
    /// The folder that the files are in.
    root: &'a Path,
}

impl<'a> Folder<'a> {
    pub(super) fn new(layout: &'a Layout, given: &'a Path, root: &'a Path) -> Self {
        Self {
            layout,
            given,
            root,
        }
    }

    /// The folder that the files are in.
    pub(super) fn root(&self) -> &'a Path {
        self.root
    }

    /// The file or folder of that name is not there.
    pub(super) fn missing(&self, name: &str) -> DataError {
        DataError::NotThere {
            title: self.layout.title,
            folder: self.root.to_path_buf(),
            missing: name.to_owned(),
            help: self.layout.help(self.given),
        }
    }

    /// The path of the first of these files and folders that is there.
    pub(super) fn find(&self, names: &[&str]) -> Result<PathBuf> {
        let paths = names.iter().map(|name| self.root.join(name));
        let found = paths.into_iter().find(|path| path.exists());
        found.ok_or_else(|| self.missing(&names.join(" or ")))
    }

    /// The path of a file or folder, if it is there.
    pub(super) fn optional(&self, name: &str) -> Option<PathBuf> {
        Some(self.root.join(name)).filter(|path| path.exists())
    }

    /// The list in the first of these files that is there.
    pub(super) fn list(&self, names: &[&str]) -> Result<ListFile> {
        ListFile::open(&self.find(names)?)
    }

    /// The images in the folder `path` itself, by name. Other files and folders are passed over.
    pub(super) fn images(&self, path: &Path) -> Result<Vec<(String, PathBuf)>> {
        self.entries(path, |path| path.is_file() && ending(path) == Ending::Known)
    }

    /// The folders in the folder `path`, by name; hidden ones are passed over.
    pub(super) fn folders(&self, path: &Path) -> Result<Vec<(String, PathBuf)>> {
        self.entries(path, Path::is_dir)
    }

    fn entries(&self, path: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<(String, PathBuf)>> {
        let entries = fs::read_dir(path).map_err(DataError::io("read", path))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(DataError::io("read", path))?;
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if is_hidden || !keep(&path) {
                continue;
            }
            let Ok(name) = entry.file_name().into_string() else {
                return Err(DataError::ClassName { folder: path });
            };
            found.push((name, path));
        }
        // The order of a folder's entries is the file system's business.
        found.sort();
        Ok(found)
    }
}

/// A path that a file of the data set names, if it stays within the data set's folder.
pub(super) fn inner(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_inner = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (is_inner && !text.is_empty() && !text.contains(['\0', '\\'])).then(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_folder() {
        assert_eq!(inner("a/b.jpg"), Some(PathBuf::from("a/b.jpg")));
        for bad in [
            "",
            "/etc/passwd",
            "../a.jpg",
            "a/../../b.jpg",
            "a\\b",
            "a\0b",
        ] {
            assert_eq!(inner(bad), None, "{bad:?}");
        }
    }
}
