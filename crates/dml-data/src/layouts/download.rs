//! Fetching and unpacking published data sets.
//!
//! ```text
//! folder whole? → for each archive: download → check → unpack into a folder beside → move in → note that it is done
//! ```

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use dml_core::durable;

use super::{Archive, Layout, LayoutConfig};
use crate::archives::unpack;
use crate::download::file::{Download, Known, check_digest};
use crate::download::{DownloadConfig, Progress};
use crate::{DataError, Result, cache_folder};

/// The endings of the files that are unpacked.
const ARCHIVES: [&str; 4] = [".tgz", ".tar.gz", ".tar", ".zip"];

impl Known for Archive {
    fn name(&self) -> String {
        self.file.to_owned()
    }

    fn address(&self, mirror: &str) -> String {
        match mirror == self.url {
            true => mirror.to_owned(),
            false => format!("{}/{}", mirror.trim_end_matches('/'), self.file),
        }
    }

    fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn check(&self, path: &Path) -> Result<()> {
        check_digest(path, self.digest)
    }
}

impl Layout {
    /// Makes sure that the data set is in a folder, and returns that folder for [`Layout::read`]: that of the configuration,
    /// or one of the layout's name in [`cache_folder`]. A data set that can be read is left as it is. Archives are
    /// removed once they are unpacked.
    ///
    /// ```no_run
    /// use std::ops::ControlFlow;
    ///
    /// use dml_data::download::DownloadConfig;
    /// use dml_data::layouts::{LayoutConfig, layout};
    ///
    /// let cub = layout("cub200")?;
    /// let folder = cub.download(&DownloadConfig::default(), &mut |_| ControlFlow::Continue(()))?;
    /// let cub = cub.read(folder, &LayoutConfig::default())?;
    /// # Ok::<(), dml_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::NotThere`] for a data set that has no stable address, which says where to get it and where to put it;
    /// [`DataError::Malformed`] for an archive with a path that leads out of it, or a link; [`DataError::Exists`] if what
    /// is in an archive is there already, but was not unpacked from it; and as
    /// [`MnistVariant::download`](crate::MnistVariant::download).
    pub fn download(
        &self,
        config: &DownloadConfig,
        progress: &mut Progress<'_>,
    ) -> Result<PathBuf> {
        let folder = match &config.folder {
            Some(folder) => folder.clone(),
            None => cache_folder()?.join(self.name),
        };
        match self.read(&folder, &LayoutConfig::default()) {
            Ok(_) => return Ok(folder),
            Err(error @ DataError::NotThere { .. }) if self.archives.is_empty() => {
                return Err(error);
            }
            Err(DataError::NotThere { .. }) => {}
            Err(error) => return Err(error),
        }
        for archive in self.archives {
            fetch(archive, &folder, config, progress)?;
        }
        Ok(folder)
    }
}

/// Downloads and unpacks an archive, unless that was done before.
fn fetch(
    archive: &Archive,
    folder: &Path,
    config: &DownloadConfig,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let note = folder.join(format!(".{}.unpacked", archive.file));
    let is_archive = ARCHIVES.iter().any(|ending| archive.file.ends_with(ending));
    let digest = archive.digest.to_string();
    if is_archive && fs::read_to_string(&note).is_ok_and(|own| own == digest) {
        return Ok(());
    }
    let own = [archive.url.to_owned()];
    let mirrors = match config.mirrors.is_empty() {
        true => &own[..],
        false => &config.mirrors[..],
    };
    Download {
        file: *archive,
        mirrors,
        folder,
        config,
    }
    .run(progress)?;
    if !is_archive {
        return Ok(());
    }
    let path = folder.join(archive.file);
    unpack::into_folder(&path, folder)?;
    durable::write_with(&note, |file| file.write_all(digest.as_bytes()))
        .map_err(DataError::io("write", &note))?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(DataError::io("remove", &path)(error))
        }
        _ => Ok(()),
    }
}
