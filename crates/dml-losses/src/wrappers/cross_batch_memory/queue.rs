//! A ring of rows with their labels, in which the newest rows take the places of the oldest.

use std::collections::HashMap;

use dml_core::candle_core::{DType, Device, Tensor};
use dml_core::{Error, Result, check};

/// The ring.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// `[memory_size, embedding_size]`; 0 in places that no row has taken yet.
    embeddings: Tensor,
    labels: Vec<i64>,
    /// The place of the next row.
    next: usize,
    /// Whether every place is taken.
    filled: bool,
}

/// The rows of the ring after some have been pushed.
pub(super) struct Rows {
    /// `[rows, embedding_size]`.
    pub(super) embeddings: Tensor,
    pub(super) labels: Vec<i64>,
    /// The places of the pushed rows.
    pub(super) pushed: Vec<u32>,
}

impl Queue {
    /// A ring without rows; `embeddings` are zeros.
    pub(super) fn empty(embeddings: Tensor) -> Self {
        Self {
            labels: vec![0; embeddings.dims()[0]],
            embeddings,
            next: 0,
            filled: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        if self.filled {
            self.labels.len()
        } else {
            self.next
        }
    }

    /// Removes every row.
    pub(super) fn clear(&mut self) -> Result<()> {
        *self = Self::empty(self.embeddings.zeros_like()?);
        Ok(())
    }

    /// Puts rows `[rows, embedding_size]` where the oldest are.
    ///
    /// The tensor is made anew instead of written to, since the graph of an earlier loss may still hold it.
    pub(super) fn push(&mut self, rows: &Tensor, labels: &[i64]) -> Result<Rows> {
        let (size, count, next) = (self.labels.len(), labels.len(), self.next);
        if count > size {
            check::length("embeddings (rows that fit into the memory)", size, count)?;
        }
        if count > 0 {
            let old = self
                .embeddings
                .to_dtype(rows.dtype())?
                .to_device(rows.device())?;
            let until_end = count.min(size - next);
            let wrapped = count - until_end;
            let parts = [
                rows.narrow(0, until_end, wrapped)?,
                old.narrow(0, wrapped, next - wrapped)?,
                rows.narrow(0, 0, until_end)?,
                old.narrow(0, next + until_end, size - next - until_end)?,
            ];
            self.embeddings = Tensor::cat(&parts, 0)?;
        }
        let places: Vec<usize> = (next..next + count).map(|place| place % size).collect();
        for (place, label) in places.iter().zip(labels) {
            self.labels[*place] = *label;
        }
        self.filled |= next + count >= size;
        self.next = (next + count) % size;
        Ok(Rows {
            embeddings: self.embeddings.narrow(0, 0, self.len())?,
            labels: self.labels[..self.len()].to_vec(),
            pushed: places.into_iter().map(|place| place as u32).collect(),
        })
    }

    /// The ring as tensors, with the names of PyTorch Metric Learning.
    pub(super) fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        let numbers = |x: &[i64]| Tensor::from_slice(x, x.len(), &Device::Cpu);
        let buffers = [
            ("embedding_memory", self.embeddings.clone()),
            ("label_memory", numbers(&self.labels)?),
            ("queue_idx", numbers(&[self.next as i64])?),
            ("has_been_filled", numbers(&[i64::from(self.filled)])?),
        ];
        Ok(buffers
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .into())
    }

    /// The ring of `shape` that [`buffers`](Self::buffers) gave.
    pub(super) fn from_buffers(
        buffers: &HashMap<String, Tensor>,
        shape: [usize; 2],
    ) -> Result<Self> {
        let find = |name: &'static str| {
            buffers
                .get(name)
                .ok_or(Error::missing("CrossBatchMemory", name))
        };
        let embeddings = find("embedding_memory")?;
        let expected = "[memory_size, embedding_size]";
        let fits = embeddings.dims() == shape;
        check::shape(fits, "embedding_memory", embeddings, expected)?;
        let numbers = |name: &'static str, expected: usize| -> Result<Vec<i64>> {
            let values = find(name)?.flatten_all()?.to_dtype(DType::I64)?;
            let values = values.to_vec1::<i64>()?;
            check::length(name, expected, values.len())?;
            Ok(values)
        };
        let [size, _] = shape;
        let labels = numbers("label_memory", size)?;
        let next = numbers("queue_idx", 1)?[0];
        let filled = numbers("has_been_filled", 1)?[0] != 0;
        if !(0..size as i64).contains(&next) {
            return Err(Error::Index {
                arg: "queue_idx",
                position: 0,
                limit: size,
                got: next,
            });
        }
        Ok(Self {
            embeddings: embeddings.detach(),
            labels,
            next: next as usize,
            filled,
        })
    }
}
