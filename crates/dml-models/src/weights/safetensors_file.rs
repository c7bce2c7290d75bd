//! The header of a safetensors file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::Metadata;

use super::entry::{Entry, InFile};
use super::storage;
use crate::error::{ModelError, Result};

/// Bytes of the header's length.
const LENGTH: u64 = 8;
/// Most bytes of a header, as in other readers of the format.
const MOST_HEADER: u64 = 100_000_000;

pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let (mut file, total) = storage::open(path)?;
    let wrong = |problem: String| ModelError::format(path, problem);
    if total < LENGTH {
        return Err(wrong(format!(
            "expected a safetensors file, found {total} bytes"
        )));
    }
    let length = storage::bytes(&mut file, path, 0, LENGTH as usize)?;
    let length = length.try_into().map_or(u64::MAX, u64::from_le_bytes);
    if length > MOST_HEADER || length > total - LENGTH {
        return Err(wrong(format!(
            "expected a safetensors file, found a header of {length} bytes in a file of {total}"
        )));
    }
    let header = storage::bytes(&mut file, path, LENGTH, length as usize)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| wrong(format!("expected a safetensors header, found {error}")))?;
    let start = LENGTH + length;
    let expected = start.checked_add(header.data_len() as u64);
    if expected != Some(total) {
        let announced = header.data_len();
        return Err(wrong(format!(
            "expected {announced} bytes of tensors after the header, found {}",
            total - start
        )));
    }
    let path: Arc<Path> = path.into();
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let entry = InFile {
            path: path.clone(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            strides: None,
            offset: start + info.data_offsets.0 as u64,
        };
        (name, Entry::InFile(entry))
    };
    Ok(header.tensors().into_iter().map(entry).collect())
}
