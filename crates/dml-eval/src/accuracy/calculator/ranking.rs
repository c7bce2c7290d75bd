//! The numbers that every query's ranking gets.

use candle_core::Tensor;
use dml_core::{Batch, PairKind, Relation, Result};
use rayon::prelude::*;

use super::{AccuracyCalculator, NeighborCount};
use crate::accuracy::metric::RankDepth;
use crate::accuracy::relevance::Relevance;
use crate::index::SelfMatch;
use crate::rows::selected;

/// What is known of a batch's queries before anything is searched.
pub(super) struct Matches<'a> {
    pub(super) relation: &'a Relation,
    pub(super) relevance: &'a [Relevance],
    /// R of every query.
    counted: Vec<usize>,
}

impl<'a> Matches<'a> {
    /// With `as_pml`, R counts the query itself if the relation matches it with itself, less one.
    pub(super) fn new(relation: &'a Relation, relevance: &'a [Relevance], as_pml: bool) -> Self {
        let counted = |(q, query): (usize, &Relevance)| match relation.self_match(q) {
            Some(r) if as_pml => {
                let itself = matches!(relation.pair_kind_as_distinct(q, r), PairKind::Positive(_));
                (query.matches + usize::from(itself)).saturating_sub(1)
            }
            _ => query.matches,
        };
        Self {
            relation,
            relevance,
            counted: relevance.iter().enumerate().map(counted).collect(),
        }
    }

    /// Whether each of the first `limit` neighbours that count matches.
    fn hits(&self, q: usize, neighbors: &[u32], limit: usize) -> Vec<bool> {
        let kinds = neighbors
            .iter()
            .map(|r| self.relation.pair_kind(q, *r as usize));
        let hits = kinds.filter_map(|kind| match kind {
            PairKind::Positive(_) => Some(true),
            PairKind::Negative(_) => Some(false),
            PairKind::Ignored => None,
        });
        hits.take(limit).collect()
    }
}

impl AccuracyCalculator {
    /// The number of every metric and query, by metric; `None` for queries without a match.
    pub(super) fn rank(
        &self,
        batch: &Batch,
        matches: &Matches<'_>,
    ) -> Result<Vec<Vec<Option<f64>>>> {
        let mut per_query = vec![vec![None; batch.queries()]; self.metrics.len()];
        let self_matches = self_matches(matches.relation);
        let mut index = self.index.to_empty();
        index.add(batch.reference().unwrap_or(batch.embeddings()))?;
        // A query that is itself a reference may find one reference less than another.
        let (among, apart): (Vec<usize>, Vec<usize>) =
            (0..batch.queries()).partition(|q| self_matches[*q].is_some());
        for (group, itself) in [(among, 1), (apart, 0)] {
            let findable = batch.references() - itself.min(batch.references());
            let limit = self.limit(&matches.counted, findable);
            let ignored = group.iter().map(|q| matches.relevance[*q].ignored).max();
            let k = (limit + ignored.unwrap_or(0)).min(findable);
            if k == 0 {
                // Nothing to be found: no query of the group has a match.
                continue;
            }
            for queries in group.chunks((self.neighbors_at_a_time / k).max(1)) {
                let of_queries: Vec<Option<u32>> =
                    queries.iter().map(|q| self_matches[*q]).collect();
                let rows = rows_of(batch.embeddings(), queries)?;
                let found = index.search_others(&rows, k, SelfMatch::Rows(&of_queries))?;
                let values: Vec<Vec<Option<f64>>> = found
                    .indices
                    .par_chunks_exact(k)
                    .zip(queries)
                    .map(|(neighbors, q)| self.of_query(matches, *q, neighbors, limit))
                    .collect();
                for (q, values) in queries.iter().zip(values) {
                    for (per_query, value) in per_query.iter_mut().zip(values) {
                        per_query[*q] = value;
                    }
                }
            }
        }
        Ok(per_query)
    }

    /// The number of every metric for one query; none if it has no match.
    fn of_query(
        &self,
        matches: &Matches<'_>,
        q: usize,
        neighbors: &[u32],
        limit: usize,
    ) -> Vec<Option<f64>> {
        if matches.relevance[q].matches == 0 {
            return Vec::new();
        }
        let hits = matches.hits(q, neighbors, limit);
        let counted = matches.counted[q];
        let values = self
            .metrics
            .iter()
            .map(|metric| metric.of_query(&hits, counted));
        // What is divided by a count of 0, of matches that are there, is left out.
        values
            .map(|value| (counted > 0 || value.is_finite()).then_some(value))
            .collect()
    }

    /// How many neighbours that count are looked at: what the metrics need, and no more than `k`; at least 1.
    fn limit(&self, counted: &[usize], findable: usize) -> usize {
        let most = counted.iter().copied().max().unwrap_or(0);
        let depths = self.metrics.iter().map(|metric| match metric.depth() {
            RankDepth::First(count) => count,
            RankDepth::Relevant => most,
            RankDepth::All => findable,
        });
        let needed = depths.max().unwrap_or(0);
        let allowed = match self.config.k {
            None => findable,
            Some(NeighborCount::MaxBinCount) => most,
            Some(NeighborCount::Exactly(k)) => k,
        };
        needed.min(allowed).min(findable).max(1)
    }
}

/// The reference that is each of the queries.
pub(super) fn self_matches(relation: &Relation) -> Vec<Option<u32>> {
    let self_match = |q| relation.self_match(q).map(|r| r as u32);
    (0..relation.queries()).map(self_match).collect()
}

/// The rows of those queries, which ascend: a part of the tensor where they follow one another.
fn rows_of(embeddings: &Tensor, queries: &[usize]) -> Result<Tensor> {
    match (queries.first(), queries.last()) {
        (Some(first), Some(last)) if last - first + 1 == queries.len() => {
            Ok(embeddings.narrow(0, *first, queries.len())?)
        }
        _ => {
            let rows: Vec<u32> = queries.iter().map(|q| *q as u32).collect();
            selected(embeddings, &rows)
        }
    }
}
