//! One tensor, in memory or in a file.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::check;
use safetensors::Dtype;

use super::storage;
use crate::error::{ModelError, Result};

/// Most dimensions of a tensor.
pub(super) const MOST_DIMENSIONS: usize = 16;

/// A tensor, in memory or in a file.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    InMemory(Tensor),
    InFile(InFile),
}

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct InFile {
    pub(super) path: Arc<Path>,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Distances of neighbours along each dimension, counted in elements; `None` for row-major order.
    pub(super) strides: Option<Vec<usize>>,
    /// Position of the first byte in the file.
    pub(super) offset: u64,
}

impl Entry {
    pub(super) fn in_memory(tensor: Tensor) -> Self {
        Self::InMemory(tensor)
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::InMemory(tensor) => tensor.dims(),
            Self::InFile(entry) => &entry.shape,
        }
    }

    pub(super) fn stored_type(&self) -> &'static str {
        match self {
            Self::InMemory(tensor) => tensor.dtype().as_str(),
            Self::InFile(entry) => named(entry.dtype),
        }
    }

    /// The tensor on the CPU in its own element type; truth values as bytes.
    pub(super) fn read(&self, name: &str) -> Result<Tensor> {
        match self {
            // A copy: a variable can't be set to its own value.
            Self::InMemory(tensor) => Ok(tensor.detach().copy()?),
            Self::InFile(entry) => entry.read(name),
        }
    }
}

impl InFile {
    fn read(&self, name: &str) -> Result<Tensor> {
        let dtype = candle_type(self.dtype).ok_or_else(|| {
            let problem = format!(
                "{name}: expected numbers of 16, 32 or 64 bits or bytes, found {}",
                named(self.dtype)
            );
            ModelError::format(&self.path, problem)
        })?;
        let size = dtype.size_in_bytes();
        let count = check::elements("elements of a tensor", &self.shape, size)?;
        let (mut file, _) = storage::open(&self.path)?;
        let Some(strides) = &self.strides else {
            let bytes = storage::bytes(&mut file, &self.path, self.offset, count * size)?;
            return tensor(&bytes, dtype, &self.shape);
        };
        let span = span(&self.shape, strides).ok_or_else(|| {
            let problem = format!("{name}: expected strides of a tensor, found {strides:?}");
            ModelError::format(&self.path, problem)
        })?;
        let length = check::elements("elements of a storage", &[span], size)? * size;
        let bytes = storage::bytes(&mut file, &self.path, self.offset, length)?;
        tensor(
            &in_row_major_order(&bytes, size, &self.shape, strides),
            dtype,
            &self.shape,
        )
    }
}

fn tensor(bytes: &[u8], dtype: DType, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_raw_buffer(bytes, dtype, shape, &Device::Cpu)?)
}

/// Number of elements from the first to the last of a tensor with strides; `None` for more than there can be.
pub(super) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.len() != strides.len() {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    let mut last = 0usize;
    for (size, stride) in shape.iter().zip(strides) {
        last = last.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    last.checked_add(1)
}

/// The elements of a tensor with strides, in row-major order.
fn in_row_major_order(bytes: &[u8], size: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let count = shape.iter().product::<usize>();
    let mut ordered = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let position: usize = index
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum();
        ordered.extend_from_slice(&bytes[position * size..][..size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    ordered
}

/// The element type of Candle with the same bytes.
fn candle_type(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::BOOL | Dtype::U8 => Some(DType::U8),
        Dtype::I16 => Some(DType::I16),
        Dtype::I32 => Some(DType::I32),
        Dtype::U32 => Some(DType::U32),
        Dtype::I64 => Some(DType::I64),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        Dtype::F32 => Some(DType::F32),
        Dtype::F64 => Some(DType::F64),
        _ => None,
    }
}

/// An element type in a word.
pub(super) fn named(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::BOOL => "bool",
        Dtype::U8 => "u8",
        Dtype::I8 => "i8",
        Dtype::I16 => "i16",
        Dtype::U16 => "u16",
        Dtype::I32 => "i32",
        Dtype::U32 => "u32",
        Dtype::I64 => "i64",
        Dtype::U64 => "u64",
        Dtype::F16 => "f16",
        Dtype::BF16 => "bf16",
        Dtype::F32 => "f32",
        Dtype::F64 => "f64",
        Dtype::C64 => "complex numbers",
        _ => "numbers of 8 bits or fewer",
    }
}
