//! Images and labels in a pair of IDX files.

use std::path::{Path, PathBuf};

use crate::{DataError, Idx, IdxElement, ImageDataset, Result};

/// Height and width of the images.
const SIDE: usize = 28;

/// A pair of files, and what it means.
#[derive(Debug)]
pub(crate) struct IdxPair<'a> {
    /// What the data set is called, such as `MNIST, test`.
    pub(crate) source: String,
    /// The folder of the files.
    pub(crate) folder: &'a Path,
    /// Usual name of the file of images.
    pub(crate) images: String,
    /// Usual name of the file of labels.
    pub(crate) labels: String,
    /// The label of the first class.
    pub(crate) first_label: i64,
    /// Whether the images stand column by column.
    pub(crate) is_transposed: bool,
    pub(crate) class_names: Vec<String>,
}

impl IdxPair<'_> {
    /// Reads the pair. Labels are `[images]`, or the first column of `[images, columns]`.
    pub(crate) fn read(self) -> Result<ImageDataset> {
        let images = find(self.folder, &self.images)?;
        let labels = find(self.folder, &self.labels)?;
        let (pixels, classes) = rayon::join(|| Idx::open(&images), || Idx::open(&labels));
        let (pixels, classes) = (pixels?, classes?);
        let wrong = |file: &Path, array: &Idx, expected: &str| DataError::Dimensions {
            file: file.to_path_buf(),
            expected: expected.to_owned(),
            found: array.dims().to_vec(),
        };
        if pixels.element() != IdxElement::U8 {
            return Err(DataError::Element {
                file: images,
                expected: IdxElement::U8.name(),
                found: pixels.element().name(),
            });
        }
        let &[count, SIDE, SIDE] = pixels.dims() else {
            return Err(wrong(&images, &pixels, "[images, 28, 28]"));
        };
        let (found, columns) = match *classes.dims() {
            [found] => (found, 1),
            [found, columns] if columns > 0 => (found, columns),
            _ => return Err(wrong(&labels, &classes, "[labels] or [labels, columns]")),
        };
        if count != found {
            return Err(DataError::LabelCount {
                labels: labels.display().to_string(),
                expected: count,
                found,
            });
        }
        let own = classes.integers();
        let own = own.iter().step_by(columns);
        let own: Vec<i64> = own.map(|label| label - self.first_label).collect();
        let known = 0..self.class_names.len() as i64;
        if let Some(position) = own.iter().position(|label| !known.contains(label)) {
            return Err(DataError::Label {
                labels: labels.display().to_string(),
                classes: self.class_names.len(),
                position,
                found: own[position],
            });
        }
        let mut pixels = pixels.into_data();
        if self.is_transposed {
            pixels.chunks_exact_mut(SIDE * SIDE).for_each(transpose);
        }
        ImageDataset::new(&self.source, (SIDE, SIDE), pixels, own, self.class_names)
    }
}

/// Exchanges rows and columns of an image.
fn transpose(image: &mut [u8]) {
    for y in 0..SIDE {
        for x in 0..y {
            image.swap(y * SIDE + x, x * SIDE + y);
        }
    }
}

/// The first of `folder` and these folders below it that has one of the files; `folder` itself if none has.
pub(crate) fn home(folder: &Path, below: &[&str], names: &[String]) -> PathBuf {
    let candidates = below.iter().map(|below| folder.join(below));
    std::iter::once(folder.to_path_buf())
        .chain(candidates)
        .find(|candidate| names.iter().any(|name| find(candidate, name).is_ok()))
        .unwrap_or_else(|| folder.to_path_buf())
}

/// The file called `name`, whichever of its usual names it goes by.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    // Some copies are called `train-images.idx3-ubyte`.
    let dotted = name.replace("-idx", ".idx");
    let tried = [
        name.to_owned(),
        format!("{name}.gz"),
        format!("{dotted}.gz"),
        dotted,
    ];
    let mut paths = tried.iter().map(|name| folder.join(name));
    match paths.find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => Err(DataError::Missing {
            folder: folder.to_path_buf(),
            tried: tried.to_vec(),
        }),
    }
}
