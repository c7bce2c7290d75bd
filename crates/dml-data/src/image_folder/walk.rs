//! All images below a folder, each folder once.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{DataError, Result};

/// How the names of images end.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The paths of all images below `root`, in no order.
pub(super) fn images(root: &Path) -> Result<Vec<PathBuf>> {
    let mut walk = Walk {
        seen: BTreeSet::new(),
        images: Vec::new(),
        links: VecDeque::new(),
    };
    walk.below(root)?;
    // Links wait until all that can be reached without them is read, so that a folder is found where it stands.
    while let Some(link) = walk.links.pop_front() {
        walk.below(&link)?;
    }
    Ok(walk.images)
}

struct Walk {
    /// Folders that were read, by their path without links.
    seen: BTreeSet<PathBuf>,
    images: Vec<PathBuf>,
    /// Links to folders that wait to be followed.
    links: VecDeque<PathBuf>,
}

impl Walk {
    /// Reads `folder` and the folders below it, but for those behind links.
    fn below(&mut self, folder: &Path) -> Result<()> {
        let mut waiting = vec![folder.to_path_buf()];
        while let Some(folder) = waiting.pop() {
            let real = fs::canonicalize(&folder).map_err(DataError::io("read", &folder))?;
            if !self.seen.insert(real) {
                continue;
            }
            let mut entries = fs::read_dir(&folder)
                .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
                .map_err(DataError::io("read", &folder))?;
            // The order of a folder's entries is the file system's business.
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let path = entry.path();
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let own = entry.file_type().map_err(DataError::io("read", &path))?;
                if own.is_dir() {
                    waiting.push(path);
                } else if own.is_symlink() && fs::metadata(&path).is_ok_and(|at| at.is_dir()) {
                    self.links.push_back(path);
                } else if is_image(&path) {
                    // A link to nowhere, too: whoever reads the image learns of it.
                    self.images.push(path);
                }
            }
        }
        Ok(())
    }
}

fn is_image(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}
