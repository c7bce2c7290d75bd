//! Named tensors on disk, and whether they fit the things that they are to be put in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Shape, Tensor};

use crate::durable;

/// What can go wrong when parameters or the state of an optimiser are saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A tensor is not there.
    #[error("{name}: no tensor of that name")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has nowhere to go.
    #[error("{name}: nothing of that name to load it into")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the place that it is to be put in.
    #[error("{name}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape of its place.
        expected: Shape,
        /// Its own shape.
        got: Shape,
    },
    /// A tensor has another element type than the place that it is to be put in.
    #[error("{name}: expected element type {expected:?}, got {got:?}")]
    DType {
        /// Its name.
        name: String,
        /// The type of its place.
        expected: DType,
        /// Its own type.
        got: DType,
    },
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Candle could not copy a tensor.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Whether there is a tensor for every place and a place for every tensor.
///
/// # Errors
/// [`CheckpointError`] for the first that is missing, has no place, or is of another shape or element type.
pub fn fits<'a>(
    places: impl Iterator<Item = (&'a str, &'a Tensor)> + Clone,
    tensors: &HashMap<String, Tensor>,
) -> Result<(), CheckpointError> {
    for (name, place) in places.clone() {
        let name = name.to_owned();
        let Some(tensor) = tensors.get(&name) else {
            return Err(CheckpointError::Missing { name });
        };
        if tensor.shape() != place.shape() {
            return Err(CheckpointError::Shape {
                name,
                expected: place.shape().clone(),
                got: tensor.shape().clone(),
            });
        }
        if tensor.dtype() != place.dtype() {
            return Err(CheckpointError::DType {
                name,
                expected: place.dtype(),
                got: tensor.dtype(),
            });
        }
    }
    for name in tensors.keys() {
        if !places.clone().any(|(place, _)| place == name) {
            return Err(CheckpointError::Unexpected { name: name.clone() });
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> CheckpointError {
    let path = path.to_owned();
    |source| CheckpointError::File { path, source }
}

/// Writes tensors to a safetensors file beside its place, and moves it there when all of it is on the disk: a file of
/// that name is whole, whatever happens to process or machine.
///
/// # Errors
/// [`CheckpointError::File`] if the file can't be written.
pub fn save(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<(), CheckpointError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = safetensors::serialize_to_file(tensors, None, &part)
        .map_err(|error| at(path)(error.into()))
        .and_then(|()| durable::replace(&part, path).map_err(|error| at(path)(error.into())));
    if written.is_err() {
        // What is left of it is of no use to anybody; if there is nothing to remove, all the better.
        std::fs::remove_file(&part).ok();
    }
    written
}

/// Reads all tensors of a safetensors file.
///
/// # Errors
/// [`CheckpointError::File`] if the file can't be read.
pub fn load(path: &Path, device: &Device) -> Result<HashMap<String, Tensor>, CheckpointError> {
    candle_core::safetensors::load(path, device).map_err(|error| at(path)(error.into()))
}
