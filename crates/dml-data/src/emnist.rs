//! EMNIST and QMNIST: handwritten letters and digits in files like MNIST's.
//!
//! Cohen, Afshar, Tapson, van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017, arXiv:1702.05373;
//! Yadav, Bottou, "Cold Case: The Lost MNIST Digits", 2019, arXiv:1905.10498.

use std::path::Path;

use crate::idx_images::IdxDataset;
use crate::{Result, TrainTest};

/// One of EMNIST's ways to divide its characters into classes. Its files hold every image column by column; loading
/// turns them, so that characters stand upright as in MNIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Emnist {
    /// 62 unbalanced classes: digits, capital and small letters.
    ByClass,
    /// 47 unbalanced classes: small letters that look like their capital are merged with it.
    ByMerge,
    /// The 47 classes with equally many images each.
    Balanced,
    /// 26 letters, capital and small ones together. Labels are 1 to 26 in the files, and 0 to 25 once loaded.
    Letters,
    /// Ten digits, balanced.
    Digits,
    /// Ten digits, as many as MNIST has.
    Mnist,
}

/// The small letters that are classes of their own among the 47.
const SMALL: &str = "abdefghnqrt";

impl Emnist {
    /// The name in the files, such as `letters`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ByClass => "byclass",
            Self::ByMerge => "bymerge",
            Self::Balanced => "balanced",
            Self::Letters => "letters",
            Self::Digits => "digits",
            Self::Mnist => "mnist",
        }
    }

    /// What the labels mean, from 0 on.
    #[must_use]
    pub fn class_names(self) -> Vec<String> {
        let (digits, capitals) = ('0'..='9', 'A'..='Z');
        let names: Vec<char> = match self {
            Self::ByClass => digits.chain(capitals).chain('a'..='z').collect(),
            Self::ByMerge | Self::Balanced => digits.chain(capitals).chain(SMALL.chars()).collect(),
            Self::Letters => capitals.collect(),
            Self::Digits | Self::Mnist => digits.collect(),
        };
        names.into_iter().map(String::from).collect()
    }

    /// Reads `emnist-NAME-train-images-idx3-ubyte` and its three companions from `folder`, or from `raw`, `gzip`,
    /// `EMNIST/raw` or `EMNIST/raw/gzip` below it; each plain or compressed.
    ///
    /// # Errors
    /// As [`MnistVariant::load`](crate::MnistVariant::load).
    pub fn load(self, folder: impl AsRef<Path>) -> Result<TrainTest> {
        let name = self.name();
        let files = |split: &str| {
            ["images-idx3-ubyte", "labels-idx1-ubyte"]
                .map(|part| format!("emnist-{name}-{split}-{part}"))
        };
        let files = IdxDataset {
            name: format!("EMNIST {name}"),
            below: &["raw", "gzip", "raw/gzip", "EMNIST/raw", "EMNIST/raw/gzip"],
            files: ["train", "test"].map(files),
            first_label: i64::from(self == Self::Letters),
            is_transposed: true,
            class_names: self.class_names(),
        };
        files.load(folder.as_ref())
    }
}

/// Reads QMNIST's `qmnist-train-images-idx3-ubyte`, `qmnist-train-labels-idx2-int` and the two files of `test` from
/// `folder`, or from `raw` or `QMNIST/raw` below it; each plain or compressed. The label is the first of the eight numbers
/// that the files have for an image.
///
/// # Errors
/// As [`MnistVariant::load`](crate::MnistVariant::load).
pub fn load_qmnist(folder: impl AsRef<Path>) -> Result<TrainTest> {
    let files = |split: &str| {
        ["images-idx3-ubyte", "labels-idx2-int"].map(|part| format!("qmnist-{split}-{part}"))
    };
    let files = IdxDataset {
        name: "QMNIST".to_owned(),
        below: &["raw", "QMNIST/raw"],
        files: ["train", "test"].map(files),
        first_label: 0,
        is_transposed: false,
        class_names: (0..10).map(|digit| digit.to_string()).collect(),
    };
    files.load(folder.as_ref())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn idx(element: u8, dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, element, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    #[test]
    fn letters_stand_upright_and_begin_at_0() -> Result<()> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("gzip");
        fs::create_dir(&folder).unwrap();
        // A bar in the first row of the character: the first column of the file.
        let file: Vec<u8> = (0..784)
            .map(|i| if i % 28 == 0 { 255 } else { 0 })
            .collect();
        for (split, label) in [("train", 1), ("test", 26)] {
            let path = |part: &str| folder.join(format!("emnist-letters-{split}-{part}"));
            fs::write(path("images-idx3-ubyte"), idx(8, &[1, 28, 28], &file)).unwrap();
            fs::write(path("labels-idx1-ubyte"), idx(8, &[1], &[label])).unwrap();
        }
        let set = Emnist::Letters.load(root.path())?;
        assert_eq!(set.train.labels().as_slice(), [0]);
        assert_eq!(set.test.labels().as_slice(), [25]);
        assert_eq!(set.test.class_names()[25], "Z");
        let image = set.train.image(0);
        assert!(image[..28].iter().all(|&x| x == 255) && image[28..].iter().all(|&x| x == 0));
        let error = Emnist::Digits.load(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("emnist-digits-train-images-idx3-ubyte"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn every_division_has_its_classes() {
        let counts = [
            (Emnist::ByClass, 62),
            (Emnist::ByMerge, 47),
            (Emnist::Balanced, 47),
            (Emnist::Letters, 26),
            (Emnist::Digits, 10),
            (Emnist::Mnist, 10),
        ];
        for (division, count) in counts {
            assert_eq!(division.class_names().len(), count, "{division:?}");
        }
        assert_eq!(Emnist::Balanced.class_names()[36], "a");
        assert_eq!(Emnist::Balanced.class_names()[46], "t");
    }

    #[test]
    fn the_first_of_several_numbers_is_the_label() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let labels = include_bytes!("../tests/inputs/qmnist-labels-idx2-int");
        let array = crate::Idx::parse("labels", labels)?;
        assert_eq!(
            (array.dims(), array.element()),
            (&[2, 8][..], crate::IdxElement::I32)
        );
        let expected: Vec<i64> = array.integers().into_iter().step_by(8).collect();
        for split in ["train", "test"] {
            let path = |part: &str| folder.path().join(format!("qmnist-{split}-{part}"));
            fs::write(path("images-idx3-ubyte"), idx(8, &[2, 28, 28], &[7; 1568])).unwrap();
            fs::write(path("labels-idx2-int"), labels).unwrap();
        }
        let set = load_qmnist(folder.path())?;
        assert_eq!(set.train.labels().as_slice(), expected);
        assert_eq!(expected[0], 5);
        Ok(())
    }
}
