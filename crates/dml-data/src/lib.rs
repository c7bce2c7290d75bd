#![doc = include_str!("../README.md")]

mod error;
#[cfg(any(feature = "download", feature = "images"))]
mod file_kind;

mod class_labels;
pub mod idx;
mod image_dataset;
mod normalized_images;

pub mod class_split;
mod subset;

mod image;
mod image_source;
mod label_level;
#[cfg(test)]
mod mutation;
mod resampling;
mod tensor_dataset;
mod token_dataset;

pub mod augment;
pub mod augmented_images;

#[cfg(feature = "images")]
pub mod archives;
#[cfg(feature = "images")]
mod class_order;
#[cfg(feature = "images")]
mod contents;
#[cfg(feature = "images")]
pub mod image_files;
#[cfg(feature = "images")]
pub mod image_folder;
#[cfg(feature = "images")]
pub mod image_preparation;
#[cfg(feature = "images")]
pub mod layouts;
#[cfg(feature = "images")]
pub mod manifest;
#[cfg(feature = "images")]
pub mod pair_table;
#[cfg(feature = "parquet")]
pub mod parquet_file;
#[cfg(feature = "images")]
mod pixel_box;

mod cache_folder;
#[cfg(feature = "download")]
pub mod download;
mod emnist;
mod idx_images;
pub mod mnist;

pub mod synthetic;

pub use dml_core;

pub use cache_folder::cache_folder;
pub use error::{DataError, Result};
pub use idx::{Idx, IdxElement};
pub use image_dataset::{ImageDataset, Normalization, TrainTest};
pub use normalized_images::NormalizedImages;

pub use class_split::{ClassSplit, TestClasses};
pub use subset::Subset;

pub use self::image::Image;
pub use image_source::ImageSource;
pub use label_level::LabelLevel;
pub use tensor_dataset::TensorDataset;
pub use token_dataset::TokenDataset;

pub use augmented_images::AugmentedImages;

#[cfg(feature = "images")]
pub use class_order::ClassOrder;
#[cfg(feature = "images")]
pub use contents::{Contents, FilePart, PixelArray, PixelOrder, Pixels};
#[cfg(feature = "images")]
pub use image_files::{ImageFiles, ImageFilesConfig, Resize, SkippedFile, SkippedKind, Unreadable};
#[cfg(feature = "images")]
pub use image_folder::ImageFolder;
#[cfg(feature = "images")]
pub use image_preparation::{ImagePreparation, ImagePreparationConfig};
#[cfg(feature = "images")]
pub use manifest::{Entry, Manifest, ManifestColumns, ManifestConfig, Role};
#[cfg(feature = "images")]
pub use pair_table::{ImagePair, Pair, PairColumns, PairList, PairTable, PairTableConfig};
#[cfg(feature = "images")]
pub use pixel_box::PixelBox;

pub use emnist::{Emnist, load_qmnist};
pub use mnist::{Digest, MnistFile, MnistVariant};
