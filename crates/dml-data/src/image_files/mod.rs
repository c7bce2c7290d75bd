//! Images in files, decoded one by one when they are asked for.
//!
//! ```text
//! bytes → decoded → grey or red, green, blue → turned as its EXIF tag says → resized → value / 255
//! ```
//!
//! The formats are PNG, JPEG, WebP, GIF, BMP and TIFF. The first bytes of a file decide its format, whatever its name
//! says. Of an animation the first frame is read, of a TIFF file the first image. Grey is the sRGB luminance
//! `0.2126 R + 0.7152 G + 0.0722 B`; a grey image has its one channel three times where colour is asked for.
//! Transparency is left out. Resizing is antialiased, and gives the bytes that Pillow gives for the same decoded pixels. The
//! pixels of a JPEG file may differ from Pillow's by a few levels: the standard leaves the rounding of the inverse transform and
//! the interpolation of chroma to the decoder.
//!
//! A file that ends before its image does is refused. So is an image that would take more memory than
//! [`memory_limit`](ImageFilesConfig::memory_limit): file, decoded pixels, their conversion, turning and resizing are
//! counted from the header, before any pixel is decoded.

mod decoding;
mod exif;
pub(crate) mod format;
mod jpeg;
mod layout;
mod memory;
mod skipped;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dml_core::{
    ChannelOrder, Crop, Dataset, Examples, ImageInput, Interpolation, IntoLabels, Labels, check,
};
use rayon::prelude::*;

use crate::class_labels::check_labels;
use crate::image::{LONGEST, check_size};
use crate::subset::pick;
use crate::{ClassOrder, Contents, DataError, Image, ImageSource, PixelBox, Result};

pub use skipped::{SkippedFile, SkippedKind};

/// How an image of any size becomes one of the size that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Resize {
    /// Height and width each by a factor of its own: nothing is lost, proportions are.
    #[default]
    Stretch,
    /// The largest part from the middle that has the right proportions.
    CenterCrop,
    /// The whole image in its own proportions, in the middle of black.
    Pad,
    /// The shortest side gets this length in pixels, at least that of the longer side of the size that is asked for, at
    /// most 16,384; the other side keeps the proportions. Then the middle is cut out. It is how torchvision prepares the
    /// images of most pretrained networks.
    ShortestSide(usize),
    /// Every image keeps its own size, and [`size`](ImageFilesConfig::size) has no effect. In training an augmentation such as
    /// [`RandomResizedCrop`](crate::augment::RandomResizedCrop) brings all images to one size.
    Keep,
}

impl Resize {
    fn is_kept(self) -> bool {
        self == Self::Keep
    }
}

/// What to do about files that can't be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Unreadable {
    /// Nothing is decoded ahead of time; reading such an image is an error with the file's name. A folder that can't be
    /// read is an error at once.
    #[default]
    Refuse,
    /// Every file is decoded once at the beginning, in parallel, and those that can't be are left out
    /// ([list](ImageFiles::skipped)), as are folders that can't be read. It takes as long as reading all images once.
    Skip,
}

dml_core::config! {
    /// How files become images.
    #[derive(Eq)]
    pub struct ImageFilesConfig {
        /// Height and width in pixels, 1 to 16,384. Default 64 and 64.
        pub size: [usize; 2] = [64, 64],
        /// 1 for grey, 3 for red, green and blue. Default 3.
        pub channels: usize = 3,
        /// How images get their size. Default: stretched.
        pub resize: Resize = Resize::default(),
        /// Filter of the resizing. Default: bilinear.
        pub interpolation: Interpolation = Interpolation::Bilinear,
        /// What to do about files that can't be decoded. Default: refuse them.
        pub unreadable: Unreadable = Unreadable::default(),
        /// How many classes there must be. Default 1; to train on, at least 2.
        pub min_classes: usize = 1,
        /// Most bytes of memory that one image may take while it is read, apart from the result. 1 MiB to 1 TiB; default
        /// 512 MiB, enough for a photo of 100 megapixels. A loader reads one image a thread.
        pub memory_limit: u64 = 1 << 29,
    }
}

impl ImageFilesConfig {
    /// Colour images as a pretrained network expects them, but for the normalisation
    /// ([`NormalizeConfig::of_input`](crate::augment::NormalizeConfig::of_input)).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for an input out of range,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for another order of channels than red, green, blue.
    pub fn of_input(input: &ImageInput) -> dml_core::Result<Self> {
        input.check()?;
        let reason = "expected a network that reads red, green and blue in this order, got Bgr";
        let fits = input.channel_order == ChannelOrder::Rgb;
        check::supported(fits, "ImageFilesConfig::of_input", reason)?;
        let config = Self {
            size: input.size,
            resize: match input.crop {
                Crop::None => Resize::Stretch,
                _ => Resize::ShortestSide(input.resize),
            },
            interpolation: input.interpolation,
            ..Self::default()
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> dml_core::Result<()> {
        check_size("size", self.size)?;
        if let Resize::ShortestSide(side) = self.resize {
            let longer = self.size[0].max(self.size[1]);
            let expected = "a length in pixels from the longer side of size to 16384";
            let fits = (longer..=LONGEST).contains(&side);
            check::whole(fits, "resize", side, expected)?;
        }
        let fits = matches!(self.channels, 1 | 3);
        check::whole(fits, "channels", self.channels, "1 or 3")?;
        let expected = "1048576 (1 MiB) to 1099511627776 (1 TiB)";
        let fits = (1 << 20..=1 << 40).contains(&self.memory_limit);
        check::parameter(fits, "memory_limit", self.memory_limit as f64, expected)?;
        Ok(())
    }
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
    /// Where the image of every row is, if it isn't a file of its own; empty if all are.
    contents: Arc<[Option<Contents>]>,
    /// The part of the image of every row that is read; empty if all are read whole.
    boxes: Arc<[Option<PixelBox>]>,
    /// The position of every row in the list that the images come from.
    origins: Arc<[usize]>,
    /// The camera of every row, a position in the names; none if some row has none.
    cameras: Option<Arc<[i64]>>,
    camera_names: Arc<[String]>,
    skipped: Arc<[SkippedFile]>,
    config: ImageFilesConfig,
}

/// Rows of images that a table adds something to.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// The images that aren't files of their own; empty if all are.
    pub(crate) contents: Vec<Option<Contents>>,
    /// The parts of the images that are read; empty if all are read whole.
    pub(crate) boxes: Vec<Option<PixelBox>>,
    /// The camera of every row, a position in the names.
    pub(crate) cameras: Option<Vec<i64>>,
    pub(crate) camera_names: Arc<[String]>,
    /// Whether a label of −1 marks a row that is of no class.
    pub(crate) has_junk: bool,
    /// What was left out before.
    pub(crate) skipped: Vec<SkippedFile>,
}

/// Decodes the bytes of an image file as [`ImageFiles`] does ([how](self)); `name` is for errors.
///
/// # Errors
/// [`DataError::Image`] if the bytes can't be decoded within the memory limit, [`DataError::Core`] for a configuration
/// out of range.
pub fn decode(name: impl AsRef<Path>, bytes: &[u8], config: &ImageFilesConfig) -> Result<Image> {
    config.check()?;
    decoding::decode(name.as_ref(), bytes, None, config)
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
        Self::with_extras(
            source,
            paths,
            labels,
            class_names,
            config,
            Extras::default(),
        )
    }

    /// The same with what a table or a folder adds. `extras` has one entry for each path, or none.
    pub(crate) fn with_extras<S: Into<String>>(
        source: impl AsRef<Path>,
        paths: impl IntoIterator<Item = PathBuf>,
        labels: impl IntoLabels,
        class_names: impl IntoIterator<Item = S>,
        config: ImageFilesConfig,
        extras: Extras,
    ) -> Result<Self> {
        config.check()?;
        let source = source.as_ref();
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let labels = labels.into_labels()?;
        let class_names: Arc<[String]> = class_names.into_iter().map(Into::into).collect();
        let least = if extras.has_junk { -1 } else { 0 };
        let known = least..class_names.len() as i64;
        check_labels(source.display(), labels.as_slice(), paths.len(), known)?;
        let files = Self {
            source: source.into(),
            origins: (0..paths.len()).collect(),
            paths: paths.into(),
            labels,
            class_names,
            contents: extras.contents.into(),
            boxes: extras.boxes.into(),
            cameras: extras.cameras.map(Into::into),
            camera_names: extras.camera_names,
            skipped: extras.skipped.into(),
            config,
        };
        let files = match files.config.unreadable {
            Unreadable::Refuse => files,
            Unreadable::Skip => files.without_unreadable()?,
        };
        files.check_count()?;
        Ok(files)
    }

    /// Decodes every file, and leaves out those that can't be decoded. Labels and names of classes stay what they are, even of
    /// a class that loses all its images.
    fn without_unreadable(self) -> Result<Self> {
        let rows: Vec<usize> = (0..self.paths.len()).collect();
        // In the order of the rows, whoever is done first. The pictures themselves are let go: all of them at once may
        // be more than the memory holds.
        let results: Vec<Result<()>> = rows
            .par_iter()
            .map(|&row| self.image(row).map(drop))
            .collect();
        let (mut kept, mut skipped) = (Vec::new(), self.skipped.to_vec());
        for (row, result) in rows.into_iter().zip(results) {
            let (kind, reason) = match result {
                Ok(()) => {
                    kept.push(row);
                    continue;
                }
                Err(DataError::Image { reason, .. }) => (SkippedKind::Undecodable, reason),
                Err(DataError::Io { source, .. }) => (SkippedKind::Unreadable, source.to_string()),
                Err(DataError::FileKind { found, .. }) => (SkippedKind::NotAFile, found.to_owned()),
                Err(other) => return Err(other),
            };
            skipped.push(SkippedFile::new(self.paths[row].clone(), kind, reason));
        }
        self.with_rows(&kept, skipped)
    }

    /// The rows `rows` alone.
    fn with_rows(self, rows: &[usize], skipped: Vec<SkippedFile>) -> Result<Self> {
        let contents = rows.iter().filter_map(|&row| self.contents.get(row));
        let boxes = rows.iter().filter_map(|&row| self.boxes.get(row));
        let cameras = self.cameras.as_ref().map(|cameras| {
            let own = rows.iter().map(|&row| cameras[row]);
            own.collect::<Arc<[i64]>>()
        });
        Ok(Self {
            paths: rows.iter().map(|&row| self.paths[row].clone()).collect(),
            labels: pick(&self.labels, rows)?,
            contents: contents.cloned().collect(),
            boxes: boxes.copied().collect(),
            origins: rows.iter().map(|&row| self.origins[row]).collect(),
            cameras,
            skipped: skipped.into(),
            ..self
        })
    }

    /// Numbers the classes in another order, and sorts the rows by class.
    pub(crate) fn with_class_order(self, order: ClassOrder) -> Result<Self> {
        let mut places: Vec<usize> = (0..self.class_names.len()).collect();
        places.sort_by(|&a, &b| order.compare(&self.class_names[a], &self.class_names[b]));
        let mut new = vec![0i64; places.len()];
        for (i, &place) in places.iter().enumerate() {
            new[place] = i as i64;
        }
        // Junk keeps its label.
        let label = |old: i64| usize::try_from(old).map_or(old, |old| new[old]);
        let labels = self.labels.as_slice().iter();
        let labels: Vec<i64> = labels.map(|&old| label(old)).collect();
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.sort_by_key(|&row| labels[row]);
        let skipped = self.skipped.to_vec();
        let names = places.iter().map(|&place| self.class_names[place].clone());
        let renamed = Self {
            class_names: names.collect(),
            labels: labels.into_labels()?,
            ..self
        };
        renamed.with_rows(&rows, skipped)
    }

    fn check_count(&self) -> Result<()> {
        if self.paths.is_empty() {
            return Err(DataError::NoImages {
                path: self.source.to_path_buf(),
                kind: "PNG, JPEG, WebP, GIF, BMP or TIFF, that can be decoded",
            });
        }
        let labels = self.labels.as_slice().iter().copied();
        let mut classes: Vec<i64> = labels.filter(|&label| label >= 0).collect();
        classes.sort_unstable();
        classes.dedup();
        // A part that is all junk is a gallery that nothing is found in, and no mistake.
        let found = classes.len().max(1);
        if found < self.config.min_classes {
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

    /// The position of every row in the list of files, or among the lines of the table, that the images come from. They
    /// differ from the row's own number once undecodable files were [skipped](Unreadable::Skip).
    #[must_use]
    pub fn origins(&self) -> &[usize] {
        &self.origins
    }

    /// The names of the classes: that of label 0 first.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The camera of every row, a position in [`camera_names`](Self::camera_names); `None` unless the table names one for
    /// each of these rows. Queries and gallery of one table have the same numbers for the same cameras.
    #[must_use]
    pub fn cameras(&self) -> Option<&[i64]> {
        self.cameras.as_deref()
    }

    /// The names of all cameras of the table.
    #[must_use]
    pub fn camera_names(&self) -> &[String] {
        &self.camera_names
    }

    /// The files and folders that were left out, with the reason: whatever in a folder is no image, and images that
    /// can't be decoded if these are [skipped](Unreadable::Skip).
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }

    /// The same files, which become images in another way. None of them is decoded ahead of time.
    ///
    /// # Errors
    /// [`DataError::Core`] for a size out of range or another number of channels than 1 and 3.
    pub fn with_config(&self, config: ImageFilesConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            ..self.clone()
        })
    }

    /// Some of the files, in this order. Labels and names of classes stay what they are.
    ///
    /// # Errors
    /// [`DataError::Core`] for a row without a file, [`DataError::NoImages`] and [`DataError::FewClasses`] if there are too
    /// few.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        check::indices("rows", rows.iter().copied(), self.paths.len())?;
        let files = self.clone().with_rows(rows, Vec::new())?;
        files.check_count()?;
        Ok(files)
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
        let [height, width] = match self.config.resize {
            Resize::Keep => [0, 0],
            _ => self.config.size,
        };
        [self.config.channels, height, width]
    }

    fn image(&self, row: usize) -> Result<Image> {
        check::indices("rows", [row], self.paths.len())?;
        let (path, part) = (&self.paths[row], self.boxes.get(row).copied().flatten());
        match self.contents.get(row) {
            Some(Some(contents)) => decoding::read_contents(path, contents, part, &self.config),
            _ => decoding::read(path, part, &self.config),
        }
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
        let shape = match (self.config.resize, images.first()) {
            (Resize::Keep, Some(first)) => first.shape(),
            _ => self.shape(),
        };
        Examples::new(Image::stack(&images, shape)?, rows, &self.labels)
    }
}

#[cfg(test)]
mod tests;
