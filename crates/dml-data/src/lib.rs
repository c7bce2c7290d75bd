#![doc = include_str!("../README.md")]

mod error;

pub mod idx;
mod image_dataset;
mod normalized_images;

mod cache_folder;
#[cfg(feature = "download")]
pub mod download;
pub mod mnist;

pub mod synthetic;

pub use dml_core;

pub use cache_folder::cache_folder;
pub use error::{DataError, Result};
pub use idx::Idx;
pub use image_dataset::{ImageDataset, Normalization, TrainTest};
pub use normalized_images::NormalizedImages;

pub use mnist::{Digest, MnistFile, MnistVariant};
