//! Exact nearest neighbours: the k closest references of every query, by brute force at the speed of a matrix product.
//!
//! ```text
//! squared Euclidean   key(q, r) = Σₖ (qₖ − rₖ)²
//! inner product       key(q, r) = −Σₖ qₖ rₖ
//! neighbours of q     = the k references of smallest (key, row)
//! ```
//!
//! Keys are summed in double precision from the coordinates themselves, so near-duplicates are ordered rightly and a
//! duplicate has distance exactly 0. That would be slow for all pairs; most are ruled out by a cheaper number first.
//! Blocks of ‖r‖² − 2q·r come from a matrix product in the precision of the input. It is off by at most
//! `E = 3 (dim + 16) u (‖q‖² + max ‖r‖²)`, `u` the unit roundoff, so a reference whose number exceeds that of the
//! k-th best by more than `E` can't be among the k; only the others are measured. The result is that of measuring all
//! pairs, bit for bit, whatever the block sizes and the number of threads.
//!
//! ```text
//! memory O(k · queries) for the result, and a fixed block per thread
//! ```

mod best;
mod candidates;
mod exact;
mod filter;
mod of_candidates;
mod of_rows;
mod within;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;
use std::ops::Range;

use crate::Real;
use best::Best;
use filter::{Filter, TILE};

pub(crate) use filter::number_error;

pub use exact::{dot, squared_distance};
pub use of_candidates::Candidates;
pub use of_rows::closest_of_rows;
pub use within::Within;

/// Most queries that a block holds: with 128 coordinates they fit in a second-level cache beside a tile.
const QUERIES: usize = 384;
/// From this share of the references on, filtering would hardly rule anything out.
const FILTER_PAYS_UNTIL: usize = 8;

/// What makes a reference close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// A small squared Euclidean distance.
    SquaredEuclidean,
    /// A large inner product.
    InnerProduct,
}

/// Reference rows with what the search needs to know of them.
#[derive(Clone, Debug)]
pub struct References<T> {
    rows: Vec<T>,
    dim: usize,
    squared_norms: Vec<T>,
}

/// The neighbours of every query, closest first: `k` consecutive entries per query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nearest {
    /// How many neighbours each query has.
    pub k: usize,
    /// Reference rows `[queries, k]`.
    pub indices: Vec<u32>,
    /// Squared distances or inner products `[queries, k]`.
    pub values: Vec<f64>,
}

impl<T: Real> References<T> {
    /// No rows yet, of `dim` coordinates each.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self {
            rows: Vec::new(),
            dim,
            squared_norms: Vec::new(),
        }
    }

    /// Appends `[rows, dim]`.
    pub fn extend(&mut self, rows: &[T]) {
        let squared_norm = |row: &[T]| T::from_f64(dot(row, row));
        self.squared_norms
            .extend(rows.chunks_exact(self.dim.max(1)).map(squared_norm));
        self.rows.extend_from_slice(rows);
    }

    /// Keeps the rows that `keep` says, in their order.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let dim = self.dim;
        let mut kept = 0;
        for r in 0..self.len() {
            if keep(r) {
                self.rows.copy_within(r * dim..(r + 1) * dim, kept * dim);
                self.squared_norms[kept] = self.squared_norms[r];
                kept += 1;
            }
        }
        self.rows.truncate(kept * dim);
        self.squared_norms.truncate(kept);
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.squared_norms.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.squared_norms.is_empty()
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// One row.
    #[must_use]
    pub fn row(&self, r: usize) -> &[T] {
        &self.rows[r * self.dim..][..self.dim]
    }

    /// The `k` nearest references of each of the `queries` `[queries, dim]`.
    ///
    /// `excluded(q)` is a reference that query `q` must not find, such as itself. With fewer references than asked
    /// for (less one, if any query excludes one), each query gets as many as there are. Rows are finite numbers.
    ///
    /// ```
    /// use dml_kernels::nearest::{Affinity, References};
    ///
    /// let mut references = References::new(2);
    /// references.extend(&[0f32, 0., 3., 4., 1., 0.]);
    /// let found = references.nearest(&[1., 1.], 2, Affinity::SquaredEuclidean, |_| None);
    /// assert_eq!(found.indices, [2, 0]);
    /// assert_eq!(found.values, [1., 2.]);
    /// ```
    pub fn nearest(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Nearest {
        let count = queries.len() / self.dim.max(1);
        let any_excluded = (0..count).any(|q| excluded(q).is_some());
        let k = k.min(self.len().saturating_sub(usize::from(any_excluded)));
        if k == 0 || count == 0 {
            return Nearest::default();
        }
        let (blocks, spans) = self.tasks(count, rayon::current_num_threads());
        let tasks: Vec<(Range<usize>, Range<usize>)> = blocks
            .iter()
            .flat_map(|block| spans.iter().map(|span| (block.clone(), span.clone())))
            .collect();
        let found: Vec<Vec<Best>> = tasks
            .into_par_iter()
            .map(|(block, span)| {
                let rows = &queries[block.start * self.dim..block.end * self.dim];
                let excluded: Vec<Option<u32>> = block.map(&excluded).collect();
                if k >= span.len() / FILTER_PAYS_UNTIL {
                    Arch::new().dispatch(MeasureAll {
                        references: self,
                        span,
                        queries: rows,
                        k,
                        affinity,
                        excluded: &excluded,
                    })
                } else {
                    Filter::new(self, span, rows, k, affinity, &excluded).search()
                }
            })
            .collect();
        let mut nearest = Nearest {
            k,
            indices: Vec::with_capacity(count * k),
            values: Vec::with_capacity(count * k),
        };
        let mut found = found.into_iter();
        while let Some(mut block) = found.next() {
            for part in found.by_ref().take(spans.len() - 1) {
                for (best, other) in block.iter_mut().zip(part) {
                    best.merge(other);
                }
            }
            for best in block {
                for (key, r) in best.into_sorted() {
                    nearest.indices.push(r);
                    nearest.values.push(value(affinity, key));
                }
            }
        }
        nearest
    }

    /// Blocks of queries and, where these are fewer than the threads, spans of references to share as well.
    fn tasks(&self, queries: usize, threads: usize) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        // At least four blocks per thread even out what the threads get; multiples of 16 fill the vector registers.
        let block = queries
            .div_ceil(threads * 4)
            .next_multiple_of(16)
            .min(QUERIES);
        let blocks = cut(queries, block);
        let wanted = (threads * 2).div_ceil(blocks.len());
        let span = self.len().div_ceil(wanted).max(TILE * 4);
        (blocks, cut(self.len(), span))
    }
}

/// The best of a span without a filter, for a `k` so large that most references must be measured anyway.
struct MeasureAll<'a, T> {
    references: &'a References<T>,
    span: Range<usize>,
    queries: &'a [T],
    k: usize,
    affinity: Affinity,
    excluded: &'a [Option<u32>],
}

impl<T: Real> NullaryFnOnce for MeasureAll<'_, T> {
    type Output = Vec<Best>;

    #[inline(always)]
    fn call(self) -> Vec<Best> {
        let queries = self.queries.chunks_exact(self.references.dim);
        queries
            .zip(self.excluded)
            .map(|(query, excluded)| {
                let mut best = Best::new(self.k);
                for r in self.span.clone() {
                    if *excluded != Some(r as u32) {
                        best.push(key(self.affinity, query, self.references.row(r)), r as u32);
                    }
                }
                best
            })
            .collect()
    }
}

/// The number that orders references: the smaller, the closer.
#[inline(always)]
fn key<T: Real>(affinity: Affinity, query: &[T], reference: &[T]) -> f64 {
    match affinity {
        Affinity::SquaredEuclidean => squared_distance(query, reference),
        Affinity::InnerProduct => -dot(query, reference),
    }
}

fn value(affinity: Affinity, key: f64) -> f64 {
    match affinity {
        Affinity::SquaredEuclidean => key,
        // Not `-key`: a product of 0 is 0 and not −0.
        Affinity::InnerProduct => 0.0 - key,
    }
}

fn cut(length: usize, piece: usize) -> Vec<Range<usize>> {
    (0..length)
        .step_by(piece)
        .map(|start| start..(start + piece).min(length))
        .collect()
}

#[cfg(test)]
mod tests;
