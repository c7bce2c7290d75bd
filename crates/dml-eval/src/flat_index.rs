//! Exact search in the rows as they are, by distance, inner product or cosine.
//!
//! ```text
//! SquaredEuclidean   ‖q − r‖²           smallest first
//! InnerProduct       q·r                largest first
//! Cosine             q·r / (‖q‖ ‖r‖)    largest first; 0 for a zero row
//! ```
//!
//! Every pair is accounted for, at the speed of a matrix product: see [`dml_core::kernels::nearest`]. Queries on a CUDA
//! device are searched there, to the same result.

mod on_device;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::fused::{Element, with_slice};
use dml_core::kernels::Real;
use dml_core::kernels::nearest::{Affinity, References, dot, squared_distance};
use dml_core::{Error, Result, TensorExt};
use half::f16;

use crate::half_rows::HalfRows;
use crate::index_file::{self, Header, IndexFileError, Loaded, Stored};
use crate::knn_index::{checked_threshold, kept_rows};
use crate::rows::{check_finite, checked_rows};
use crate::{KnnIndex, Neighbors, NeighborsWithin, OwnRow};

/// What makes a reference of a [`FlatIndex`] close; [formulas](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FlatMetric {
    /// A small squared Euclidean distance.
    #[default]
    SquaredEuclidean = 0,
    /// A large inner product.
    InnerProduct = 1,
    /// A large cosine of the angle between them.
    Cosine = 2,
}

impl FlatMetric {
    /// From what orders references, the smaller the closer, to the value. Adding to 0 makes −0 a 0.
    pub(crate) fn value(self, key: f64) -> f64 {
        match self {
            Self::SquaredEuclidean => key,
            Self::InnerProduct | Self::Cosine => 0.0 - key,
        }
    }
}

/// In what numbers references are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RowStorage {
    /// In those in which the first of them came: single or double precision; half precision is kept in single.
    #[default]
    AsGiven,
    /// Rounded to half precision, in half the memory; single precision only, and numbers up to 65,504. What is searched
    /// is what is kept: neighbours are exact for the rounded rows, and queries are not rounded.
    Float16,
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
    storage: RowStorage,
    rows: Rows,
    on_device: on_device::Copies,
}

/// References in the precision in which they are kept.
#[derive(Clone, Debug, Default)]
enum Rows {
    #[default]
    None,
    F16(HalfRows),
    F32(References<f32>),
    F64(References<f64>),
}

impl FlatIndex {
    /// An index without references.
    #[must_use]
    pub fn new(metric: FlatMetric) -> Self {
        Self::with_storage(metric, RowStorage::AsGiven)
    }

    /// An index without references that keeps them in that way.
    #[must_use]
    pub fn with_storage(metric: FlatMetric, storage: RowStorage) -> Self {
        Self {
            metric,
            storage,
            rows: Rows::None,
            on_device: Default::default(),
        }
    }

    /// In what numbers references are kept.
    #[must_use]
    pub fn storage(&self) -> RowStorage {
        self.storage
    }

    /// What makes a reference close.
    #[must_use]
    pub fn metric(&self) -> FlatMetric {
        self.metric
    }

    fn dim(&self) -> Option<usize> {
        match &self.rows {
            Rows::None => None,
            Rows::F16(references) => Some(references.dim()),
            Rows::F32(references) => Some(references.dim()),
            Rows::F64(references) => Some(references.dim()),
        }
    }

    /// The rows as they are compared: finite, and of length 1 for the cosine.
    fn prepare(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        let dtype = match (&self.rows, self.storage) {
            (Rows::F64(_), _) => Some(DType::F64),
            (Rows::None, RowStorage::AsGiven) => None,
            _ => Some(DType::F32),
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

    /// The rows as they are compared, in single precision only.
    pub(crate) fn prepare_single(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        if rows.dtype() == DType::F64 {
            return Err(Error::DType {
                arg,
                expected: "single or half precision",
                got: rows.dtype(),
            });
        }
        self.prepare(arg, rows)
    }

    /// What orders references, the smaller the closer: of a prepared query and a row, which must be there.
    pub(crate) fn key(&self, query: &[f32], row: usize) -> f64 {
        let key = |row: &[f32]| match self.affinity() {
            Affinity::SquaredEuclidean => squared_distance(query, row),
            Affinity::InnerProduct => -dot(query, row),
        };
        match &self.rows {
            Rows::F32(rows) => key(rows.row(row)),
            Rows::F16(rows) => key(&rows.row(row)),
            // No prepared query of single precision has got here.
            Rows::None | Rows::F64(_) => f64::NAN,
        }
    }

    /// Hands every row to `take`, in single precision.
    pub(crate) fn for_each_single_row(&self, mut take: impl FnMut(&[f32])) -> Result<()> {
        match &self.rows {
            Rows::None => {}
            Rows::F16(rows) => (0..rows.len()).for_each(|r| take(&rows.row(r))),
            Rows::F32(rows) => rows.rows().chunks_exact(rows.dim()).for_each(take),
            Rows::F64(_) => {
                return Err(Error::DType {
                    arg: "references",
                    expected: "single or half precision",
                    got: DType::F64,
                });
            }
        }
        Ok(())
    }

    fn affinity(&self) -> Affinity {
        match self.metric {
            FlatMetric::SquaredEuclidean => Affinity::SquaredEuclidean,
            FlatMetric::InnerProduct | FlatMetric::Cosine => Affinity::InnerProduct,
        }
    }
}

/// Rows in half precision, if they fit.
fn rounded(rows: &[f32]) -> Result<Vec<f16>> {
    let rounded: Vec<f16> = rows.iter().map(|x| f16::from_f32(*x)).collect();
    match rounded.iter().position(|x| !x.is_finite()) {
        None => Ok(rounded),
        Some(at) => Err(Error::InvalidParameter {
            name: "references",
            value: f64::from(rows[at]),
            expected: "numbers that half precision holds, up to 65504",
        }),
    }
}

/// What a file holds: rows of finite numbers, or nothing.
fn checked_numbers<T: Element>(rows: &[T]) -> Result<()> {
    match rows
        .iter()
        .map(|x| Real::to_f64(*x))
        .find(|x| !x.is_finite())
    {
        None => Ok(()),
        Some(value) => Err(Error::InvalidParameter {
            name: "references",
            value,
            expected: "finite numbers",
        }),
    }
}

/// For index files.
impl FlatIndex {
    /// Saves the rows under another kind, with what else that keeps.
    pub(crate) fn save_as(
        &self,
        path: &Path,
        kind: u32,
        extra: u64,
    ) -> std::result::Result<(), IndexFileError> {
        let rows = match &self.rows {
            // A file tells how an empty index would keep rows.
            Rows::None if self.storage == RowStorage::Float16 => Stored::F16(&[]),
            Rows::None => Stored::None,
            Rows::F16(rows) => Stored::F16(rows.rows()),
            Rows::F32(rows) => Stored::F32(rows.rows()),
            Rows::F64(rows) => Stored::F64(rows.rows()),
        };
        let header = Header {
            kind,
            metric: self.metric as u32,
            dim: if self.is_empty() {
                0
            } else {
                self.dim().unwrap_or(0) as u64
            },
            rows: self.len() as u64,
            extra,
        };
        index_file::save(path, header, rows)
    }

    /// The index of a file of that kind.
    pub(crate) fn from_file(
        path: &Path,
        kind: u32,
        header: &Header,
        rows: Loaded,
    ) -> std::result::Result<Self, IndexFileError> {
        let metrics = [
            FlatMetric::SquaredEuclidean,
            FlatMetric::InnerProduct,
            FlatMetric::Cosine,
        ];
        let metric = metrics
            .into_iter()
            .find(|metric| *metric as u32 == header.metric);
        let (true, Some(metric)) = (header.kind == kind, metric) else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        let dim = header.dim as usize;
        let storage = match rows {
            Loaded::F16(_) => RowStorage::Float16,
            _ => RowStorage::AsGiven,
        };
        let checked = match &rows {
            Loaded::None => Ok(()),
            Loaded::Bytes(_) => return Err(IndexFileError::kind(path, "rows of numbers")),
            Loaded::F16(rows) => {
                checked_numbers::<f32>(&rows.iter().map(|x| x.to_f32()).collect::<Vec<f32>>())
            }
            Loaded::F32(rows) => checked_numbers(rows),
            Loaded::F64(rows) => checked_numbers(rows),
        };
        checked.map_err(IndexFileError::content(path))?;
        let rows = match rows {
            _ if header.rows == 0 => Rows::None,
            Loaded::None | Loaded::Bytes(_) => Rows::None,
            Loaded::F16(rows) => {
                let mut references = HalfRows::new(dim);
                references.extend(&rows);
                Rows::F16(references)
            }
            Loaded::F32(rows) => Rows::F32(references(dim, &rows)),
            Loaded::F64(rows) => Rows::F64(references(dim, &rows)),
        };
        Ok(Self {
            metric,
            storage,
            rows,
            on_device: Default::default(),
        })
    }
}

fn references<T: Real>(dim: usize, rows: &[T]) -> References<T> {
    let mut references = References::new(dim);
    references.extend(rows);
    references
}

impl KnnIndex for FlatIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let rows = self.prepare("references", references)?;
        let dim = rows.dims()[1];
        if let Rows::None = self.rows {
            self.rows = match (rows.dtype(), self.storage) {
                (DType::F64, _) => Rows::F64(References::new(dim)),
                (_, RowStorage::AsGiven) => Rows::F32(References::new(dim)),
                (_, RowStorage::Float16) => Rows::F16(HalfRows::new(dim)),
            };
        }
        self.on_device.forget();
        match &mut self.rows {
            Rows::None => Ok(()),
            Rows::F16(references) => {
                references.extend(&with_slice(&rows, rounded)??);
                Ok(())
            }
            Rows::F32(references) => with_slice(&rows, |rows| references.extend(rows)),
            Rows::F64(references) => with_slice(&rows, |rows| references.extend(rows)),
        }
    }

    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> Result<Neighbors> {
        let given = queries;
        let queries = self.prepare("queries", queries)?;
        own.check(queries.dims()[0], self.len(), k)?;
        let affinity = self.affinity();
        if let Some(found) = self.search_on_device(given, &queries, k, own)? {
            return Ok(found);
        }
        let nearest = match &self.rows {
            Rows::None => Ok(Default::default()),
            Rows::F16(rows) => {
                with_slice(&queries, |q| rows.nearest(q, k, affinity, |q| own.of(q)))
            }
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

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        own: OwnRow<'_>,
    ) -> Result<NeighborsWithin> {
        let threshold = checked_threshold(threshold)?;
        let queries = self.prepare("queries", queries)?;
        own.check_rows(queries.dims()[0], self.len())?;
        let affinity = self.affinity();
        let own = |q| own.of(q);
        let within = match &self.rows {
            Rows::None => return Ok(NeighborsWithin::none(queries.dims()[0])),
            Rows::F16(rows) => with_slice(&queries, |q| rows.within(q, threshold, affinity, own)),
            Rows::F32(rows) => with_slice(&queries, |q| rows.within(q, threshold, affinity, own)),
            Rows::F64(rows) => with_slice(&queries, |q| rows.within(q, threshold, affinity, own)),
        }?;
        Ok(NeighborsWithin {
            offsets: within.offsets,
            distances: within.values,
            indices: within.indices,
        })
    }

    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        let (keep, gone) = kept_rows(rows, self.len())?;
        self.on_device.forget();
        match &mut self.rows {
            Rows::None => {}
            Rows::F16(references) => references.retain(&keep),
            Rows::F32(references) => references.retain(|r| keep[r]),
            Rows::F64(references) => references.retain(|r| keep[r]),
        }
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.save_as(path, index_file::FLAT, 0)
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, rows) = index_file::load(path)?;
        let loaded = Self::from_file(path, index_file::FLAT, &header, rows)?;
        if (loaded.metric, loaded.storage) != (self.metric, self.storage) {
            return Err(IndexFileError::kind(
                path,
                "a flat index of the same metric and storage",
            ));
        }
        *self = loaded;
        Ok(())
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::None => 0,
            Rows::F16(references) => references.len(),
            Rows::F32(references) => references.len(),
            Rows::F64(references) => references.len(),
        }
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self::with_storage(self.metric, self.storage))
    }
}

#[cfg(test)]
mod tests;
