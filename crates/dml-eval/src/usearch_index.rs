//! Approximate search by a graph of neighbours.
//!
//! A search walks from row to row towards the query and looks at a few thousand rows instead of all: fast, and not certain to
//! find the nearest. Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs" (2016, arXiv:1603.09320), by the library `usearch`.
//!
//! Rows are in memory twice: in the graph, and beside it, where those that are found are measured exactly. A file holds the
//! graph as the library writes it, behind the checksums of every [index file](crate::index_file): they tell accidents, and a
//! file from somebody who means harm should not be loaded.

use std::fmt;
use std::path::Path;

use candle_core::{Device, Tensor};
use dml_core::fused::with_slice;
use dml_core::{Error, Result, check};
use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::flat_index::{FlatIndex, FlatMetric};
use crate::index_file::{self, Header, IndexFileError, Loaded, Stored};
use crate::knn_index::kept_rows;
use crate::rows::check_finite;
use crate::{KnnIndex, Neighbors, NeighborsWithin, OwnRow, UsearchIndexConfig};

/// Approximate nearest neighbours of single precision; their distances are exact. See the [module](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{KnnIndex, UsearchIndex, UsearchIndexConfig};
///
/// let mut index = UsearchIndex::new(UsearchIndexConfig::default())?;
/// index.add(&Tensor::new(&[[0f32, 0.], [3., 4.], [1., 0.]], &Device::Cpu)?)?;
/// let found = index.search(&Tensor::new(&[[1f32, 1.]], &Device::Cpu)?, 2)?;
/// assert_eq!(found.indices, [2, 0]);
/// assert_eq!(found.distances, [1., 2.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct UsearchIndex {
    config: UsearchIndexConfig,
    rows: FlatIndex,
    graph: Option<Index>,
    /// The key in the graph of every row, ascending: what is removed leaves a gap.
    keys: Vec<u64>,
    next_key: u64,
}

impl fmt::Debug for UsearchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsearchIndex")
            .field("config", &self.config)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

/// What the library says, as an error of a tensor operation.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    candle_core::Error::wrap(error).into()
}

/// The largest number of candidates of a search; the graph allocates that many for every thread.
const MOST_CANDIDATES: usize = 1 << 20;

/// Threads that may use a graph at the same time.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.max(rayon::current_num_threads())
}

impl UsearchIndex {
    /// An index without references.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a knob is outside of its range.
    pub fn new(config: UsearchIndexConfig) -> Result<Self> {
        check::count_from("connectivity", config.connectivity, 2, 1024)?;
        check::count("expansion_add", config.expansion_add, MOST_CANDIDATES)?;
        check::count("expansion_search", config.expansion_search, MOST_CANDIDATES)?;
        Ok(Self::empty(config))
    }

    fn empty(config: UsearchIndexConfig) -> Self {
        Self {
            rows: FlatIndex::new(config.metric),
            config,
            graph: None,
            keys: Vec::new(),
            next_key: 0,
        }
    }

    /// The rows, which are searched exactly.
    #[must_use]
    pub fn rows(&self) -> &FlatIndex {
        &self.rows
    }

    /// Searches among so many candidates from now on: more find more and take longer. The graph stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if it is 0.
    ///
    /// ```
    /// use dml_eval::{UsearchIndex, UsearchIndexConfig};
    ///
    /// let mut index = UsearchIndex::new(UsearchIndexConfig::default())?;
    /// index.set_expansion_search(512)?;
    /// assert!(index.set_expansion_search(0).is_err());
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub fn set_expansion_search(&mut self, candidates: usize) -> Result<()> {
        check::count("expansion_search", candidates, MOST_CANDIDATES)?;
        self.config.expansion_search = candidates;
        if let Some(graph) = &self.graph {
            graph.change_expansion_search(candidates);
        }
        Ok(())
    }

    fn new_graph(&self, dim: usize) -> Result<Index> {
        let metric = match self.config.metric {
            FlatMetric::SquaredEuclidean => MetricKind::L2sq,
            // Rows have length 1 where the cosine is meant.
            FlatMetric::InnerProduct | FlatMetric::Cosine => MetricKind::IP,
        };
        let options = IndexOptions {
            dimensions: dim,
            metric,
            quantization: ScalarKind::F32,
            connectivity: self.config.connectivity,
            expansion_add: self.config.expansion_add,
            expansion_search: self.config.expansion_search,
            multi: false,
        };
        Index::new(&options).map_err(failed)
    }

    fn row_of(&self, key: u64) -> Option<u32> {
        self.keys.binary_search(&key).ok().map(|row| row as u32)
    }

    /// The `k` nearest of one query that the graph finds, by their exact keys; fewer if it does not find as many.
    fn walk(
        &self,
        graph: &Index,
        query: &[f32],
        k: usize,
        own: Option<u32>,
    ) -> Result<Vec<(f64, u32)>> {
        // One more, for the one that may be the query itself.
        let found = graph.search(query, k + 1).map_err(failed)?;
        let rows = found.keys.iter().filter_map(|key| self.row_of(*key));
        let others = rows.filter(|row| own != Some(*row));
        let mut measured: Vec<(f64, u32)> = others
            .map(|row| (self.rows.key(query, row as usize), row))
            .collect();
        measured.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        measured.truncate(k);
        Ok(measured)
    }

    /// The index of a file, with the file's metric and links, and default knobs otherwise.
    pub(crate) fn from_file(
        path: &Path,
        header: &Header,
        bytes: Loaded,
    ) -> std::result::Result<Self, IndexFileError> {
        let (Some(metric), Loaded::Bytes(bytes)) = (FlatMetric::of_file(header.metric), bytes)
        else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        let config = UsearchIndexConfig {
            metric,
            ..Default::default()
        };
        Self::empty(config).parse(path, header, &bytes)
    }

    fn parse(
        &self,
        path: &Path,
        header: &Header,
        bytes: &[u8],
    ) -> std::result::Result<Self, IndexFileError> {
        let content = IndexFileError::content(path);
        let mut loaded = Self::empty(self.config.clone());
        if header.rows == 0 {
            return Ok(loaded);
        }
        let unreadable = |error| content(failed(error));
        let metadata = Index::metadata_from_buffer(bytes).map_err(unreadable)?;
        let dim = metadata.dimensions as usize;
        let graph = loaded.new_graph(dim).map_err(&content)?;
        graph.load_from_buffer(bytes).map_err(unreadable)?;
        graph
            .reserve_capacity_and_threads(graph.size(), threads())
            .map_err(unreadable)?;
        loaded.next_key = header.extra;
        loaded.keys = (0..header.extra)
            .filter(|key| graph.contains(*key))
            .collect();
        let mut rows = vec![0f32; loaded.keys.len() * dim];
        for (key, row) in loaded.keys.iter().zip(rows.chunks_exact_mut(dim.max(1))) {
            graph.get(*key, row).map_err(unreadable)?;
        }
        let rows = Tensor::from_vec(rows, (loaded.keys.len(), dim), &Device::Cpu);
        let rows = rows.map_err(|error| content(error.into()))?;
        check_finite::<f32>("references", &rows).map_err(&content)?;
        // As they are: rows of length 1 would not be the same after another division.
        loaded.rows.keep(&rows).map_err(&content)?;
        loaded.graph = Some(graph);
        Ok(loaded)
    }
}

impl KnnIndex for UsearchIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let new = self.rows.prepare_single("references", references)?;
        let (count, dim) = new.dims2()?;
        if count == 0 {
            return Ok(());
        }
        let graph = match self.graph.take() {
            Some(graph) => graph,
            None => self.new_graph(dim)?,
        };
        let first = self.next_key;
        let insert = |graph: &Index| -> Result<()> {
            graph
                .reserve_capacity_and_threads(graph.size() + count, threads())
                .map_err(failed)?;
            with_slice::<f32, _>(&new, |new| {
                let add = |(key, row): (u64, &[f32])| graph.add(first + key, row).map_err(failed);
                if self.config.parallel_build {
                    let rows = new.par_chunks_exact(dim).enumerate();
                    rows.try_for_each(|(key, row)| add((key as u64, row)))
                } else {
                    (0..).zip(new.chunks_exact(dim)).try_for_each(add)
                }
            })?
        };
        let inserted = insert(&graph);
        self.graph = Some(graph);
        // Keys that a failure leaves in the graph belong to no row, and are never given again.
        self.next_key += count as u64;
        inserted?;
        self.rows.keep(&new)?;
        self.keys.extend(first..self.next_key);
        Ok(())
    }

    /// Where the walk finds fewer than `k`, the query is searched for exactly.
    fn search_others(&self, queries: &Tensor, k: usize, own: OwnRow<'_>) -> Result<Neighbors> {
        let queries = self.rows.prepare_single("queries", queries)?;
        let (count, dim) = queries.dims2()?;
        own.check(count, self.len(), k)?;
        let Some(graph) = &self.graph else {
            return Ok(Neighbors::default());
        };
        let found = with_slice::<f32, _>(&queries, |queries| {
            let walk = |(q, query)| self.walk(graph, query, k, own.of(q));
            let queries = queries.par_chunks_exact(dim).enumerate();
            queries.map(walk).collect::<Result<Vec<_>>>()
        })??;
        let metric = self.config.metric;
        let mut neighbors = Neighbors {
            distances: Vec::with_capacity(count * k),
            indices: Vec::with_capacity(count * k),
            k,
        };
        for (q, found) in found.into_iter().enumerate() {
            if found.len() == k {
                let values = found.iter().map(|(key, _)| metric.value(*key));
                neighbors.distances.extend(values);
                neighbors.indices.extend(found.iter().map(|(_, row)| *row));
            } else {
                let own = [own.of(q)];
                let query = queries.narrow(0, q, 1)?;
                let exact = self.rows.search_others(&query, k, OwnRow::Rows(&own))?;
                neighbors.distances.extend(exact.distances);
                neighbors.indices.extend(exact.indices);
            }
        }
        Ok(neighbors)
    }

    /// By the rows themselves: all that are within the threshold are found.
    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        own: OwnRow<'_>,
    ) -> Result<NeighborsWithin> {
        self.rows.search_within(queries, threshold, own)
    }

    fn remove(&mut self, rows: &[u32]) -> Result<usize> {
        let (keep, gone) = kept_rows(rows, self.len())?;
        if let Some(graph) = &self.graph {
            let keys = self.keys.iter().zip(&keep);
            for (key, _) in keys.filter(|(_, keep)| !**keep) {
                graph.remove(*key).map_err(failed)?;
            }
        }
        self.rows.remove(rows)?;
        let keys = self.keys.iter().zip(&keep);
        self.keys = keys
            .filter(|(_, keep)| **keep)
            .map(|(key, _)| *key)
            .collect();
        if self.keys.is_empty() {
            // The next rows may be of another length.
            (self.graph, self.next_key) = (None, 0);
        }
        Ok(gone)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let mut bytes = Vec::new();
        if let Some(graph) = &self.graph {
            bytes.resize(graph.serialized_length(), 0);
            let unwritable = |error| IndexFileError::content(path)(failed(error));
            graph.save_to_buffer(&mut bytes).map_err(unwritable)?;
        }
        let header = Header {
            kind: index_file::USEARCH,
            metric: self.config.metric as u32,
            dim: u64::from(!bytes.is_empty()),
            rows: bytes.len() as u64,
            extra: self.next_key,
        };
        index_file::save(path, header, Stored::Bytes(&bytes))
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, bytes) = index_file::load(path)?;
        let Loaded::Bytes(bytes) = bytes else {
            return Err(IndexFileError::kind(path, "an index of the same kind"));
        };
        if (header.kind, header.metric) != (index_file::USEARCH, self.config.metric as u32) {
            return Err(IndexFileError::kind(path, "a graph of the same metric"));
        }
        *self = self.parse(path, &header, &bytes)?;
        Ok(())
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self::empty(self.config.clone()))
    }
}

#[cfg(test)]
mod tests;
