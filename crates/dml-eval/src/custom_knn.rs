//! Exact search by any distance.
//!
//! The distance's own matrix is taken in blocks of queries, and the closest of each row are picked: the smallest of a
//! distance, the largest of a similarity. Slower than [`FlatIndex`](crate::FlatIndex), whose three metrics are known.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::fused::{Element, with_slice};
use dml_core::kernels::nearest::{Nearest, closest_of_rows};
use dml_core::{Distance, Order, Result, check, for_element};

use crate::rows::checked_rows;
use crate::{KnnIndex, Neighbors, OwnRow};

/// Entries of the distance matrix that are in memory at a time, where the configuration leaves it open.
const ENTRIES: usize = 1 << 22;

/// Knobs of [`CustomKNN`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct CustomKNNConfig {
    /// Queries whose distances are in memory at a time; at least 1. Default: as many as make a matrix of about four
    /// million entries.
    pub batch_size: Option<usize>,
}

/// Exact nearest neighbours by any [`Distance`]; its values are the distances that are found.
///
/// A distance that is not a number counts as further than every other.
#[derive(Clone, Debug)]
pub struct CustomKNN {
    batch_size: Option<usize>,
    distance: Arc<dyn Distance>,
    references: Option<Tensor>,
}

impl CustomKNN {
    /// An index without references.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `batch_size` is 0.
    pub fn new(config: CustomKNNConfig, distance: Arc<dyn Distance>) -> Result<Self> {
        let batch_size = config.batch_size;
        let batch_size = batch_size.map(|size| check::at_least_one("batch_size", size));
        Ok(Self {
            batch_size: batch_size.transpose()?,
            distance,
            references: None,
        })
    }

    /// Rows that can be compared with those that are there.
    fn checked(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        let dim = self.references.as_ref().map(|rows| rows.dims()[1]);
        let dtype = self.references.as_ref().map(Tensor::dtype);
        checked_rows(arg, rows, dim, dtype)
    }
}

impl KnnIndex for CustomKNN {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let new = self.checked("references", references)?;
        self.references = Some(match &self.references {
            None => new,
            Some(old) => Tensor::cat(&[old, &new], 0)?,
        });
        Ok(())
    }

    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> Result<Neighbors> {
        let queries = self.checked("queries", queries)?;
        let count = queries.dims()[0];
        own.check(count, self.len(), k)?;
        let Some(references) = &self.references else {
            return Ok(Neighbors::default());
        };
        let largest_first = self.distance.order() == Order::LargerIsCloser;
        let block = self
            .batch_size
            .unwrap_or(ENTRIES / references.dims()[0])
            .max(1);
        let mut found = Neighbors {
            distances: Vec::with_capacity(count * k),
            indices: Vec::with_capacity(count * k),
            k,
        };
        for start in (0..count).step_by(block) {
            let queries = queries.narrow(0, start, block.min(count - start))?;
            let matrix = self.distance.matrix(&queries, Some(references))?;
            let matrix = matrix.to_device(&Device::Cpu)?;
            let own = |q: usize| own.of(start + q);
            let nearest = for_element!(matrix, "distance matrix", |T| closest::<T>(
                &matrix,
                k,
                largest_first,
                own
            ))?;
            found.distances.extend(nearest.values);
            found.indices.extend(nearest.indices);
        }
        Ok(found)
    }

    fn len(&self) -> usize {
        self.references.as_ref().map_or(0, |rows| rows.dims()[0])
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self {
            references: None,
            ..self.clone()
        })
    }
}

fn closest<T: Element>(
    matrix: &Tensor,
    k: usize,
    largest_first: bool,
    own: impl Fn(usize) -> Option<u32> + Sync,
) -> Result<Nearest> {
    let references = matrix.dims()[1];
    with_slice::<T, _>(matrix, |matrix| {
        closest_of_rows(matrix, references, k, largest_first, own)
    })
}

#[cfg(test)]
mod tests;
