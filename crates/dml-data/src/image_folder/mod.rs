//! A folder with a folder of images for every class, at any depth.
//!
//! ```text
//! birds/
//!   owl/one.png, two.JPG          class "owl"
//!   ducks/mallard/one.jpeg        class "ducks/mallard"
//!   ducks/teal/one.png            class "ducks/teal"
//! ```
//!
//! The class of an image is the folder that it lies in, relative to the root, with `/` between names. Classes are
//! numbered from 0 in the order of their names, images of a class follow each other in the order of theirs, so the same
//! folder gives the same rows on every machine.
//!
//! Images are files whose name ends in one of `.png .apng .jpg .jpeg .jfif .jpe .pjpeg .pjp .jif .webp .gif .bmp .dib
//! .tif .tiff`, in small or capital letters, and files of any other name that begin like such an image. Links are followed,
//! but each folder is read once: where a folder can be reached by a link and without one, it is read where it stands,
//! and links that lead in a circle end.
//!
//! Everything else is left out and [listed](ImageFolder::skipped) with the reason:
//!
//! | left out | [kind](crate::SkippedKind) |
//! |---|---|
//! | names that begin with a dot, such as `.DS_Store`, `.thumbnails`, `.ipynb_checkpoints` | `Hidden` |
//! | `@eaDir`, `$RECYCLE.BIN`, `#recycle`, `RECYCLER`, `@Recycle`, `@Recently-Snapshot`, `System Volume Information`, `lost+found`, `__MACOSX`, `__pycache__`, `Thumbs.db`, `desktop.ini`, in any case | `Hidden` |
//! | images of other formats, by their ending: HEIC, AVIF, JPEG XL, raw formats of cameras, … | `Unsupported` |
//! | files that are no images, such as texts | `NotAnImage` |
//! | named pipes, sockets, devices | `NotAFile` |
//! | folders that can't be read, with [`Unreadable::Skip`](crate::Unreadable::Skip) | `Unreadable` |
//! | images that can't be decoded, with [`Unreadable::Skip`](crate::Unreadable::Skip) | `Undecodable`, `Unreadable` |
//!
//! A folder that is left out is one entry of the list, whatever it contains.

mod walk;

use std::path::{Path, PathBuf};

use dml_core::{Dataset, Examples, Labels};

use crate::image_files::Extras;
use crate::{
    ClassOrder, DataError, Image, ImageFiles, ImageFilesConfig, ImageSource, Result, SkippedFile,
};

/// Images in folders of their class ([layout](self)): a [`Dataset`] of `[rows, channels, height, width]` with values
/// in `[0, 1]`. Cloning is cheap.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::{ImageFilesConfig, ImageFolder};
///
/// let root = tempfile::tempdir()?;
/// for (class, grey) in [("night", 20), ("day", 230)] {
///     std::fs::create_dir(root.path().join(class))?;
///     for name in ["one.png", "two.png"] {
///         let image = image::GrayImage::from_pixel(8, 6, image::Luma([grey]));
///         image.save(root.path().join(class).join(name))?;
///     }
/// }
/// let config = ImageFilesConfig { size: [4, 4], ..ImageFilesConfig::default() };
/// let folder = ImageFolder::open(root.path(), config)?;
/// assert_eq!(folder.class_names(), ["day", "night"]);
/// assert_eq!(folder.labels().as_slice(), [0, 0, 1, 1]);
/// assert_eq!(folder.fetch(&[0, 3], 0)?.views()[0].dims(), [2, 3, 4, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    files: ImageFiles,
}

impl ImageFolder {
    /// Lists the images below `root`.
    ///
    /// # Errors
    /// [`DataError::Io`] if a folder can't be read, [`DataError::NoImages`] if there is no image, [`DataError::Unclassed`]
    /// if one lies in `root` itself, [`DataError::ClassName`] if a folder of images has no name in Unicode,
    /// [`DataError::FewClasses`] for fewer classes than `min_classes`, [`DataError::Core`] for a size out of range or
    /// another number of channels than 1 and 3.
    pub fn open(root: impl AsRef<Path>, config: ImageFilesConfig) -> Result<Self> {
        let root = root.as_ref();
        let walk = walk::images(root, config.unreadable)?;
        if walk.images.is_empty() {
            return Err(DataError::NoImages {
                path: root.to_path_buf(),
                kind: "PNG, JPEG, WebP, GIF, BMP or TIFF in a folder of its class",
            });
        }
        let mut named = walk
            .images
            .into_iter()
            .map(|path| Ok((class_of(root, &path)?, path)))
            .collect::<Result<Vec<(String, PathBuf)>>>()?;
        named.sort();
        let mut names: Vec<String> = Vec::new();
        let mut labels: Vec<i64> = Vec::with_capacity(named.len());
        for (class, _) in &named {
            if names.last() != Some(class) {
                names.push(class.clone());
            }
            labels.push(names.len() as i64 - 1);
        }
        let paths = named.into_iter().map(|(_, path)| path);
        let extras = Extras {
            skipped: walk.skipped,
            ..Extras::default()
        };
        let files = ImageFiles::with_extras(root, paths, labels, names, config, extras)?;
        Ok(Self { files })
    }

    /// Lists the images below `root` without classes: all have the label 0, whatever folder they lie in. For galleries.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for images in `root` itself and names of folders.
    pub fn open_unlabeled(root: impl AsRef<Path>, config: ImageFilesConfig) -> Result<Self> {
        let root = root.as_ref();
        let walk = walk::images(root, config.unreadable)?;
        if walk.images.is_empty() {
            return Err(DataError::NoImages {
                path: root.to_path_buf(),
                kind: "PNG, JPEG, WebP, GIF, BMP or TIFF",
            });
        }
        let mut paths = walk.images;
        paths.sort();
        let extras = Extras {
            skipped: walk.skipped,
            ..Extras::default()
        };
        let labels = vec![0i64; paths.len()];
        let files = ImageFiles::with_extras(root, paths, labels, ["images"], config, extras)?;
        Ok(Self { files })
    }

    /// The same images with classes numbered in another order, and rows sorted by class.
    ///
    /// # Errors
    /// [`DataError::Core`] never in practice: labels are built anew.
    pub fn with_class_order(self, order: ClassOrder) -> Result<Self> {
        let files = self.files.with_class_order(order)?;
        Ok(Self { files })
    }

    /// The files with their labels.
    #[must_use]
    pub fn files(&self) -> &ImageFiles {
        &self.files
    }

    /// The file of every row.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        self.files.paths()
    }

    /// The names of the classes: that of label 0 first. Sorted by their bytes unless
    /// [`with_class_order`](Self::with_class_order) chose another order.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        self.files.class_names()
    }

    /// The files and folders that were left out, with the reason ([rules](self)); those that the walk left out come first.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        self.files.skipped()
    }
}

/// The folder of an image relative to `root`, with `/` between names.
fn class_of(root: &Path, image: &Path) -> Result<String> {
    let folder = image.parent().unwrap_or(root);
    let relative = folder.strip_prefix(root).unwrap_or(folder);
    let mut class = String::new();
    for part in relative {
        let Some(part) = part.to_str() else {
            return Err(DataError::ClassName {
                folder: folder.to_path_buf(),
            });
        };
        if !class.is_empty() {
            class.push('/');
        }
        class.push_str(part);
    }
    if class.is_empty() {
        return Err(DataError::Unclassed {
            file: image.to_path_buf(),
        });
    }
    Ok(class)
}

impl ImageSource for ImageFolder {
    fn labels(&self) -> &Labels {
        ImageSource::labels(&self.files)
    }

    fn shape(&self) -> [usize; 3] {
        self.files.shape()
    }

    fn image(&self, row: usize) -> Result<Image> {
        self.files.image(row)
    }
}

impl Dataset for ImageFolder {
    fn labels(&self) -> &Labels {
        Dataset::labels(&self.files)
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<Examples> {
        self.files.fetch(rows, seed)
    }
}

#[cfg(test)]
mod tests;
