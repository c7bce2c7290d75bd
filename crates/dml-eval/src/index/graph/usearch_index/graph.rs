//! The library's graph, with as many callers at a time as it has room for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use dml_core::{Error, Result, check};
use usearch::ffi::Matches;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::index::{FlatMetric, UsearchIndexConfig};

/// Coordinates of a row at most: a row is 4 MiB then.
pub(super) const MOST_DIMENSIONS: usize = 1 << 20;

/// What the library says, as an error of a tensor operation.
pub(super) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    candle_core::Error::wrap(error).into()
}

/// A graph. The library keeps what a walk needs for each caller that was announced, and fails for one more: others wait here.
pub(super) struct Graph {
    index: Index,
    callers: usize,
    free: Mutex<usize>,
    returned: Condvar,
}

impl Graph {
    pub(super) fn new(config: &UsearchIndexConfig, dim: usize) -> Result<Self> {
        let expected = "rows of at most 1,048,576 coordinates";
        check::parameter(dim <= MOST_DIMENSIONS, "references", dim as f64, expected)?;
        let metric = match config.metric {
            FlatMetric::SquaredEuclidean => MetricKind::L2sq,
            // Rows have length 1 where the cosine is meant.
            FlatMetric::InnerProduct | FlatMetric::Cosine => MetricKind::IP,
        };
        let options = IndexOptions {
            dimensions: dim,
            metric,
            quantization: ScalarKind::F32,
            connectivity: config.connectivity,
            expansion_add: config.expansion_add,
            expansion_search: config.expansion_search,
            multi: false,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let callers = cores.max(rayon::current_num_threads());
        let graph = Self {
            index: Index::new(&options).map_err(failed)?,
            callers,
            free: Mutex::new(callers),
            returned: Condvar::new(),
        };
        graph.reserve(0)?;
        Ok(graph)
    }

    /// The graph of bytes that [`check`](super::graph_bytes::check) has read.
    pub(super) fn of_checked_bytes(
        config: &UsearchIndexConfig,
        dim: usize,
        bytes: &[u8],
    ) -> Result<Self> {
        let graph = Self::new(config, dim)?;
        graph.index.load_from_buffer(bytes).map_err(failed)?;
        graph.reserve(0)?;
        Ok(graph)
    }

    /// Makes room for so many nodes more. Nobody else has the graph meanwhile.
    pub(super) fn reserve(&self, more: usize) -> Result<()> {
        let nodes = self.index.size() + more;
        let reserved = self.index.reserve_capacity_and_threads(nodes, self.callers);
        reserved.map_err(failed)
    }

    /// Nodes that are not removed.
    pub(super) fn len(&self) -> usize {
        self.index.size()
    }

    pub(super) fn add(&self, key: u32, row: &[f32]) -> Result<()> {
        let _caller = self.caller();
        self.index.add(u64::from(key), row).map_err(failed)
    }

    /// At most `wanted` nodes, nearest first, and how far away the library thinks they are.
    pub(super) fn search(&self, query: &[f32], wanted: usize) -> Result<Matches> {
        let _caller = self.caller();
        self.index.search(query, wanted).map_err(failed)
    }

    /// As [`search`](Self::search), among the nodes that `is_in` holds for.
    pub(super) fn search_among(
        &self,
        query: &[f32],
        wanted: usize,
        is_in: impl Fn(u64) -> bool,
    ) -> Result<Matches> {
        let _caller = self.caller();
        let found = self.index.filtered_search(query, wanted, is_in);
        found.map_err(failed)
    }

    pub(super) fn contains(&self, key: u32) -> bool {
        self.index.contains(u64::from(key))
    }

    pub(super) fn remove(&self, key: u32) -> Result<()> {
        self.index
            .remove(u64::from(key))
            .map(|_| ())
            .map_err(failed)
    }

    pub(super) fn set_expansion_search(&self, candidates: usize) {
        self.index.change_expansion_search(candidates);
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.index.serialized_length()];
        self.index.save_to_buffer(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Waits for room for one more caller, which the result holds. No caller waits for another one while it has room.
    fn caller(&self) -> Caller<'_> {
        let mut free = self.free();
        while *free == 0 {
            let woken = self.returned.wait(free);
            free = woken.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Caller(self)
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Caller<'a>(&'a Graph);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.returned.notify_one();
    }
}
