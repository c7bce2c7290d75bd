//! All images below a folder, each folder once.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::image_files::format::{Ending, SNIFFED, ending, sniff};
use crate::{DataError, Result, SkippedFile, SkippedKind, Unreadable};

/// Folders and files that systems and programs put beside images, in small letters.
const SERVICE_NAMES: [&str; 12] = [
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "#recycle",
    "$recycle.bin",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "lost+found",
    "recycler",
    "system volume information",
    "thumbs.db",
];

/// All images below `root`. Folders that can't be read are errors or listed, as `unreadable` says; `root` itself must be
/// readable.
pub(super) fn images(root: &Path, unreadable: Unreadable) -> Result<Walk> {
    fs::read_dir(root).map_err(DataError::io("read", root))?;
    let mut walk = Walk {
        unreadable,
        seen: BTreeSet::new(),
        images: Vec::new(),
        skipped: Vec::new(),
        links: VecDeque::new(),
    };
    walk.below(root)?;
    // Links wait until all that can be reached without them is read, so that a folder is found where it stands.
    while let Some(link) = walk.links.pop_front() {
        walk.below(&link)?;
    }
    walk.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk)
}

/// A walk through the folders below one, and what it found.
#[derive(Debug)]
pub(super) struct Walk {
    /// The paths of all images, in no order.
    pub(super) images: Vec<PathBuf>,
    /// What was left out, by path.
    pub(super) skipped: Vec<SkippedFile>,
    unreadable: Unreadable,
    /// Folders that were read, by their path without links.
    seen: BTreeSet<PathBuf>,
    /// Links to folders that wait to be followed.
    links: VecDeque<PathBuf>,
}

impl Walk {
    /// Reads `folder` and the folders below it, but for those behind links.
    fn below(&mut self, folder: &Path) -> Result<()> {
        let mut waiting = vec![folder.to_path_buf()];
        while let Some(folder) = waiting.pop() {
            let entries = match self.entries(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.unreadable(folder, error)?;
                    continue;
                }
            };
            for entry in entries {
                let path = entry.path();
                if is_service(&entry) {
                    let reason = "a hidden name, or one of a system's own folders and files";
                    self.skip(path, SkippedKind::Hidden, reason);
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(path),
                    Ok(kind) if kind.is_symlink() => match fs::metadata(&path) {
                        Ok(target) if target.is_dir() => self.links.push_back(path),
                        Ok(target) => self.file(path, &target),
                        // A link to nowhere: reading the image says so.
                        Err(_) if ending(&path) == Ending::Known => self.images.push(path),
                        Err(error) => {
                            self.skip(path, SkippedKind::Unreadable, error.to_string());
                        }
                    },
                    Ok(_) => match entry.metadata() {
                        Ok(metadata) => self.file(path, &metadata),
                        Err(error) => self.unreadable(path, error)?,
                    },
                    Err(error) => self.unreadable(path, error)?,
                }
            }
        }
        Ok(())
    }

    /// The entries of a folder in the order of their names; none if the folder was read before.
    fn entries(&mut self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let real = fs::canonicalize(folder)?;
        if !self.seen.insert(real) {
            return Ok(Vec::new());
        }
        let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        // The order of a folder's entries is the file system's business.
        entries.sort_by_key(DirEntry::file_name);
        Ok(entries)
    }

    /// Takes or leaves what is no folder.
    fn file(&mut self, path: PathBuf, metadata: &Metadata) {
        if !metadata.is_file() {
            let kind = crate::file_kind::name(metadata.file_type());
            self.skip(path, SkippedKind::NotAFile, kind);
            return;
        }
        match ending(&path) {
            Ending::Known => self.images.push(path),
            Ending::Unsupported => {
                let reason = "an image of a format that is not read";
                self.skip(path, SkippedKind::Unsupported, reason);
            }
            Ending::Other => match begins_like_an_image(&path) {
                Ok(true) => self.images.push(path),
                Ok(false) => {
                    let reason = "neither its name nor its contents are those of an image";
                    self.skip(path, SkippedKind::NotAnImage, reason);
                }
                Err(error) => self.skip(path, SkippedKind::Unreadable, error.to_string()),
            },
        }
    }

    /// Refuses or lists a folder that can't be read.
    fn unreadable(&mut self, path: PathBuf, error: io::Error) -> Result<()> {
        match self.unreadable {
            Unreadable::Refuse => Err(DataError::io("read", &path)(error)),
            Unreadable::Skip => {
                self.skip(path, SkippedKind::Unreadable, error.to_string());
                Ok(())
            }
        }
    }

    fn skip(&mut self, path: PathBuf, kind: SkippedKind, reason: impl Into<String>) {
        self.skipped.push(SkippedFile::new(path, kind, reason));
    }
}

/// Whether an entry is hidden, or one that a system or a program made for itself.
fn is_service(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.as_encoded_bytes().starts_with(b".")
        || SERVICE_NAMES
            .iter()
            .any(|service| name.eq_ignore_ascii_case(service))
}

fn begins_like_an_image(path: &Path) -> io::Result<bool> {
    let mut start = Vec::with_capacity(SNIFFED);
    let limit = SNIFFED as u64;
    File::open(path)?.take(limit).read_to_end(&mut start)?;
    Ok(sniff(&start).is_some())
}
