//! MNIST and the data sets that come in its four files.
//!
//! "The MNIST database of handwritten digits", 1998, first used in "Gradient-Based Learning Applied to Document
//! Recognition", 1998; Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
//! Algorithms", 2017, arXiv:1708.07747.

use std::fmt;
use std::path::Path;

use crate::idx_images::IdxDataset;
use crate::{Normalization, Result, TrainTest};

/// A data set of 60,000 + 10,000 grey images of 28 × 28 pixels in ten classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MnistVariant {
    /// Handwritten digits.
    Mnist,
    /// Articles of clothing.
    FashionMnist,
}

/// One of the four files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MnistFile {
    /// Its name, without `.gz`.
    pub name: &'static str,
    /// The dimensions of the array in it.
    pub dims: &'static [usize],
    /// What its contents are known by.
    pub digest: Digest,
}

/// A digest in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Digest {
    /// SHA-256 of the uncompressed bytes: the same for every compression.
    Sha256(&'static str),
    /// MD5 of the compressed file, where its authors publish no other.
    Md5OfCompressed(&'static str),
    /// SHA-256 of the file as it is downloaded.
    Sha256OfFile(&'static str),
    /// MD5 of the file as it is downloaded, where its authors publish no other.
    Md5OfFile(&'static str),
}

const IMAGES: [&[usize]; 2] = [&[60_000, 28, 28], &[10_000, 28, 28]];
const LABELS: [&[usize]; 2] = [&[60_000], &[10_000]];
const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];
const MNIST_DIGESTS: [Digest; 4] = [
    Digest::Sha256("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    Digest::Sha256("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    Digest::Sha256("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    Digest::Sha256("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];
const FASHION_MNIST_DIGESTS: [Digest; 4] = [
    Digest::Md5OfCompressed("8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    Digest::Sha256("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    Digest::Md5OfCompressed("bef4ecab320f06d8554ea6380940ec79"),
    Digest::Sha256("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
];

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => write!(f, "SHA-256 {digest} of the uncompressed bytes"),
            Self::Md5OfCompressed(digest) => write!(f, "MD5 {digest} of the compressed file"),
            Self::Sha256OfFile(digest) => write!(f, "SHA-256 {digest} of the file"),
            Self::Md5OfFile(digest) => write!(f, "MD5 {digest} of the file"),
        }
    }
}

impl MnistVariant {
    /// The name that people know the data set by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
        }
    }

    /// The name of its folder.
    #[must_use]
    pub fn folder_name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// What the ten labels mean.
    #[must_use]
    pub fn class_names(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
        }
    }

    /// Mean and standard deviation of the training images.
    #[must_use]
    pub fn normalization(self) -> Normalization {
        match self {
            Self::Mnist => Normalization::MNIST,
            Self::FashionMnist => Normalization::FASHION_MNIST,
        }
    }

    /// Training images and labels, test images and labels.
    ///
    /// Fashion-MNIST's images are known by the MD5 digests that its authors publish, all other files by SHA-256.
    #[must_use]
    pub fn files(self) -> [MnistFile; 4] {
        std::array::from_fn(|i| MnistFile {
            name: NAMES[i],
            dims: if i % 2 == 0 {
                IMAGES[i / 2]
            } else {
                LABELS[i / 2]
            },
            digest: match self {
                Self::Mnist => MNIST_DIGESTS[i],
                Self::FashionMnist => FASHION_MNIST_DIGESTS[i],
            },
        })
    }

    /// Reads the four files from `folder`, each plain or compressed, with or without `.gz` in its name.
    ///
    /// They may also lie where torchvision puts them: in `raw`, in `MNIST/raw` or in `FashionMNIST/raw` below the folder.
    /// Any number of images is accepted, so excerpts can be read too, as long as there is one label for each.
    ///
    /// # Errors
    /// [`DataError::Missing`] if a file is not there, [`DataError::Dimensions`], [`DataError::Element`],
    /// [`DataError::LabelCount`] or [`DataError::Label`] if the files are not what they should be, and as [`Idx::open`].
    ///
    /// [`DataError::Missing`]: crate::DataError::Missing
    /// [`DataError::Dimensions`]: crate::DataError::Dimensions
    /// [`DataError::Element`]: crate::DataError::Element
    /// [`DataError::LabelCount`]: crate::DataError::LabelCount
    /// [`DataError::Label`]: crate::DataError::Label
    /// [`Idx::open`]: crate::Idx::open
    pub fn load(self, folder: impl AsRef<Path>) -> Result<TrainTest> {
        let below = match self {
            Self::Mnist => ["raw", "MNIST/raw"],
            Self::FashionMnist => ["raw", "FashionMNIST/raw"],
        };
        let [train_images, train_labels, test_images, test_labels] = NAMES.map(str::to_owned);
        let files = IdxDataset {
            name: self.name().to_owned(),
            below: &below,
            files: [[train_images, train_labels], [test_images, test_labels]],
            first_label: 0,
            is_transposed: false,
            class_names: self.class_names().map(str::to_owned).to_vec(),
        };
        files.load(folder.as_ref())
    }
}

#[cfg(test)]
mod tests;
