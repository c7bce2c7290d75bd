//! Images in files, decoded one by one when they are asked for.
//!
//! ```text
//! bytes → decoded → turned as its EXIF tag says → grey or red, green, blue → resized → value / 255
//! ```
//!
//! PNG and JPEG are told apart by their first bytes, whatever the file is called. Grey is the sRGB luminance
//! `0.2126 R + 0.7152 G + 0.0722 B`; a grey image has its one channel three times where colour is asked for.
//! Transparency is left out. Resizing weighs all pixels under each new one by a triangle, so that a small copy of a
//! large photo doesn't flicker.

mod decoding;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dml_core::{Dataset, Examples, IntoLabels, Labels, check};
use rayon::prelude::*;

use crate::image::check_size;
use crate::{DataError, Image, ImageSource, Result};

/// How an image of any size becomes one of the size that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Resize {
    /// Height and width each by a factor of its own: nothing is lost, proportions are.
    #[default]
    Stretch,
    /// The largest part from the middle that has the right proportions.
    CenterCrop,
    /// The whole image in its own proportions, in the middle of black.
    Pad,
}

/// What to do about files that can't be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Unreadable {
    /// Nothing is decoded ahead of time; whoever asks for such an image gets an error with the file's name.
    #[default]
    Refuse,
    /// Every file is decoded once at the beginning, in parallel, and those that can't be are left out
    /// ([list](ImageFiles::skipped)). It takes as long as reading all images once.
    Skip,
}

/// How files become images.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct ImageFilesConfig {
    /// Height and width in pixels, 1 to 16,384. Default 64 and 64.
    pub size: [usize; 2],
    /// 1 for grey, 3 for red, green and blue. Default 3.
    pub channels: usize,
    /// How images get their size. Default: stretched.
    pub resize: Resize,
    /// What to do about files that can't be decoded. Default: refuse them.
    pub unreadable: Unreadable,
    /// How many classes there must be. Default 1; to train on, at least 2.
    pub min_classes: usize,
}

impl Default for ImageFilesConfig {
    fn default() -> Self {
        Self {
            size: [64, 64],
            channels: 3,
            resize: Resize::default(),
            unreadable: Unreadable::default(),
            min_classes: 1,
        }
    }
}

impl ImageFilesConfig {
    fn check(&self) -> dml_core::Result<()> {
        check_size("size", self.size)?;
        let channels = self.channels;
        check::parameter(
            matches!(channels, 1 | 3),
            "channels",
            channels as f64,
            "1 or 3",
        )?;
        Ok(())
    }
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// Why it can't be decoded.
    pub reason: String,
}

/// Labelled image files ([how they are read](self)): a [`Dataset`] of `[rows, channels, height, width]` with values in
/// `[0, 1]`. Cloning is cheap.
///
/// A [`Loader`](https://docs.rs/dml-train) reads batches in several threads; one batch is read by one thread, so that
/// decoding does not take the processors away from the training step.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::{ImageFiles, ImageFilesConfig};
///
/// let folder = tempfile::tempdir()?;
/// let paths = ["dark.png", "bright.png"].map(|name| folder.path().join(name));
/// image::GrayImage::from_pixel(9, 5, image::Luma([51])).save(&paths[0])?;
/// image::GrayImage::from_pixel(4, 4, image::Luma([204])).save(&paths[1])?;
///
/// let config = ImageFilesConfig { size: [1, 2], channels: 1, ..ImageFilesConfig::default() };
/// let files = ImageFiles::new(folder.path(), paths, [0u8, 1], ["dark", "bright"], config)?;
/// let examples = files.fetch(&[1, 0], 0)?;
/// assert_eq!(examples.views()[0].dims(), [2, 1, 1, 2]);
/// assert_eq!(examples.views()[0].flatten_all()?.to_vec1::<f32>()?, [0.8, 0.8, 0.2, 0.2]);
/// assert_eq!(examples.labels().as_slice(), [1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFiles {
    source: Arc<Path>,
    paths: Arc<[PathBuf]>,
    labels: Labels,
    class_names: Arc<[String]>,
    skipped: Arc<[SkippedFile]>,
    config: ImageFilesConfig,
}

impl ImageFiles {
    /// Images in the files `paths`; labels are positions in `class_names`. `source` is the folder or table that they
    /// come from, for messages.
    ///
    /// # Errors
    /// [`DataError::Core`] for a size out of range or another number of channels than 1 and 3, [`DataError::LabelCount`] if
    /// there is not one label per path, [`DataError::Label`] for one without a name, [`DataError::NoImages`] and
    /// [`DataError::FewClasses`] if there are too few once undecodable files are skipped.
    pub fn new<S: Into<String>>(
        source: impl AsRef<Path>,
        paths: impl IntoIterator<Item = PathBuf>,
        labels: impl IntoLabels,
        class_names: impl IntoIterator<Item = S>,
        config: ImageFilesConfig,
    ) -> Result<Self> {
        config.check()?;
        let source = source.as_ref();
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let labels = labels.into_labels()?;
        let class_names: Arc<[String]> = class_names.into_iter().map(Into::into).collect();
        if labels.len() != paths.len() {
            return Err(DataError::LabelCount {
                labels: source.display().to_string(),
                expected: paths.len(),
                found: labels.len(),
            });
        }
        let known = |&label: &i64| (0..class_names.len() as i64).contains(&label);
        if let Some(position) = labels.as_slice().iter().position(|label| !known(label)) {
            return Err(DataError::Label {
                labels: source.display().to_string(),
                classes: class_names.len(),
                position,
                found: labels.as_slice()[position],
            });
        }
        let files = Self {
            source: source.into(),
            paths: paths.into(),
            labels,
            class_names,
            skipped: Arc::default(),
            config,
        };
        let files = match files.config.unreadable {
            Unreadable::Refuse => files,
            Unreadable::Skip => files.without_unreadable()?,
        };
        files.check_count()?;
        Ok(files)
    }

    /// Decodes every file, and leaves out those that can't be. Labels and names of classes stay what they are, even of
    /// a class that loses all its images.
    fn without_unreadable(self) -> Result<Self> {
        let rows: Vec<usize> = (0..self.paths.len()).collect();
        // In the order of the rows, whoever is done first. The pictures themselves are let go: all of them at once may
        // be more than the memory holds.
        let results: Vec<Result<()>> = rows
            .par_iter()
            .map(|&row| self.image(row).map(drop))
            .collect();
        let (mut kept, mut skipped) = (Vec::new(), Vec::new());
        for (row, result) in rows.into_iter().zip(results) {
            let path = self.paths[row].clone();
            match result {
                Ok(()) => kept.push(row),
                Err(DataError::Image { reason, .. }) => skipped.push(SkippedFile { path, reason }),
                Err(DataError::Io { source, .. }) => {
                    let reason = source.to_string();
                    skipped.push(SkippedFile { path, reason });
                }
                Err(other) => return Err(other),
            }
        }
        let labels: Vec<i64> = kept
            .iter()
            .map(|&row| self.labels.as_slice()[row])
            .collect();
        Ok(Self {
            paths: kept.iter().map(|&row| self.paths[row].clone()).collect(),
            labels: labels.into_labels()?,
            skipped: skipped.into(),
            ..self
        })
    }

    fn check_count(&self) -> Result<()> {
        if self.paths.is_empty() {
            return Err(DataError::NoImages {
                path: self.source.to_path_buf(),
                kind: "PNG or JPEG, that can be decoded",
            });
        }
        let mut classes = self.labels.as_slice().to_vec();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() < self.config.min_classes {
            return Err(DataError::FewClasses {
                path: self.source.to_path_buf(),
                expected: self.config.min_classes,
                found: classes.len(),
            });
        }
        Ok(())
    }

    /// The folder or table that the files come from.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The file of every row.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The names of the classes: that of label 0 first.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The files that were left out because they can't be decoded, in their order.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }

    /// How files become images.
    #[must_use]
    pub fn config(&self) -> &ImageFilesConfig {
        &self.config
    }
}

impl ImageSource for ImageFiles {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn shape(&self) -> [usize; 3] {
        let [height, width] = self.config.size;
        [self.config.channels, height, width]
    }

    fn image(&self, row: usize) -> Result<Image> {
        check::indices("rows", [row], self.paths.len())?;
        decoding::read(&self.paths[row], &self.config)
    }
}

impl Dataset for ImageFiles {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], _: u64) -> dml_core::Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.paths.len())?;
        let images = rows.iter().map(|&row| self.image(row));
        let images = images.collect::<Result<Vec<_>>>()?;
        Examples::new(Image::stack(&images, self.shape())?, rows, &self.labels)
    }
}

#[cfg(test)]
mod tests;
