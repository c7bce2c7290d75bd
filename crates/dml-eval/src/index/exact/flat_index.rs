//! Exact search in the rows as they are, by distance, inner product or cosine.
//!
//! ```text
//! SquaredEuclidean   ‖q − r‖²           smallest first
//! InnerProduct       q·r                largest first
//! Cosine             q·r / (‖q‖ ‖r‖)    largest first; 0 for a zero row
//! ```
//!
//! A cosine is that of the rows' directions however long they are, and lies in [−1, 1]: what rounding takes out of that range
//! is put to its end, and counts as a tie there. Where rows are kept in half precision, the kept rows stand for directions
//! of length 1. Squares of double precision must be finite: numbers go up to 1e150.
//!
//! Every pair is accounted for, at the speed of a matrix product: see `kernels/nearest`. Queries on a CUDA
//! device are searched there, to the same result.

mod cosine;
mod on_device;
mod on_disk;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::kernels::exact::{dot, squared_distance};
use dml_core::{Error, Result};
use half::f16;

use crate::index::exact::float16_rows::Float16Rows;
use crate::index::file::{self, IndexFileError};
use crate::index::knn_index::{check_count, checked_threshold, kept_rows};
use crate::index::{KnnIndex, Neighbors, NeighborsWithin, SelfMatch};
use crate::kernels::nearest::{Affinity, References, Within};
use crate::rows::{check_squares, checked_rows, finite_rows, unit_rows};

/// What makes a reference of a [`FlatIndex`] close; [formulas](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, FlatMetric, KnnIndex};
///
/// let rows = Tensor::new(&[[1f32, 1.], [9., 0.]], &Device::Cpu)?;
/// let query = Tensor::new(&[[2f32, 2.]], &Device::Cpu)?;
/// for (metric, nearest) in [(FlatMetric::InnerProduct, 1), (FlatMetric::Cosine, 0)] {
///     let mut index = FlatIndex::new(metric);
///     index.add(&rows)?;
///     assert_eq!(index.search(&query, 1)?.indices, [nearest]);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
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
    /// The metric of that number in a file.
    pub(crate) fn of_file(number: u32) -> Option<Self> {
        let metrics = [Self::SquaredEuclidean, Self::InnerProduct, Self::Cosine];
        let mut metrics = metrics.into_iter();
        metrics.find(|metric| *metric as u32 == number)
    }

    /// From what orders references, the smaller the closer, to the value. Adding to 0 makes −0 a 0.
    pub(crate) fn value(self, key: f64) -> f64 {
        match self {
            Self::SquaredEuclidean => key,
            Self::InnerProduct | Self::Cosine => 0.0 - key,
        }
    }
}

/// Precision in which references are kept.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, FlatMetric, KnnIndex, RowStorage};
///
/// let mut index = FlatIndex::with_storage(FlatMetric::Cosine, RowStorage::Float16);
/// index.add(&Tensor::new(&[[0f32, 1.], [1., 0.]], &Device::Cpu)?)?;
/// assert_eq!(index.search(&Tensor::new(&[[0f32, 7.]], &Device::Cpu)?, 1)?.distances, [1.0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum RowStorage {
    /// That of the first references: single or double; half precision is widened to single.
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
#[derive(Clone, Default)]
pub struct FlatIndex {
    metric: FlatMetric,
    storage: RowStorage,
    rows: Rows,
    on_device: on_device::Copies,
}

/// What the index is, without its numbers.
impl fmt::Debug for FlatIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatIndex")
            .field("metric", &self.metric)
            .field("storage", &self.storage)
            .field("rows", &self.len())
            .field("dim", &self.dim())
            .finish_non_exhaustive()
    }
}

/// References in the precision in which they are kept.
#[derive(Clone, Default)]
enum Rows {
    #[default]
    None,
    F16(Float16Rows),
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

    /// Precision in which references are kept.
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
        match self.metric {
            FlatMetric::Cosine => unit_rows(&finite_rows(arg, rows, self.dim(), dtype)?),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                let rows = checked_rows(arg, rows, self.dim(), dtype)?.to_device(&Device::Cpu)?;
                check_squares(arg, &rows)?;
                Ok(rows)
            }
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
        let key = |row: &[f32]| match self.metric {
            FlatMetric::SquaredEuclidean => squared_distance(query, row),
            FlatMetric::InnerProduct => -dot(query, row),
            FlatMetric::Cosine => (-dot(query, row)).clamp(-1.0, 1.0),
        };
        match &self.rows {
            Rows::F32(rows) => key(rows.row(row)),
            Rows::F16(rows) => key(&rows.row(row)),
            // No prepared query of single precision has got here.
            Rows::None | Rows::F64(_) => f64::NAN,
        }
    }

    /// Appends rows that are prepared: finite, and of length 1 for the cosine.
    pub(crate) fn keep(&mut self, rows: &Tensor) -> Result<()> {
        let (count, dim) = rows.dims2()?;
        if count == 0 {
            return Ok(());
        }
        check_count(self.len(), count)?;
        // What can fail comes before anything is changed: an index that refuses rows does not remember their width.
        let half = match self.storage {
            RowStorage::Float16 => with_slice(rows, rounded)??,
            RowStorage::AsGiven => Vec::new(),
        };
        if let Rows::None = self.rows {
            self.rows = match (rows.dtype(), self.storage) {
                (DType::F64, _) => Rows::F64(References::new(dim)),
                (_, RowStorage::AsGiven) => Rows::F32(References::new(dim)),
                (_, RowStorage::Float16) => Rows::F16(Float16Rows::new(dim)),
            };
        }
        self.on_device.forget();
        match &mut self.rows {
            Rows::None => Ok(()),
            Rows::F16(references) => {
                references.extend(&half);
                Ok(())
            }
            Rows::F32(references) => with_slice(rows, |rows| references.extend(rows)),
            Rows::F64(references) => with_slice(rows, |rows| references.extend(rows)),
        }
    }

    /// A row that must be there, if rows are kept in single precision.
    #[cfg(feature = "usearch")]
    pub(crate) fn single_row(&self, row: usize) -> &[f32] {
        match &self.rows {
            Rows::F32(rows) => rows.row(row),
            Rows::None | Rows::F16(_) | Rows::F64(_) => &[],
        }
    }

    /// Prepared rows of single precision as they are when they are kept.
    pub(crate) fn as_kept<'a>(&self, rows: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        Ok(match self.storage {
            RowStorage::AsGiven => Cow::Borrowed(rows),
            RowStorage::Float16 => rounded(rows)?.iter().map(|x| x.to_f32()).collect(),
        })
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

    /// The nearest of prepared queries, which are the `given` ones, by their keys as they are.
    fn search_prepared(
        &self,
        given: &Tensor,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        if let Some(found) = self.search_on_device(given, queries, k, self_matches)? {
            return Ok(found);
        }
        let affinity = self.affinity();
        let self_matches = |q| self_matches.of(q);
        let nearest = match &self.rows {
            Rows::None => Ok(Default::default()),
            Rows::F16(rows) => with_slice(queries, |q| rows.nearest(q, k, affinity, self_matches)),
            Rows::F32(rows) => with_slice(queries, |q| rows.nearest(q, k, affinity, self_matches)),
            Rows::F64(rows) => with_slice(queries, |q| rows.nearest(q, k, affinity, self_matches)),
        }?;
        Ok(Neighbors {
            distances: nearest.values,
            indices: nearest.indices,
            k,
        })
    }

    /// All references of prepared queries within a threshold, by their keys as they are.
    fn within_prepared(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Result<Within> {
        let affinity = self.affinity();
        match &self.rows {
            Rows::None => Ok(Within {
                offsets: vec![0; queries.dims()[0] + 1],
                ..Within::default()
            }),
            Rows::F16(rows) => with_slice(queries, |q| {
                rows.within(q, threshold, affinity, self_matches)
            }),
            Rows::F32(rows) => with_slice(queries, |q| {
                rows.within(q, threshold, affinity, self_matches)
            }),
            Rows::F64(rows) => with_slice(queries, |q| {
                rows.within(q, threshold, affinity, self_matches)
            }),
        }
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

impl KnnIndex for FlatIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let rows = self.prepare("references", references)?;
        self.keep(&rows)
    }

    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        let given = queries;
        let queries = self.prepare("queries", queries)?;
        self_matches.check(queries.dims()[0], self.len(), k)?;
        match self.metric {
            FlatMetric::Cosine => self.search_cosine(given, &queries, k, self_matches),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                self.search_prepared(given, &queries, k, self_matches)
            }
        }
    }

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: SelfMatch<'_>,
    ) -> Result<NeighborsWithin> {
        let threshold = checked_threshold(threshold)?;
        let queries = self.prepare("queries", queries)?;
        self_matches.check_rows(queries.dims()[0], self.len())?;
        let self_matches = |q| self_matches.of(q);
        let within = match self.metric {
            FlatMetric::Cosine => self.within_cosine(&queries, threshold, self_matches),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                self.within_prepared(&queries, threshold, self_matches)
            }
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
        if self.is_empty() {
            self.rows = Rows::None;
        }
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.save_as(path, file::FLAT, 0)
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, rows) = file::load(path)?;
        let loaded = Self::from_file(path, file::FLAT, &header, rows)?;
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
