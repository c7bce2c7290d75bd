//! Data sets of four IDX files: images and labels, for training and for test.

use std::path::{Path, PathBuf};

use crate::class_labels::check_labels;
use crate::{DataError, Idx, IdxElement, ImageDataset, Result, TrainTest};

/// Height and width of the images.
const SIDE: usize = 28;

/// A published data set of four IDX files, and what they mean.
#[derive(Debug)]
pub(crate) struct IdxDataset<'a> {
    /// What the data set is called, such as `MNIST`.
    pub(crate) name: String,
    /// The folders below the given one that may hold the files instead.
    pub(crate) below: &'a [&'a str],
    /// Usual names of the files of images and labels, for training and for test.
    pub(crate) files: [[String; 2]; 2],
    /// The label of the first class.
    pub(crate) first_label: i64,
    /// Whether the images stand column by column.
    pub(crate) is_transposed: bool,
    pub(crate) class_names: Vec<String>,
}

impl IdxDataset<'_> {
    /// Reads the four files from `folder` or one below it.
    pub(crate) fn load(&self, folder: &Path) -> Result<TrainTest> {
        let home = self.home(folder);
        let [train, test] = &self.files;
        let (train, test) = rayon::join(
            || self.read(&home, "train", train),
            || self.read(&home, "test", test),
        );
        Ok(TrainTest {
            train: train?,
            test: test?,
        })
    }

    /// The first of `folder` and the folders below it that has one of the files; `folder` itself if none has.
    fn home(&self, folder: &Path) -> PathBuf {
        let below = self.below.iter().map(|below| folder.join(below));
        let has_one = |candidate: &PathBuf| {
            let mut names = self.files.iter().flatten();
            names.any(|name| find(candidate, name).is_ok())
        };
        let mut candidates = std::iter::once(folder.to_path_buf()).chain(below);
        let home = candidates.find(has_one);
        home.unwrap_or_else(|| folder.to_path_buf())
    }

    /// Reads a pair of files. Labels are `[images]`, or the first column of `[images, columns]`.
    fn read(&self, folder: &Path, split: &str, files: &[String; 2]) -> Result<ImageDataset> {
        let [images, labels] = files.each_ref().map(|name| find(folder, name));
        let (images, labels) = (images?, labels?);
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
        let columns = match *classes.dims() {
            [_] => 1,
            [_, columns] if columns > 0 => columns,
            _ => return Err(wrong(&labels, &classes, "[labels] or [labels, columns]")),
        };
        let own = classes.integers();
        let own = own.iter().step_by(columns);
        let own: Vec<i64> = own.map(|label| label - self.first_label).collect();
        let names = self.class_names.iter().map(String::as_str);
        check_labels(labels.display(), &own, count, 0..names.len() as i64)?;
        let mut pixels = pixels.into_data();
        if self.is_transposed {
            pixels.chunks_exact_mut(SIDE * SIDE).for_each(transpose);
        }
        let source = format!("{}, {split}", self.name);
        ImageDataset::new(&source, (SIDE, SIDE), pixels, own, names)
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
