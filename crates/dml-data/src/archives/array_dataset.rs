//! Images or features with labels, in one file of arrays.
//!
//! ```text
//! np.savez("train.npz", x=images, y=labels)
//! ```
//!
//! Bytes `[rows, height, width]`, `[rows, height, width, channels]` or `[rows, channels, height, width]` are images, and
//! become a [`Manifest`]; any other numbers `[rows, …]` are features, and become a [`TensorDataset`].

use std::path::Path;
use std::sync::Arc;

use dml_core::candle_core::{DType, Device};

use super::{Npy, NpyValues, Npz};
use crate::{
    ClassOrder, Contents, DataError, Entry, Manifest, PixelArray, PixelOrder, Pixels, Result,
    TensorDataset,
};

/// Where the channels of images stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AxisOrder {
    /// Where the one dimension of 1, 3 or 4 is that can be channels. If both can be, that is an error.
    #[default]
    Detect,
    /// `[rows, channels, height, width]`.
    ChannelsFirst,
    /// `[rows, height, width, channels]`.
    ChannelsLast,
}

dml_core::config! {
    /// How a file of arrays is read.
    #[derive(Eq)]
    pub struct ArrayDatasetConfig {
        /// Name of the array of images or features. Default `x`.
        pub data: String = "x".to_owned(),
        /// Name of the array of labels: whole numbers or texts. Default `y`.
        pub labels: String = "y".to_owned(),
        /// Where the channels of images stand. Default: found by the sizes.
        pub axes: AxisOrder = AxisOrder::Detect,
        /// Most bytes of memory of one array. Default [`Npy::MEMORY_LIMIT`].
        pub memory_limit: u64 = Npy::MEMORY_LIMIT,
    }
}

/// What is in a file of arrays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ArrayDataset {
    /// Images.
    Images(Manifest),
    /// Features, and the names of the classes: that of label 0 first.
    Features(TensorDataset, Vec<String>),
}

impl ArrayDataset {
    /// Reads a `.npz` file. Classes are numbered in the order of their names, whole numbers by their value.
    ///
    /// # Errors
    /// As [`Npz::open`] and [`Npz::array`]; [`DataError::Malformed`] for arrays of other shapes or types,
    /// [`DataError::LabelCount`] unless there is one label for each row.
    pub fn read(path: impl AsRef<Path>, config: &ArrayDatasetConfig) -> Result<Self> {
        let mut file = Npz::open_within(path, config.memory_limit)?;
        let data = file.array(&config.data)?;
        let labels = file.array(&config.labels)?;
        Self::of_arrays(file.path(), data, &labels, config.axes)
    }

    /// Reads two `.npy` files: images or features, and labels.
    ///
    /// # Errors
    /// As [`Npy::read`], and as [`read`](Self::read).
    pub fn read_pair(
        data: impl AsRef<Path>,
        labels: impl AsRef<Path>,
        config: &ArrayDatasetConfig,
    ) -> Result<Self> {
        let path = data.as_ref();
        let data = Npy::read_within(path, config.memory_limit)?;
        let labels = Npy::read_within(labels, config.memory_limit)?;
        Self::of_arrays(path, data, &labels, config.axes)
    }

    fn of_arrays(path: &Path, data: Npy, labels: &Npy, axes: AxisOrder) -> Result<Self> {
        let fault = |expected, found: String| DataError::Malformed {
            file: path.to_path_buf(),
            place: "data".to_owned(),
            expected,
            found,
        };
        let names = labels.to_names(path)?;
        let rows = data.dims().first().copied().unwrap_or(0);
        if rows != names.len() {
            return Err(DataError::LabelCount {
                labels: path.display().to_string(),
                expected: rows,
                found: names.len(),
            });
        }
        if rows == 0 {
            return Err(DataError::NoImages {
                path: path.to_path_buf(),
                kind: "one a row of the array",
            });
        }
        let dims = data.dims().to_vec();
        let is_bytes = matches!(data.values(), NpyValues::Bytes(_));
        match (is_bytes, &dims[1..]) {
            (true, &[height, width]) => {
                images(path, data, [1, height, width], PixelOrder::Planes, names)
            }
            (true, &[a, b, c]) => {
                let can_be = |channels| matches!(channels, 1 | 3 | 4);
                let order = match (axes, can_be(a), can_be(c)) {
                    (AxisOrder::ChannelsFirst, true, _) | (AxisOrder::Detect, true, false) => {
                        PixelOrder::Planes
                    }
                    (AxisOrder::ChannelsLast, _, true) | (AxisOrder::Detect, false, true) => {
                        PixelOrder::Interleaved
                    }
                    (AxisOrder::Detect, true, true) => {
                        let expected = "one dimension that can be channels, or `axes` to say which";
                        return Err(fault(expected, format!("an array of shape {dims:?}")));
                    }
                    _ => {
                        let expected = "images of 1, 3 or 4 channels";
                        return Err(fault(expected, format!("an array of shape {dims:?}")));
                    }
                };
                let shape = match order {
                    PixelOrder::Planes => [a, b, c],
                    PixelOrder::Interleaved => [c, a, b],
                };
                images(path, data, shape, order, names)
            }
            (_, rest) if !rest.is_empty() && !matches!(data.values(), NpyValues::Texts(_)) => {
                let mut classes = names.clone();
                classes.sort_by(|a, b| ClassOrder::Number.compare(a, b));
                classes.dedup();
                let place = |name: &String| {
                    let order = |own: &String| ClassOrder::Number.compare(own, name);
                    classes
                        .binary_search_by(order)
                        .map_or(-1, |place| place as i64)
                };
                let labels: Vec<i64> = names.iter().map(place).collect();
                let mut tensor = data.to_tensor(&Device::Cpu)?;
                if tensor.dtype() == DType::F16 {
                    tensor = tensor.to_dtype(DType::F32).map_err(dml_core::Error::from)?;
                }
                Ok(Self::Features(TensorDataset::new(tensor, labels)?, classes))
            }
            _ => {
                let expected = "an array of numbers [rows, …]";
                Err(fault(expected, format!("one of shape {dims:?}")))
            }
        }
    }
}

fn images(
    path: &Path,
    data: Npy,
    shape: [usize; 3],
    order: PixelOrder,
    names: Vec<String>,
) -> Result<ArrayDataset> {
    let NpyValues::Bytes(bytes) = data.into_values() else {
        // The caller passes arrays of bytes.
        return Err(DataError::NoImages {
            path: path.to_path_buf(),
            kind: "one a row of the array",
        });
    };
    let array = Arc::new(PixelArray::new(
        path.display().to_string(),
        bytes,
        shape,
        order,
    )?);
    let entries = names.into_iter().enumerate().map(|(row, name)| Entry {
        contents: Pixels::of(&array, row).map(Contents::Pixels),
        ..Entry::new(path.join(row.to_string()), name)
    });
    let manifest = Manifest::new(path, entries.collect::<Vec<_>>())?;
    let manifest = manifest.with_class_order(ClassOrder::Number);
    Ok(ArrayDataset::Images(manifest))
}

#[cfg(test)]
mod tests;
