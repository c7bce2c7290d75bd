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

mod among;
mod cosine;
mod on_device;
mod on_disk;

use std::borrow::Cow;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::{Error, Order, Result, check};
use half::f16;

use crate::index::exact::float16_rows::Float16Rows;
use crate::index::file::{self, IndexFileError};
use crate::index::knn_index::{check_count, checked_threshold, kept_rows};
use crate::index::{KnnIndex, Neighbors, NeighborsWithin, RowSet, SelfMatch};
use crate::kernels::nearest::{Affinity, Segments, closest_first};
use crate::rows::{check_finite, check_squares, checked_rows, selected, unit_rows};

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

    /// Whether values are distances or similarities.
    pub(crate) fn order(self) -> Order {
        match self {
            Self::SquaredEuclidean => Order::SmallerIsCloser,
            Self::InnerProduct | Self::Cosine => Order::LargerIsCloser,
        }
    }

    /// What orders rows as they are compared.
    pub(crate) fn affinity(self) -> Affinity {
        match self {
            Self::SquaredEuclidean => Affinity::SquaredEuclidean,
            Self::InnerProduct | Self::Cosine => Affinity::InnerProduct,
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

dml_core::debug_fields!(FlatIndex, |own| {
    metric: own.metric, storage: own.storage, rows: own.len(), dim: own.dim(),
});

/// References in the precision in which they are kept.
#[derive(Clone, Default)]
enum Rows {
    #[default]
    None,
    F16(Float16Rows),
    F32(Segments<f32>),
    F64(Segments<f64>),
}

/// Runs the body with the references, in whatever precision they are kept; gives what follows `or` where there are none.
macro_rules! with_rows {
    ($rows:expr, or $none:expr, |$kept:ident| $body:expr) => {
        match $rows {
            Rows::None => $none,
            Rows::F16($kept) => $body,
            Rows::F32($kept) => $body,
            Rows::F64($kept) => $body,
        }
    };
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

    /// The rows as they are compared: finite, and of length 1 for the cosine.
    fn prepare(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        let dtype = match (&self.rows, self.storage) {
            (Rows::F64(_), _) => Some(DType::F64),
            (Rows::None, RowStorage::AsGiven) => None,
            _ => Some(DType::F32),
        };
        let rows = checked_rows(arg, rows, KnnIndex::dim(self), dtype)?.to_device(&Device::Cpu)?;
        match self.metric {
            FlatMetric::Cosine => {
                check_finite(arg, &rows)?;
                unit_rows(&rows)
            }
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                check_squares(arg, &rows)?;
                Ok(rows)
            }
        }
    }

    /// The rows as they are compared, in single precision only.
    pub(crate) fn prepare_single(&self, arg: &'static str, rows: &Tensor) -> Result<Tensor> {
        match rows.dtype() {
            DType::F64 => Err(no_single_precision(arg)),
            _ => self.prepare(arg, rows),
        }
    }

    /// What orders references, the smaller the closer: of a prepared query and a row, which must be there.
    fn key(&self, query: &[f32], row: usize) -> f64 {
        let affinity = self.metric.affinity();
        let key = match &self.rows {
            Rows::F32(rows) => affinity.key(query, rows.row(row)),
            Rows::F16(rows) => affinity.key(query, &rows.row(row)),
            // No prepared query of single precision has got here.
            Rows::None | Rows::F64(_) => f64::NAN,
        };
        match self.metric {
            FlatMetric::Cosine => key.clamp(-1.0, 1.0),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => key,
        }
    }

    /// The `k` closest of some rows, which must be there, to a prepared query: values and rows.
    pub(crate) fn closest_of(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        k: usize,
    ) -> impl Iterator<Item = (f64, u32)> {
        let measured = rows.map(|row| (self.key(query, row as usize), row));
        let mut measured: Vec<(f64, u32)> = measured.collect();
        measured.sort_unstable_by(closest_first);
        let affinity = self.metric.affinity();
        let closest = measured.into_iter().take(k);
        closest.map(move |(key, row)| (affinity.value(key), row))
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
                (DType::F64, _) => Rows::F64(Segments::new(dim)),
                (_, RowStorage::AsGiven) => Rows::F32(Segments::new(dim)),
                (_, RowStorage::Float16) => Rows::F16(Float16Rows::new(dim)),
            };
        }
        self.on_device.forget();
        match &mut self.rows {
            Rows::None => {}
            Rows::F16(references) => references.extend(&half),
            Rows::F32(references) => with_slice(rows, |rows| references.extend(rows))?,
            Rows::F64(references) => with_slice(rows, |rows| references.extend(rows))?,
        }
        Ok(())
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
            Rows::F16(rows) => {
                rows.check(0..rows.len())?;
                (0..rows.len()).for_each(|r| take(&rows.row(r)));
            }
            Rows::F32(rows) => {
                rows.check(0..rows.len())?;
                let dim = rows.dim();
                let pieces = rows.pieces().into_iter();
                let pieces = pieces.flat_map(|piece| piece.chunks_exact(dim));
                pieces.for_each(take);
            }
            Rows::F64(_) => return Err(no_single_precision("references")),
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
        self.check_file()?;
        if let Some(found) = self.search_on_device(given, queries, k, self_matches)? {
            return Ok(found);
        }
        let affinity = self.metric.affinity();
        let self_matches = |q| self_matches.of(q);
        let nearest = with_rows!(&self.rows, or Ok(Neighbors::default()), |rows| {
            with_slice(queries, |q| rows.nearest(q, k, affinity, self_matches))
        })?;
        Ok(Neighbors { k, ..nearest })
    }

    /// Searches once more for some of the prepared queries, and puts what is nearest to them into `found`.
    pub(crate) fn search_again(
        &self,
        queries: &Tensor,
        some: &[usize],
        self_matches: SelfMatch<'_>,
        found: &mut Neighbors,
    ) -> Result<()> {
        if some.is_empty() {
            return Ok(());
        }
        let of_some: Vec<Option<u32>> = some.iter().map(|q| self_matches.of(*q)).collect();
        let rows: Vec<u32> = some.iter().map(|q| *q as u32).collect();
        let queries = selected(queries, &rows)?;
        let again = self.search_others(&queries, found.k, SelfMatch::Rows(&of_some))?;
        found.replace(some, &again);
        Ok(())
    }

    /// All references of prepared queries within a threshold, by their keys as they are.
    fn within_prepared(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Result<NeighborsWithin> {
        self.check_file()?;
        let affinity = self.metric.affinity();
        let none = NeighborsWithin::none(queries.dims()[0]);
        with_rows!(&self.rows, or Ok(none), |rows| with_slice(queries, |q| {
            rows.within(q, threshold, affinity, self_matches)
        }))
    }
}

fn no_single_precision(arg: &'static str) -> Error {
    Error::DType {
        arg,
        expected: "single or half precision",
        got: DType::F64,
    }
}

/// Rows in half precision, if they fit.
fn rounded(rows: &[f32]) -> Result<Vec<f16>> {
    let rounded: Vec<f16> = rows.iter().map(|x| f16::from_f32(*x)).collect();
    if let Some(at) = rounded.iter().position(|x| !x.is_finite()) {
        let expected = "numbers that half precision holds, up to 65504";
        check::parameter(false, "references", f64::from(rows[at]), expected)?;
    }
    Ok(rounded)
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
            FlatMetric::Cosine => {
                let prepared = |wide| self.search_prepared(given, &queries, wide, self_matches);
                let findable = |q| self.len() - usize::from(self_matches.of(q).is_some());
                let ties = |query: &Tensor, q| {
                    let ties = self.within_prepared(query, 1.0, |_| self_matches.of(q))?;
                    Ok(ties.indices)
                };
                self.search_cosine(&queries, k, prepared, findable, ties)
            }
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
        match self.metric {
            FlatMetric::Cosine => self.within_cosine(&queries, threshold, self_matches),
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                self.within_prepared(&queries, threshold, self_matches)
            }
        }
    }

    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors> {
        self.search_among_rows(queries, k, rows)
    }

    fn rows_at(&self, rows: &[u32]) -> Result<Tensor> {
        self.listed_rows(rows)
    }

    fn dim(&self) -> Option<usize> {
        with_rows!(&self.rows, or None, |references| Some(references.dim()))
    }

    fn order(&self) -> Option<Order> {
        Some(self.metric.order())
    }

    /// Rows of a mapped file come into memory if one of them is removed.
    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        let (keep, gone) = kept_rows(rows, self.len())?;
        let mapped = with_rows!(&self.rows, or 0, |references| references.mapped());
        if rows.iter().any(|row| (*row as usize) < mapped) {
            self.check_file()?;
        }
        self.on_device.forget();
        with_rows!(&mut self.rows, or(), |references| references.retain(&keep));
        if self.is_empty() {
            self.rows = Rows::None;
        }
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.save_as(path, file::FLAT, 0, None)
    }

    fn save_rows(&self, path: &Path, kept: &RowSet) -> std::result::Result<(), IndexFileError> {
        self.save_as(path, file::FLAT, 0, Some(kept))
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
        with_rows!(&self.rows, or 0, |references| references.len())
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self::with_storage(self.metric, self.storage))
    }
}

#[cfg(test)]
mod tests;
