//! Data sets in one file: tar archives of samples, and arrays of NumPy.
//!
//! | file | read by | gives |
//! |---|---|---|
//! | `.tar` of WebDataset | [`WebDataset`] | a [`Manifest`](crate::Manifest) whose images stay in the archive |
//! | `.npy`, `.npz` | [`Npy`], [`Npz`] | arrays of bytes, whole numbers, real numbers or texts |
//! | `.npz` of images or features with labels | [`ArrayDataset`] | a [`Manifest`](crate::Manifest) or a [`TensorDataset`](crate::TensorDataset) |
//!
//! What a header says is checked against the bytes that are there and against a limit before memory is reserved.

mod array_dataset;
mod npy;
mod npz;
mod shards;
mod tar_members;
#[cfg(feature = "download")]
pub(crate) mod unpack;
mod web_dataset;

pub use array_dataset::{ArrayDataset, ArrayDatasetConfig, AxisOrder};
pub use npy::{Npy, NpyValues};
pub use npz::Npz;
pub use shards::shards;
pub use web_dataset::{WebDataset, WebDatasetConfig};
