//! Batches of token ids and the tokens in them that are padding.

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result};

/// Which tokens of a batch `[batch, length]` are padding.
#[derive(Clone, Debug)]
pub(crate) struct Padding {
    pub(crate) batch: usize,
    pub(crate) length: usize,
    /// 1 for padding, else 0.
    pub(crate) padded: Vec<u8>,
}

impl Padding {
    /// # Errors
    /// [`Error::Shape`] unless the ids are `[batch, length]`, not empty, and every row has a token that is no padding, [`Error::DType`]
    /// unless they are whole numbers.
    pub(crate) fn new(ids: &Tensor, pad: u32) -> Result<Self> {
        let [batch, length] = *ids.dims() else {
            return Err(Error::Shape {
                arg: "ids",
                expected: "[batch, length]",
                got: ids.dims().to_vec(),
            });
        };
        if ids.dtype().is_float() {
            return Err(Error::DType {
                arg: "ids",
                expected: "whole numbers: u8, u32 or i64",
                got: ids.dtype(),
            });
        }
        let ids = ids.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
        let padded: Vec<u8> = ids
            .iter()
            .map(|id| u8::from(*id == i64::from(pad)))
            .collect();
        let empty = length == 0
            || padded
                .chunks(length)
                .any(|row| row.iter().all(|own| *own == 1));
        if empty {
            return Err(Error::Shape {
                arg: "ids",
                expected: "[batch, length], not empty, with a token in every row that is no padding",
                got: vec![batch, length],
            });
        }
        Ok(Self {
            batch,
            length,
            padded,
        })
    }

    /// The rows of the batch.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.padded.chunks(self.length.max(1))
    }

    /// `[batch, length]` of `u8`, 1 for padding; none without padding.
    pub(crate) fn mask(&self, device: &Device) -> Result<Option<Tensor>> {
        if !self.padded.contains(&1) {
            return Ok(None);
        }
        let shape = (self.batch, self.length);
        Ok(Some(Tensor::from_vec(self.padded.clone(), shape, device)?))
    }
}
