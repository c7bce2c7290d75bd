//! Approximate search by a graph of neighbours.
//!
//! A search walks from row to row towards the query and looks at a few thousand rows instead of all: fast, and not certain to
//! find the nearest. Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs" (2016, arXiv:1603.09320), by the library `usearch`.
//!
//! Rows are in memory twice: in the graph, and beside it, where those that are found are measured exactly. Equal rows are one
//! node of the graph: copies of a row don't push others out of reach. The graph compares in single precision. Rows that are
//! long or short enter it times a power of two, and a query is searched for exactly where single precision can't tell its
//! neighbours apart: where more rows than a walk finds are equally far, where the query is by far longer or shorter than the
//! rows, or where many rows are by far shorter than the longest one.
//!
//! Any number of threads may search at the same time; of more than there are cores, some wait. A file holds the graph as the
//! library writes it, behind the checksums of every [index file](crate::index::file). Checksums tell accidents; against a file
//! from somebody who means harm, every size, level and link of the graph is checked before the library reads it.

mod equal_rows;
mod graph;
mod graph_bytes;
mod on_disk;
mod walk;

use std::path::Path;

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::{Order, Result, check};
use rayon::prelude::*;

use crate::index::file::{self, Header, IndexFileError, Norms, Rows};
use crate::index::knn_index::{check_among, check_count, kept_rows};
use crate::index::scale::{Scale, longest};
use crate::index::{FlatIndex, FlatMetric};
use crate::index::{KnnIndex, Neighbors, NeighborsWithin, RowSet, SelfMatch, UsearchIndexConfig};
use equal_rows::EqualRows;
use graph::Graph;
use walk::Among;

/// Candidates that a walk may keep at most; the graph has room for that many for every caller.
const MOST_CANDIDATES: usize = 1 << 20;

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
    graph: Option<Graph>,
    nodes: EqualRows,
    /// The length of the longest row so far.
    longest: f64,
    /// What rows are multiplied by in the graph.
    scale: Scale,
    /// How many rows are so short beside the longest one that the graph can't tell them apart.
    vanishing: usize,
}

dml_core::debug_fields!(UsearchIndex, |own| { config: own.config, rows: own.rows.len() });

impl UsearchIndex {
    /// An index without references.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a number is outside of its range.
    pub fn new(config: UsearchIndexConfig) -> Result<Self> {
        let most = graph_bytes::MOST_CONNECTED;
        check::count_from("connectivity", config.connectivity, 2, most)?;
        check::count("expansion_add", config.expansion_add, MOST_CANDIDATES)?;
        check::count("expansion_search", config.expansion_search, MOST_CANDIDATES)?;
        Ok(Self::empty(config))
    }

    fn empty(config: UsearchIndexConfig) -> Self {
        Self {
            rows: FlatIndex::new(config.metric),
            config,
            graph: None,
            nodes: EqualRows::default(),
            longest: 0.0,
            scale: Scale::default(),
            vanishing: 0,
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
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless it is from 1 to 1,048,576.
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
            graph.set_expansion_search(candidates);
        }
        Ok(())
    }

    /// The scale for rows whose longest one has that length.
    fn scale_for(&self, longest: f64) -> Scale {
        match self.config.metric {
            // The library takes products from 1: shorter rows would lose digits of theirs.
            FlatMetric::InnerProduct => Scale::new(longest, walk::LONG, *walk::LONG.start()),
            FlatMetric::SquaredEuclidean | FlatMetric::Cosine => Scale::new(longest, -40..=40, 0),
        }
    }

    /// Puts rows, by their nodes' keys, into a graph.
    fn insert(&self, graph: &Graph, new: &[(u32, u32)]) -> Result<()> {
        graph.reserve(new.len())?;
        let add = |(key, row): &(u32, u32)| {
            graph.add(*key, &self.scale.apply(self.rows.single_row(*row as usize)))
        };
        if self.config.parallel_build {
            new.par_iter().try_for_each(add)
        } else {
            new.iter().try_for_each(add)
        }
    }

    /// Enters rows that are kept already, from `first` on, whose longest one has that length.
    fn enter(&mut self, first: usize, longest: f64, dim: usize) -> Result<()> {
        let rows = &self.rows;
        let row_at = |row: u32| rows.single_row(row as usize);
        let mut new = Vec::new();
        for row in first..rows.len() {
            if let Some(key) = self.nodes.add(row_at) {
                new.push((key, row as u32));
            }
        }
        let before = self.longest;
        self.longest = before.max(longest);
        let is_new_to_lengths = before == 0.0 || !self.scale.holds(self.longest);
        let scale = if is_new_to_lengths {
            self.scale_for(self.longest)
        } else {
            self.scale
        };
        match &self.graph {
            Some(graph) if scale == self.scale => {
                self.vanishing += self.vanishing_from(first);
                self.insert(graph, &new)
            }
            _ => {
                let before = std::mem::replace(&mut self.scale, scale);
                let graph = self.all_in_a_graph(dim);
                if graph.is_err() {
                    self.scale = before;
                }
                self.graph = Some(graph?);
                self.vanishing = self.vanishing_from(0);
                Ok(())
            }
        }
    }

    /// How many rows from that one on the graph can't tell apart.
    fn vanishing_from(&self, first: usize) -> usize {
        let rows = (first..self.rows.len()).map(|row| self.rows.single_row(row));
        rows.map(|row| self.scale.vanishing(row, row.len())).sum()
    }

    /// A new graph of all rows that are kept.
    fn all_in_a_graph(&self, dim: usize) -> Result<Graph> {
        let graph = Graph::new(&self.config, dim)?;
        self.insert(&graph, &self.nodes.first_rows())?;
        Ok(graph)
    }

    /// Takes rows out of everything but the graph, and their nodes out of that.
    fn take_out(&mut self, rows: &[u32], keep: &[bool]) -> Result<usize> {
        let gone = self.rows.remove(rows)?;
        let keys = self.nodes.retain(keep);
        if self.rows.is_empty() {
            // The next rows may be of another width.
            *self = Self::empty(self.config.clone());
            return Ok(gone);
        }
        let Some(graph) = &self.graph else {
            return Ok(gone);
        };
        for key in keys {
            // A node that stays has no rows: walks pass over it, and its key is not given again.
            if graph.remove(key).is_ok() && !graph.contains(key) {
                self.nodes.free(key);
            }
        }
        Ok(gone)
    }
}

impl KnnIndex for UsearchIndex {
    fn add(&mut self, references: &Tensor) -> Result<()> {
        let new = self.rows.prepare_single("references", references)?;
        let (count, dim) = new.dims2()?;
        if count == 0 {
            return Ok(());
        }
        let first = self.rows.len();
        check_count(first, count)?;
        let longest = with_slice::<f32, _>(&new, |new| longest(new, dim))?;
        self.rows.keep(&new)?;
        let entered = self.enter(first, longest, dim);
        if entered.is_err() {
            let rows: Vec<u32> = (first as u32..self.rows.len() as u32).collect();
            let keep: Vec<bool> = (0..self.rows.len()).map(|row| row < first).collect();
            self.take_out(&rows, &keep)?;
        }
        entered
    }

    /// Where the walk finds fewer than `k`, or can't tell which they are, the query is searched for exactly.
    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        let queries = self.rows.prepare_single("queries", queries)?;
        let (count, dim) = queries.dims2()?;
        self_matches.check(count, self.len(), k)?;
        let Some(graph) = &self.graph else {
            return Ok(Neighbors::default());
        };
        let found = with_slice::<f32, _>(&queries, |queries| {
            let walk = |(q, query)| {
                let others = |row| self_matches.of(q) != Some(row);
                self.walk(graph, query, k, Among::All(&others))
            };
            let queries = queries.par_chunks_exact(dim).enumerate();
            queries.map(walk).collect::<Result<Vec<_>>>()
        })??;
        let (mut neighbors, astray) = of_walks(found, count, k);
        self.rows
            .search_again(&queries, &astray, self_matches, &mut neighbors)?;
        Ok(neighbors)
    }

    /// Walks through the graph and keeps what is in the set; where the set is so small that the walk would be long, its rows
    /// are compared themselves.
    fn search_among(&self, queries: &Tensor, k: usize, rows: &RowSet) -> Result<Neighbors> {
        let given = queries;
        let queries = self.rows.prepare_single("queries", queries)?;
        let (count, dim) = queries.dims2()?;
        let k = check_among(count, self.len(), k, rows)?;
        let Some(graph) = self.graph.as_ref().filter(|_| k > 0) else {
            return Ok(Neighbors::default());
        };
        let chosen = rows.count();
        if chosen == self.len() {
            return self.search(given, k);
        }
        if !self.walking_pays(chosen, k) {
            return self.rows.search_among(given, k, rows);
        }
        let found = with_slice::<f32, _>(&queries, |queries| {
            let walk = |query| self.walk(graph, query, k, Among::Some(rows, chosen));
            let queries = queries.par_chunks_exact(dim);
            queries.map(walk).collect::<Result<Vec<_>>>()
        })??;
        let (mut neighbors, astray) = of_walks(found, count, k);
        self.rows
            .search_again_among(&queries, &astray, rows, &mut neighbors)?;
        Ok(neighbors)
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
        let (keep, _) = kept_rows(rows, self.len())?;
        self.take_out(rows, &keep)
    }

    fn save(&self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let bytes = self.to_bytes().map_err(IndexFileError::content(path))?;
        let header = Header {
            kind: file::GRAPH,
            metric: self.config.metric as u32,
            dim: u64::from(!bytes.is_empty()),
            rows: bytes.len() as u64,
            extra: 0,
        };
        file::save(path, header, &Rows::Bytes(&bytes), &Norms::None)
    }

    fn load(&mut self, path: &Path) -> std::result::Result<(), IndexFileError> {
        let (header, bytes) = file::load(path)?;
        let is_graph = matches!(header.kind, file::USEARCH | file::GRAPH);
        if !is_graph || header.metric != self.config.metric as u32 {
            return Err(IndexFileError::kind(path, "a graph of the same metric"));
        }
        *self = Self::parse(self.config.clone(), path, &header, bytes)?;
        Ok(())
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self::empty(self.config.clone()))
    }
}

/// What walks have found, and the queries that are to be searched for exactly.
fn of_walks(
    found: Vec<Option<Vec<(f64, u32)>>>,
    count: usize,
    k: usize,
) -> (Neighbors, Vec<usize>) {
    let astray = (0..count).filter(|q| found[*q].is_none()).collect();
    let mut neighbors = Neighbors::with_capacity(count, k);
    for found in found {
        neighbors.extend(found.unwrap_or_else(|| vec![(0.0, 0); k]));
    }
    (neighbors, astray)
}

#[cfg(test)]
mod tests;
