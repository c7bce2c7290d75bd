//! Named tensors on disk, and whether they fit the things that they are to be put in.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Shape, Tensor};
use safetensors::tensor::{Metadata, SafeTensorError, TensorInfo, View};

use crate::durable;
use crate::error::without_backtrace;

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
    /// A tensor has a number that is NaN or infinite.
    #[error("{name}: expected finite numbers, got {value} at position {position}")]
    NotFinite {
        /// Its name.
        name: String,
        /// Where the first such number stands, counted in row-major order.
        position: usize,
        /// The number.
        value: f64,
    },
    /// A file is not as it was written.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file can't be read or written.
    #[error("can't read or write the tensors of {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Candle could not copy a tensor.
    #[error(transparent)]
    Tensor(candle_core::Error),
}

impl From<candle_core::Error> for CheckpointError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(without_backtrace(error))
    }
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

/// Whether all numbers of the tensors are finite. Whole numbers always are.
///
/// # Errors
/// [`CheckpointError::NotFinite`] for the first tensor by name that has NaN or an infinite number in it.
pub fn finite(tensors: &HashMap<String, Tensor>) -> Result<(), CheckpointError> {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort_unstable();
    for name in names {
        let tensor = &tensors[name];
        if !tensor.dtype().is_float() {
            continue;
        }
        let wide = tensor.flatten_all()?.to_dtype(DType::F64)?;
        let values = wide.to_vec1::<f64>()?;
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(CheckpointError::NotFinite {
                name: name.clone(),
                position,
                value: values[position],
            });
        }
    }
    Ok(())
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn at<E: Into<AnyError>>(path: &Path) -> impl FnOnce(E) -> CheckpointError {
    let path = path.to_owned();
    |source| CheckpointError::File {
        path,
        source: source.into(),
    }
}

/// The key of the checksum in the metadata of a safetensors file.
const CHECKSUM: &str = "dml.crc32";
/// Headers are filled up with spaces, so that tensors are aligned.
const ALIGNMENT: usize = 8;
/// The longest header that readers of safetensors files accept.
const MAX_HEADER: usize = 100_000_000 - ALIGNMENT;

/// Writes tensors to a safetensors file that is whole or absent, whatever happens to process or machine.
///
/// The file's metadata has a checksum of names, shapes, element types and values, which [`load`] verifies and which other
/// readers of safetensors files ignore.
///
/// # Errors
/// [`CheckpointError::File`] if the file can't be written.
pub fn save(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<(), CheckpointError> {
    let write = |part: &mut durable::Part| write_to(part, tensors);
    durable::write_with(path, write).map_err(at(path))
}

/// Writes tensors in the format of safetensors files.
fn write_to(out: &mut dyn Write, tensors: &HashMap<String, Tensor>) -> Result<(), AnyError> {
    // Bytes are read twice, and are to come from a GPU once.
    let on_host =
        |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(&Device::Cpu)?));
    let tensors: candle_core::Result<Vec<_>> = tensors.iter().map(on_host).collect();
    let mut tensors = tensors?;
    // The order of the format: the widest types first, so that every tensor is aligned.
    tensors.sort_by(|(a, left), (b, right)| {
        let (left, right) = (View::dtype(left), View::dtype(right));
        right.cmp(&left).then(a.cmp(b))
    });
    let mut infos = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for (name, tensor) in &tensors {
        let start = end;
        end += View::data_len(tensor);
        let info = TensorInfo {
            dtype: View::dtype(tensor),
            shape: tensor.dims().to_vec(),
            data_offsets: (start, end),
        };
        infos.push((name.clone(), info));
    }
    let mut checksum = checksum_of(infos.iter().map(|(name, info)| (name.as_str(), info)))?;
    for (_, tensor) in &tensors {
        checksum.update(&View::data(tensor));
    }
    let checksum = format!("{:08x}", checksum.finalize());
    let metadata = HashMap::from([(CHECKSUM.to_owned(), checksum)]);
    let mut header = serde_json::to_vec(&Metadata::new(Some(metadata), infos)?)?;
    if header.len() > MAX_HEADER {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in &tensors {
        out.write_all(&View::data(tensor))?;
    }
    Ok(())
}

/// A checksum that has taken in what describes the tensors, and goes on with their bytes.
fn checksum_of<'a>(
    infos: impl Iterator<Item = (&'a str, &'a TensorInfo)>,
) -> Result<crc32fast::Hasher, serde_json::Error> {
    let mut infos: Vec<_> = infos.collect();
    infos.sort_unstable_by_key(|(name, _)| *name);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&serde_json::to_vec(&infos)?);
    Ok(checksum)
}

/// Reads all tensors of a safetensors file. A file that [`save`] has written is compared with its checksum.
///
/// # Errors
/// [`CheckpointError::File`] if the file can't be read; [`CheckpointError::Damaged`] if it has another checksum than when
/// it was written.
pub fn load(path: &Path, device: &Device) -> Result<HashMap<String, Tensor>, CheckpointError> {
    let bytes = std::fs::read(path).map_err(at(path))?;
    verify(&bytes, path)?;
    candle_core::safetensors::load_buffer(&bytes, device)
        .map_err(|error| at(path)(without_backtrace(error)))
}

/// Compares a file with its checksum, if it has one.
fn verify(bytes: &[u8], path: &Path) -> Result<(), CheckpointError> {
    let read = safetensors::SafeTensors::read_metadata(bytes);
    let (length, metadata) = read.map_err(at(path))?;
    let own = metadata.metadata().as_ref();
    let Some(expected) = own.and_then(|own| own.get(CHECKSUM)) else {
        return Ok(());
    };
    let infos = metadata.tensors();
    let infos = infos.iter().map(|(name, info)| (name.as_str(), *info));
    let mut checksum = checksum_of(infos).map_err(at(path))?;
    checksum.update(bytes.get(ALIGNMENT + length..).unwrap_or_default());
    let got = format!("{:08x}", checksum.finalize());
    if *expected != got {
        let problem = format!("expected CRC-32 {expected} as when it was written, got {got}");
        return Err(CheckpointError::Damaged {
            path: path.to_owned(),
            problem,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
