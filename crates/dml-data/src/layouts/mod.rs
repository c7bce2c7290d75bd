//! Data sets as they are published.
//!
//! A [`Layout`] says what a published data set has in its folder, where to get it, and how its classes are divided into
//! those to learn from and those to test with. [`LAYOUTS`] lists all of them, and [`layout`] finds one by name:
//!
//! ```no_run
//! use dml_data::layouts::{LayoutConfig, layout};
//! use dml_data::ImageFilesConfig;
//!
//! let cub = layout("cub200")?.read("data/CUB_200_2011", &LayoutConfig::default())?;
//! let train = cub.manifest.split("train")?.images(ImageFilesConfig::default())?;
//! # Ok::<(), dml_data::DataError>(())
//! ```
//!
//! Every layout becomes a [`Manifest`], so that published data and a user's own table are used in the same way: splits are
//! named `train` and `test`; re-identification has roles, cameras and junk; classes have the category that they belong to.
//! Images are listed and not opened. Paths that lead out of the folder are refused.
//!
//! A folder of an archive that was unpacked may be given itself, or the folder that it lies in.

mod archive;
mod cars196;
mod cifar;
mod cub200;
#[cfg(feature = "download")]
mod download;
mod folder;
mod in_shop;
mod inaturalist2018;
mod lfw;
mod list_file;
mod market1501;
mod mat;
mod omniglot;
mod pickled_dict;
mod registry;
mod stanford_online_products;

use std::path::Path;

use crate::{DataError, Manifest, PairList, Result};

use self::folder::Folder;

pub use self::archive::Archive;
pub use self::registry::{LAYOUTS, layout};

/// Which classes or images are to learn from, and which to test with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Protocol {
    /// No class of the test half is in the train half: the protocol of metric learning.
    #[default]
    UnseenClasses,
    /// The division that the data set was published with. Where it was made for classification, both halves have the same
    /// classes.
    Published,
}

dml_core::config! {
    /// How a published data set is read.
    #[derive(Eq)]
    pub struct LayoutConfig {
        /// How it is divided. Default: by unseen classes.
        pub protocol: Protocol = Protocol::UnseenClasses,
        /// Whether images are cut to the published bounding boxes. Default `false`, as in most papers on metric learning.
        pub boxes: bool = false,
    }
}

/// A published data set: what its folder has, and where to get it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Layout {
    /// The name that [`layout`] finds it by.
    pub name: &'static str,
    /// The name that people know it by.
    pub title: &'static str,
    /// Paper that it comes from.
    pub reference: &'static str,
    /// The files and folders that are read.
    pub files: &'static [&'static str],
    /// How [`Protocol::UnseenClasses`] divides it.
    pub split: &'static str,
    /// How [`Protocol::Published`] divides it; `None` if that is the same.
    pub published_split: Option<&'static str>,
    /// Number of images of the whole data set.
    pub images: u64,
    /// Number of classes of the whole data set.
    pub classes: u64,
    /// Licence or terms of use, as its authors state them.
    pub licence: &'static str,
    /// The page that says how to get it.
    pub page: &'static str,
    /// Archives with a stable address and a checksum. Empty if there is none: then the page says how to get it.
    pub archives: &'static [Archive],
    roots: &'static [&'static str],
    reader: fn(&Folder<'_>, &LayoutConfig) -> Result<Published>,
}

/// A published data set that was read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// Its images.
    pub manifest: Manifest,
    /// Its lists of pairs of images, by name: for verification.
    pub pairs: Vec<(String, PairList)>,
}

impl Published {
    fn new(manifest: Manifest) -> Self {
        let pairs = Vec::new();
        Self { manifest, pairs }
    }

    /// The list of pairs of that name.
    #[must_use]
    pub fn pairs(&self, name: &str) -> Option<&PairList> {
        let own = self.pairs.iter().find(|(own, _)| own == name);
        own.map(|(_, pairs)| pairs)
    }
}

impl Layout {
    /// Reads the data set from `folder`. Excerpts can be read, too: no number of images is required.
    ///
    /// # Errors
    /// [`DataError::NotThere`] if a file or folder of the layout is missing, which says where to get the data set and where
    /// to put it; [`DataError::Table`] with line and column for what is wrong in a list, [`DataError::Malformed`] for what
    /// is wrong in another file, [`DataError::TooLarge`] for one of unreasonable size, [`DataError::Io`] if one can't be
    /// read, [`DataError::NoImages`] if no image is listed.
    pub fn read(&self, folder: impl AsRef<Path>, config: &LayoutConfig) -> Result<Published> {
        let given = folder.as_ref();
        let below = self.roots.iter().map(|root| given.join(root));
        let below = below.filter(|root| root.is_dir());
        let mut result = self.read_root(given, given, config);
        for root in below {
            // A folder of the archive's name that lacks a file is more likely to be what was meant.
            if !matches!(result, Err(DataError::NotThere { .. })) {
                break;
            }
            result = self.read_root(given, &root, config);
        }
        result
    }

    fn read_root(&self, given: &Path, root: &Path, config: &LayoutConfig) -> Result<Published> {
        (self.reader)(&Folder::new(self, given, root), config)
    }

    /// The same data set from other archives.
    #[cfg(all(test, feature = "download"))]
    pub(crate) fn with_archives(self, archives: &'static [Archive]) -> Self {
        Self { archives, ..self }
    }

    /// Where to get the data set and where to put it, in words.
    #[must_use]
    pub fn help(&self, folder: &Path) -> String {
        let folder = folder.display();
        format!("get it from {} and unpack it into {folder}", self.page)
    }
}

#[cfg(test)]
mod tests;
