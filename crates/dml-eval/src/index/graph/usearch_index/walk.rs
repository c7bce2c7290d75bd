//! A walk through the graph, and the neighbours that it finds.
//!
//! The graph gives nodes by distances of single precision; their rows are measured exactly. Which of two nodes is nearer is
//! certain only beyond the error of those distances, so that all nodes are measured that may be as near as the last one that
//! is needed. Where these do not end within what the walk has found, it is made longer, and in the end the query is searched
//! for exactly.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use dml_core::Result;
use usearch::ffi::Matches;

use super::UsearchIndex;
use super::graph::Graph;
use crate::index::scale::{Scale, length};
use crate::index::{FlatMetric, KnnIndex, RowSet};

/// The powers of two of lengths with which the 1 that products are taken from is nothing.
pub(super) const LONG: RangeInclusive<i32> = 20..=40;
/// Rows of a scan that take as long as one step of a walk: a step measures the neighbours of a row, which lie anywhere in
/// memory. An estimate.
const MEASURED: u128 = 10;
/// How often a walk is made twice as long.
const LONGER: usize = 3;

/// The rows that a walk may find.
#[derive(Clone, Copy)]
pub(super) enum Among<'a> {
    /// All but the ones that the query is itself.
    All(&'a dyn Fn(u32) -> bool),
    /// Those of a set, and how many these are.
    Some(&'a RowSet, usize),
}

impl Among<'_> {
    fn may_find(self, row: u32) -> bool {
        match self {
            Self::All(others) => others(row),
            Self::Some(rows, _) => rows.contains(row as usize),
        }
    }
}

impl UsearchIndex {
    /// Whether a walk takes less time than to compare `chosen` rows.
    ///
    /// A walk goes on until it has met `expansion` rows of the set, among about `expansion · rows / chosen` in all, each of
    /// which takes as long as [`MEASURED`] rows of a scan.
    pub(super) fn walking_pays(&self, chosen: usize, k: usize) -> bool {
        let expansion = self.config.expansion_search.max(k) as u128;
        let rows = self.rows.len() as u128;
        (chosen as u128).pow(2) > MEASURED * expansion * rows
    }

    /// The `k` nearest of one prepared query, values and rows; `None` if the graph can't tell.
    pub(super) fn walk(
        &self,
        graph: &Graph,
        query: &[f32],
        k: usize,
        among: Among<'_>,
    ) -> Result<Option<Vec<(f64, u32)>>> {
        let Some(scaled) = self.scaled_query(query) else {
            return Ok(None);
        };
        // One more for the one that may be the query itself, and one behind the last.
        let mut wanted = (k + 2).max(self.config.expansion_search);
        for _ in 0..=LONGER {
            wanted = wanted.min(graph.len());
            let walk = match among {
                Among::All(_) => graph.search(&scaled, wanted)?,
                Among::Some(rows, _) => graph.search_among(&scaled, wanted, |key| {
                    let mut of_node = self.nodes.rows_of(key);
                    of_node.any(|row| rows.contains(row as usize))
                })?,
            };
            let is_all = self.is_all(graph, &walk, among);
            if let Some(needed) = self.needed(&walk, &scaled, k, among, is_all) {
                let rows = walk.keys[..needed].iter();
                let rows = rows.flat_map(|key| self.nodes.rows_of(*key));
                let others = rows.filter(|row| among.may_find(*row));
                return Ok(Some(self.rows.closest_of(query, others, k).collect()));
            }
            if is_all || walk.keys.len() < wanted {
                // No longer walk finds more.
                return Ok(None);
            }
            wanted = wanted.saturating_mul(2);
        }
        Ok(None)
    }

    /// Whether the walk has found everything that it may find.
    fn is_all(&self, graph: &Graph, walk: &Matches, among: Among<'_>) -> bool {
        match among {
            Among::All(_) => walk.keys.len() >= graph.len(),
            Among::Some(_, chosen) => {
                let rows = walk.keys.iter();
                let rows = rows.flat_map(|key| self.nodes.rows_of(*key));
                rows.filter(|row| among.may_find(*row)).count() >= chosen
            }
        }
    }

    /// The query as the graph compares it; `None` where all rows would seem equally far.
    fn scaled_query<'a>(&self, query: &'a [f32]) -> Option<Cow<'a, [f32]>> {
        let length = length(query);
        // A crowd of rows that are one to the graph hides others, as copies would.
        if self.vanishing > self.config.connectivity {
            return None;
        }
        match self.config.metric {
            FlatMetric::SquaredEuclidean => {
                self.scale.reaches(length).then(|| self.scale.apply(query))
            }
            _ if length == 0.0 => None,
            // The order of a query's products does not change with its length.
            FlatMetric::InnerProduct => Some(Scale::new(length, LONG, *LONG.start()).apply(query)),
            FlatMetric::Cosine => Some(Cow::Borrowed(query)),
        }
    }

    /// How many of the nodes hold the `k` nearest; `None` if more may be as near as these.
    fn needed(
        &self,
        walk: &Matches,
        scaled: &[f32],
        k: usize,
        among: Among<'_>,
        is_all: bool,
    ) -> Option<usize> {
        let mut rows = 0;
        let last = walk.keys.iter().position(|key| {
            rows += self
                .nodes
                .rows_of(*key)
                .filter(|row| among.may_find(*row))
                .count();
            rows >= k
        })?;
        let reach = f64::from(walk.distances[last]) + self.error(walk, last, scaled);
        let beyond = walk.distances[last..].iter();
        let beyond = beyond.take_while(|distance| f64::from(**distance) <= reach);
        let needed = last + beyond.count();
        // Something is further than all that is needed, or there is nothing else.
        (needed < walk.keys.len() || is_all).then_some(needed)
    }

    /// How far distances around that of a node can be off.
    fn error(&self, walk: &Matches, node: usize, scaled: &[f32]) -> f64 {
        let distance = f64::from(walk.distances[node]).abs();
        let size = match self.config.metric {
            FlatMetric::SquaredEuclidean => distance,
            FlatMetric::Cosine => 1.0 + distance,
            FlatMetric::InnerProduct => {
                let row = self.nodes.rows_of(walk.keys[node]).next();
                let row = row.map_or(0.0, |row| length(self.rows.single_row(row as usize)));
                let row = row * crate::rows::power_of_two(self.scale.exponent);
                length(scaled) * row + distance
            }
        };
        // Roundings of as many terms as a row has coordinates add up as steps at random do.
        let roundings = 16.0 + 4.0 * (scaled.len() as f64).sqrt();
        roundings * f64::from(f32::EPSILON) / 2.0 * size
    }
}
