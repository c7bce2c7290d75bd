//! Exact search in the rows as they are, by distance, inner product or cosine.
//!
//! ```text
//! SquaredEuclidean   ‖q − r‖²           smallest first
//! InnerProduct       q·r                largest first
//! Cosine             q·r / (‖q‖ ‖r‖)    largest first; 0 for a zero row
//! ```
//!
//! Every pair is accounted for, at the speed of a matrix product: see [`dml_core::kernels::nearest`].

use candle_core::{DType, Device, Tensor};
use dml_core::fused::with_slice;
use dml_core::kernels::nearest::{Affinity, References};
use dml_core::{Result, TensorExt};

use crate::rows::{check_finite, checked_rows};
use crate::{KnnIndex, Neighbors, OwnRow};

/// What makes a reference of a [`FlatIndex`] close; [formulas](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FlatMetric {
    /// A small squared Euclidean distance.
    #[default]
    SquaredEuclidean,
    /// A large inner product.
    InnerProduct,
    /// A large cosine of the angle between them.
    Cosine,
}

/// Exact nearest neighbours, whatever the size of the reference: what PML's `FaissKNN` does by default.
///
/// Distances are those of the [module](self), summed in double precision from the coordinates: a duplicate is at
/// distance exactly 0.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, FlatMetric};
///
/// let mut index = FlatIndex::new(FlatMetric::SquaredEuclidean);
/// index.add(&Tensor::new(&[[0f32, 0.], [3., 4.], [1., 0.]], &Device::Cpu)?)?;
/// let found = index.search(&Tensor::new(&[[1f32, 1.]], &Device::Cpu)?, 2)?;
/// assert_eq!(found.indices, [2, 0]);
/// assert_eq!(found.distances, [1., 2.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FlatIndex {
    metric: FlatMetric,
    rows: Rows,
}

/// References in the precision in which the first of them came.
#[derive(Clone, Debug, Default)]
enum Rows {
    #[default]
    None,
    F32(References<f32>),
    F64(References<f64>),
}

impl FlatIndex {
    /// An index without references.
    #[must_use]
    pub fn new(metric: FlatMetric) -> Self {
        Self {
            metric,
            rows: Rows::None,
        }
    }

    /// What makes a reference close.
    #[must_use]
    pub fn metric(&self) -> FlatMetric {
        self.metric
    }

    fn dim(&self) -> Option<usize> {
        match &self.rows {
            Rows::None => None,
            Rows::F32(references) => Some(references.dim()),
            Rows::F64(references) => Some(references.dim()),
        }
    }

    /// The rows as they are compared: finite, and of length 1 for the cosine.
    fn prepare(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        let dtype = match self.rows {
            Rows::None => None,
            Rows::F32(_) => Some(DType::F32),
            Rows::F64(_) => Some(DType::F64),
        };
        let rows = checked_rows(arg, rows, self.dim(), dtype)?.to_device(&Device::Cpu)?;
        match rows.dtype() {
            DType::F64 => check_finite::<f64>(arg, &rows)?,
            _ => check_finite::<f32>(arg, &rows)?,
        }
        match self.metric {
            FlatMetric::Cosine => rows.normalize(2.0),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => Ok(rows),
        }
    }

    fn affinity(&self) -> Affinity {
        match self.metric {
            FlatMetric::SquaredEuclidean => Affinity::SquaredEuclidean,
            FlatMetric::InnerProduct | FlatMetric::Cosine => Affinity::InnerProduct,
        }
    }
}

impl KnnIndex for FlatIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let rows = self.prepare("references", references)?;
        let dim = rows.dims()[1];
        if let Rows::None = self.rows {
            self.rows = match rows.dtype() {
                DType::F64 => Rows::F64(References::new(dim)),
                _ => Rows::F32(References::new(dim)),
            };
        }
        match &mut self.rows {
            Rows::None => Ok(()),
            Rows::F32(references) => with_slice(&rows, |rows| references.extend(rows)),
            Rows::F64(references) => with_slice(&rows, |rows| references.extend(rows)),
        }
    }

    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> Result<Neighbors> {
        let queries = self.prepare("queries", queries)?;
        own.check(queries.dims()[0], self.len(), k)?;
        let affinity = self.affinity();
        let nearest = match &self.rows {
            Rows::None => Ok(Default::default()),
            Rows::F32(rows) => {
                with_slice(&queries, |q| rows.nearest(q, k, affinity, |q| own.of(q)))
            }
            Rows::F64(rows) => {
                with_slice(&queries, |q| rows.nearest(q, k, affinity, |q| own.of(q)))
            }
        }?;
        Ok(Neighbors {
            distances: nearest.values,
            indices: nearest.indices,
            k,
        })
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::None => 0,
            Rows::F32(references) => references.len(),
            Rows::F64(references) => references.len(),
        }
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self::new(self.metric))
    }
}

#[cfg(test)]
mod tests;
