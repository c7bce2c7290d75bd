//! Search by short codes, and once more by the rows themselves.
//!
//! ```text
//! Int8      one byte a coordinate; a candidate is close by the distance or product of the codes
//! Binary    one bit a coordinate, its sign; a candidate is close if few bits differ
//! ```
//!
//! The codes find `rescore · k` candidates, and the rows of these give the `k` nearest and their exact distances. What a
//! search of few queries waits for is memory, and codes are a quarter or a 32nd of it. Neighbours that the codes do not
//! bring among the candidates are missed: the larger `rescore`, the fewer.
//!
//! Codes are compared in single precision. Rows that are very long or short are coded times one power of two; a query whose
//! squared distances from the rows single precision can't tell apart is searched for exactly.
//!
//! Signs tell how alike rows are in direction: binary codes are for embeddings around the origin and of about the same
//! length.

mod encoded;

use std::path::Path;

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::{Order, Result, check};
use rayon::prelude::*;

use crate::index::file::{self, IndexFileError};
use crate::index::knn_index::{check_among, kept_rows};
use crate::index::{
    FlatIndex, FlatMetric, KnnIndex, Neighbors, NeighborsWithin, RowSet, RowStorage, SelfMatch,
};
use encoded::Encoded;

/// Candidates that are in memory at a time, ...
const ENTRIES: usize = 1 << 22;
/// ... and queries.
const MOST_QUERIES: usize = 4096;
/// Among fewer rows than one in so many, the rows themselves are compared.
const CODES_PAY_FROM: usize = 8;

/// Codes by which candidates are found; see the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Codes {
    /// One byte a coordinate.
    #[default]
    Int8,
    /// One bit a coordinate.
    Binary,
}

dml_core::config! {
    /// Configuration of [`QuantizedIndex`].
    #[derive(Eq)]
    pub struct QuantizedIndexConfig {
        /// What makes a reference close. Default: a small squared Euclidean distance.
        pub metric: FlatMetric = FlatMetric::default(),
        /// Codes by which candidates are found. Default: one byte a coordinate.
        pub codes: Codes = Codes::default(),
        /// Precision in which rows are kept for the exact distances. Default: single, as given.
        pub storage: RowStorage = RowStorage::default(),
        /// Number of candidates for each neighbour; 1 to 4,294,967,295. Default 4.
        pub rescore: usize = 4,
    }
}

/// Nearest neighbours among candidates that [codes](self) find; their distances are exact. Single precision only.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Codes, KnnIndex, QuantizedIndex, QuantizedIndexConfig};
///
/// let config = QuantizedIndexConfig { codes: Codes::Binary, rescore: 2, ..Default::default() };
/// let mut index = QuantizedIndex::new(config)?;
/// index.add(&Tensor::new(&[[1f32, 9.], [2., -3.], [3., 4.], [-1., -2.]], &Device::Cpu)?)?;
/// // The first and the third have the signs of the query; the third is closer.
/// let found = index.search(&Tensor::new(&[[3f32, 5.]], &Device::Cpu)?, 1)?;
/// assert_eq!((found.indices[0], found.distances[0]), (2, 1.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone)]
pub struct QuantizedIndex {
    rows: FlatIndex,
    codes: Encoded,
    rescore: usize,
}

dml_core::debug_fields!(QuantizedIndex, |own| {
    codes: own.codes.kind(), rescore: own.rescore, rows: own.rows,
});

impl QuantizedIndex {
    /// An index without references.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `rescore` is outside of its range.
    pub fn new(config: QuantizedIndexConfig) -> Result<Self> {
        Ok(Self {
            rescore: check::at_least_one("rescore", config.rescore)?,
            rows: FlatIndex::with_storage(config.metric, config.storage),
            codes: Encoded::none(config.codes),
        })
    }

    /// The rows, which are searched exactly.
    #[must_use]
    pub fn rows(&self) -> &FlatIndex {
        &self.rows
    }

    /// What candidates are searched by.
    #[must_use]
    pub fn codes(&self) -> Codes {
        self.codes.kind()
    }

    /// The `k` nearest candidates of each query of `block` `[queries, dim]`, among the rows that `may_find` holds for:
    /// values and rows. There are `findable` such rows, the one that may be the query itself included.
    fn nearest_of_block(
        &self,
        block: &[f32],
        dim: usize,
        k: usize,
        self_match: impl Fn(usize) -> Option<u32> + Sync,
        findable: usize,
        may_find: impl Fn(u32) -> bool + Sync,
    ) -> Vec<(f64, u32)> {
        let candidates = self.candidates(k);
        // One more, for the one that may be the query itself.
        let wanted = candidates.saturating_add(1).min(findable);
        let metric = self.rows.metric();
        let near = self.codes.nearest(block, dim, metric, wanted, may_find);
        let nearest: Vec<Vec<(f64, u32)>> = near
            .par_iter()
            .zip(block.par_chunks_exact(dim))
            .enumerate()
            .map(|(q, (rows, query))| {
                let self_match = self_match(q);
                let rows = rows.iter().copied();
                let others = rows.filter(|row| self_match != Some(*row)).take(candidates);
                self.rows.closest_of(query, others, k).collect()
            })
            .collect();
        nearest.concat()
    }

    /// How many candidates are measured for `k` neighbours.
    fn candidates(&self, k: usize) -> usize {
        k.saturating_mul(self.rescore)
    }

    /// How many queries are searched for at a time: of their candidates, about four million are in memory.
    fn block(&self, k: usize) -> usize {
        let candidates = self.candidates(k).min(self.len()).max(1);
        (ENTRIES / candidates).clamp(1, MOST_QUERIES)
    }

    /// The nearest of prepared queries by codes, and by the rows where codes can't tell.
    fn search_prepared(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
        among: Option<&RowSet>,
    ) -> Result<Neighbors> {
        let (count, dim) = queries.dims2()?;
        let mut found = Neighbors::with_capacity(count, k);
        let metric = self.rows.metric();
        let findable = among.map_or(self.len(), RowSet::count);
        let may_find = |row: u32| among.is_none_or(|rows| rows.contains(row as usize));
        let block = self.block(k);
        let far: Vec<usize> = with_slice::<f32, _>(queries, |queries| {
            for (start, block) in (0..).step_by(block).zip(queries.chunks(block * dim)) {
                let self_match = |q| self_matches.of(start + q);
                found.extend(self.nearest_of_block(block, dim, k, self_match, findable, may_find));
            }
            let queries = queries.chunks_exact(dim).enumerate();
            let far = queries.filter(|(_, query)| !self.codes.reach(query, metric));
            far.map(|(q, _)| q).collect()
        })?;
        match among {
            None => self
                .rows
                .search_again(queries, &far, self_matches, &mut found)?,
            Some(rows) => self
                .rows
                .search_again_among(queries, &far, rows, &mut found)?,
        }
        Ok(found)
    }

    /// What a file keeps beside the rows.
    fn extra(&self) -> u64 {
        let codes = match self.codes.kind() {
            Codes::Int8 => 0,
            Codes::Binary => 1,
        };
        codes | (self.rescore as u64) << 8
    }

    pub(crate) fn from_file(
        path: &Path,
        header: &file::Header,
        rows: file::Payload,
    ) -> std::result::Result<Self, IndexFileError> {
        let rows = FlatIndex::from_file(path, file::QUANTIZED, header, rows)?;
        let codes = match header.extra & 0xff {
            0 => Codes::Int8,
            1 => Codes::Binary,
            _ => return Err(IndexFileError::kind(path, "codes of a byte or a bit")),
        };
        let content = IndexFileError::content(path);
        let config = QuantizedIndexConfig {
            metric: rows.metric(),
            codes,
            storage: rows.storage(),
            rescore: (header.extra >> 8) as usize,
        };
        let mut index = Self::new(config).map_err(&content)?;
        rows.for_each_single_row(|row| index.codes.extend(row, row.len()))
            .map_err(&content)?;
        index.rows = rows;
        Ok(index)
    }
}

impl KnnIndex for QuantizedIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let new = self.rows.prepare_single("references", references)?;
        self.rows.keep(&new)?;
        let dim = new.dims()[1];
        // Codes are of the rows that are kept, as they are when a file is read.
        with_slice(&new, |new| {
            let kept = self.rows.as_kept(new)?;
            self.codes.extend(&kept, dim);
            Ok(())
        })?
    }

    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        let queries = self.rows.prepare_single("queries", queries)?;
        self_matches.check(queries.dims()[0], self.len(), k)?;
        self.search_prepared(&queries, k, self_matches, None)
    }

    /// Few rows are compared themselves: that takes less time than to compare all codes.
    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors> {
        let given = queries;
        let queries = self.rows.prepare_single("queries", queries)?;
        let k = check_among(queries.dims()[0], self.len(), k, rows)?;
        let count = rows.count();
        if k == 0 {
            return Ok(Neighbors::default());
        }
        if count <= self.len() / CODES_PAY_FROM || count <= self.candidates(k) {
            return self.rows.search_among(given, k, rows);
        }
        self.search_prepared(&queries, k, SelfMatch::None, Some(rows))
    }

    fn rows_at(&self, rows: &[u32]) -> Result<Tensor> {
        self.rows.rows_at(rows)
    }

    fn dim(&self) -> Option<usize> {
        self.rows.dim()
    }

    fn order(&self) -> Option<Order> {
        KnnIndex::order(&self.rows)
    }

    /// Compares the rows themselves, so that every row within the threshold is found.
    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: SelfMatch<'_>,
    ) -> Result<NeighborsWithin> {
        self.rows.search_within(queries, threshold, self_matches)
    }

    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        let (keep, gone) = kept_rows(rows, self.len())?;
        self.codes.retain(&keep);
        self.rows.remove(rows)?;
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        self.rows.save_as(path, file::QUANTIZED, self.extra(), None)
    }

    fn save_rows(&self, path: &Path, kept: &RowSet) -> std::result::Result<(), IndexFileError> {
        self.rows
            .save_as(path, file::QUANTIZED, self.extra(), Some(kept))
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, rows) = file::load(path)?;
        let loaded = Self::from_file(path, &header, rows)?;
        let kind = |index: &Self| (index.rows.metric(), index.rows.storage(), index.codes());
        if kind(&loaded) != kind(self) {
            return Err(IndexFileError::kind(
                path,
                "a quantized index of the same metric, codes and storage",
            ));
        }
        (self.rows, self.codes) = (loaded.rows, loaded.codes);
        Ok(())
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self {
            rows: FlatIndex::with_storage(self.rows.metric(), self.rows.storage()),
            codes: Encoded::none(self.codes.kind()),
            rescore: self.rescore,
        })
    }
}

#[cfg(test)]
mod tests;
