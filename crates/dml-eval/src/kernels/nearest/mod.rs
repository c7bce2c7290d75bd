//! Exact nearest neighbours: the k closest references of every query, by brute force at the speed of a matrix product.
//!
//! ```text
//! squared Euclidean   key(q, r) = Σₖ (qₖ − rₖ)²
//! inner product       key(q, r) = −Σₖ qₖ rₖ
//! neighbours of q     = the k references of smallest (key, row)
//! ```
//!
//! Keys are summed in double precision from the coordinates themselves, so near-duplicates are ordered rightly and a
//! duplicate has distance exactly 0. That would be slow for all pairs; most are ruled out by a cheaper number first:
//!
//! ```text
//! squared Euclidean   number(q, r) = ‖r‖² − 2q·r
//! inner product       number(q, r) = −q·r
//! r is ruled out      if number(q, r) − error(q, r) > the k-th smallest number(q, s) + error(q, s) of others
//! ```
//!
//! Products `q·r` come from the rows as integers of 16 bits, where the processor has instructions for these and there
//! are coordinates and queries enough; what rounding takes from a row is measured and bounds the error (`integer_tiles`
//! has the formula). Else they come from a matrix product in the precision of the input, whose error is at most
//! `3 (dim + 16) u (‖q‖² + max ‖r‖²)`, `u` the unit roundoff. Only what is left is measured, so the result is that of
//! measuring all pairs, bit for bit, whatever the processor, the block sizes and the number of threads.
//!
//! ```text
//! memory O(k · queries) for the result, and a fixed block per thread
//! ```

mod among;
mod best;
mod block;
mod candidates;
mod filter;
// Elsewhere no instructions are ever available.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_variables))]
mod integer_product;
mod integer_tiles;
mod neighbors;
mod number_error;
mod numbers;
mod of_candidates;
mod of_rows;
mod product_tiles;
mod quantized;
mod sample;
mod segments;
mod spans;
mod tasks;
mod within;

use std::ops::Range;

use dml_core::Result;
use dml_core::kernels::exact::{dot, squared_distance};
use dml_core::kernels::lengths;
use dml_core::kernels::{Real, vectorized, zeros};
use rayon::prelude::*;

use block::Block;
use filter::best_of_span;
use integer_product::Instructions;
use tasks::{BY_INTEGERS, BY_PRODUCT, tasks};

pub(crate) use best::{Best, closest_first};
pub use neighbors::{Neighbors, NeighborsWithin};
pub(crate) use number_error::number_error;
pub(crate) use numbers::{MappedBytes, MappedNumbers, Numbers};
pub(crate) use of_candidates::Candidates;
pub(crate) use of_rows::closest_of_rows;
pub(crate) use segments::Segments;
pub(crate) use spans::{NearestOfSpans, WithinOfSpans};

/// With fewer queries than this, turning the references into integers takes longer than it saves; ...
const INTEGERS_PAY_FROM_QUERIES: usize = 32;
/// ... with fewer coordinates, what is done once for a pair and not for a coordinate does.
const INTEGERS_PAY_FROM_DIM: usize = 64;
/// So few queries wait for memory, through which a product would go twice.
const MEASURING_PAYS_UNTIL_QUERIES: usize = 2;
/// From this share of the references on, filtering would hardly rule anything out.
const FILTER_PAYS_UNTIL: usize = 8;

/// What makes a reference close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// A small squared Euclidean distance.
    SquaredEuclidean,
    /// A large inner product.
    InnerProduct,
}

impl Affinity {
    /// The number that orders references: the smaller, the closer.
    #[inline(always)]
    pub(crate) fn key<T: Real>(self, query: &[T], reference: &[T]) -> f64 {
        match self {
            Self::SquaredEuclidean => squared_distance(query, reference),
            Self::InnerProduct => -dot(query, reference),
        }
    }

    /// From a key to the squared distance or inner product, and back.
    pub(crate) fn value(self, key: f64) -> f64 {
        match self {
            Self::SquaredEuclidean => key,
            // Not `-key`: a product of 0 is 0 and not −0.
            Self::InnerProduct => 0.0 - key,
        }
    }
}

/// Reference rows with what the search needs to know of them.
#[derive(Clone)]
pub(crate) struct References<T> {
    rows: Numbers<T>,
    dim: usize,
    squared_norms: Numbers<T>,
}

dml_core::debug_fields!(References<T>, |own| { rows: own.squared_norms.len(), dim: own.dim });

impl<T: Real> References<T> {
    /// No rows yet, of `dim` coordinates each.
    pub(crate) fn new(dim: usize) -> Self {
        Self::of_numbers(dim, Numbers::none(), Numbers::none())
    }

    /// Rows with the square of the norm of each.
    pub(crate) fn of_numbers(dim: usize, rows: Numbers<T>, squared_norms: Numbers<T>) -> Self {
        Self {
            rows,
            dim,
            squared_norms,
        }
    }

    /// Appends `[rows, dim]`.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    pub(crate) fn extend(&mut self, rows: &[T]) {
        let norms = Self::norms_of(rows, self.dim);
        self.squared_norms.to_mut().extend(norms);
        self.rows.to_mut().extend_from_slice(rows);
    }

    /// ‖r‖² of each of the rows `[rows, dim]`.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    pub(crate) fn norms_of(rows: &[T], dim: usize) -> Vec<T> {
        lengths::rows("rows", rows.len(), dim);
        let squared_norm = |row: &[T]| T::from_f64(dot(row, row));
        let rows = rows.par_chunks_exact(dim.max(1)).with_min_len(1024);
        rows.map(squared_norm).collect()
    }

    /// Moves all rows of the other ones, of the same `dim`, behind these.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.rows.to_mut().append(other.rows.to_mut());
        let norms = other.squared_norms.to_mut();
        self.squared_norms.to_mut().append(norms);
    }

    /// Whether the rows are in a file.
    pub(crate) fn is_mapped(&self) -> bool {
        self.rows.are_mapped()
    }

    /// Makes sure that rows of a file are those that were written.
    ///
    /// # Errors
    /// If a block of the file has been altered.
    pub(crate) fn check(&self, rows: Range<usize>) -> Result<()> {
        self.rows
            .check(rows.start * self.dim..rows.end * self.dim)?;
        self.squared_norms.check(rows)
    }

    /// Keeps the rows that `keep` says, in their order.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        retain_rows(self.rows.to_mut(), keep);
        retain_rows(self.squared_norms.to_mut(), keep);
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.squared_norms.len()
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.squared_norms.is_empty()
    }

    /// Coordinates per row.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, one after the other.
    pub(crate) fn rows(&self) -> &[T] {
        &self.rows
    }

    /// One row.
    pub(crate) fn row(&self, r: usize) -> &[T] {
        &self.rows[r * self.dim..][..self.dim]
    }

    /// The `k` nearest references of each of the `queries` `[queries, dim]`.
    ///
    /// `excluded(q)` is a reference that query `q` must not find, such as itself. With fewer references than asked
    /// for (less one, if any query excludes one), each query gets as many as there are. Rows are finite numbers.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    pub(crate) fn nearest(
        &self,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Neighbors {
        lengths::rows("queries", queries.len(), self.dim);
        let pays = self.dim >= INTEGERS_PAY_FROM_DIM
            && queries.len() >= INTEGERS_PAY_FROM_QUERIES * self.dim;
        let instructions = Instructions::available().next().filter(|_| pays);
        self.nearest_by(instructions, queries, k, affinity, excluded)
    }

    /// The best of a span without a filter, for few queries, or a `k` so large that most references must be measured anyway.
    #[inline(always)]
    fn measure_all<'a>(
        &self,
        span: Range<usize>,
        queries: impl Iterator<Item = (&'a [T], &'a Option<u32>)>,
        k: usize,
        affinity: Affinity,
    ) -> Vec<Best> {
        let mut all = Vec::new();
        for (query, excluded) in queries {
            let mut best = Best::new(k);
            for r in span.clone() {
                if *excluded != Some(r as u32) {
                    best.push(affinity.key(query, self.row(r)), r as u32);
                }
            }
            all.push(best);
        }
        all
    }

    /// By integer products where there are instructions for them.
    fn nearest_by(
        &self,
        instructions: Option<Instructions>,
        queries: &[T],
        k: usize,
        affinity: Affinity,
        excluded: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Neighbors {
        let count = queries.len() / self.dim.max(1);
        let any_excluded = (0..count).any(|q| excluded(q).is_some());
        let k = k.min(self.len().saturating_sub(usize::from(any_excluded)));
        if k == 0 || count == 0 {
            return Neighbors::default();
        }
        let are_few = count <= MEASURING_PAYS_UNTIL_QUERIES;
        let sizes = instructions.map_or(BY_PRODUCT, |_| BY_INTEGERS);
        let (blocks, spans) = tasks(count, self.len(), sizes, rayon::current_num_threads());
        let tasks: Vec<(Range<usize>, Range<usize>)> = blocks
            .iter()
            .flat_map(|block| spans.iter().map(|span| (block.clone(), span.clone())))
            .collect();
        let mut found: Vec<Vec<Best>> = tasks
            .into_par_iter()
            .map(|(block, span)| {
                let rows = &queries[block.start * self.dim..block.end * self.dim];
                let excluded: Vec<Option<u32>> = block.map(&excluded).collect();
                if are_few || k >= span.len() / FILTER_PAYS_UNTIL {
                    let queries = || rows.chunks_exact(self.dim).zip(&excluded);
                    vectorized(
                        #[inline(always)]
                        || self.measure_all(span.clone(), queries(), k, affinity),
                    )
                } else {
                    let block = Block::new(self, affinity, rows, &excluded);
                    best_of_span(&block, span, k, instructions)
                }
            })
            .collect();
        let (mut indices, mut values) = (vec![0; count * k], zeros(count * k));
        // Sorting a thousand neighbours of each query is work for all threads, too.
        let block = blocks[0].len() * k;
        let out = indices
            .par_chunks_mut(block)
            .zip(values.par_chunks_mut(block));
        found
            .par_chunks_mut(spans.len())
            .zip(out)
            .for_each(|(parts, (indices, values))| {
                let (first, others) = parts.split_at_mut(1);
                let queries = std::mem::take(&mut first[0]).into_iter().enumerate();
                let out = indices.chunks_exact_mut(k).zip(values.chunks_exact_mut(k));
                for ((q, mut best), (indices, values)) in queries.zip(out) {
                    for part in &mut *others {
                        best.merge(std::mem::replace(&mut part[q], Best::new(1)));
                    }
                    for (i, (key, r)) in best.into_sorted().into_iter().enumerate() {
                        (indices[i], values[i]) = (r, affinity.value(key));
                    }
                }
            });
        Neighbors {
            distances: values,
            indices,
            k,
        }
    }
}

/// Keeps the rows that `keep` says, of as many entries each as there are.
pub(crate) fn retain_rows<E: Copy>(entries: &mut Vec<E>, keep: &[bool]) {
    let width = entries.len() / keep.len().max(1);
    let mut kept = 0;
    for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
        entries.copy_within(row * width..(row + 1) * width, kept * width);
        kept += 1;
    }
    entries.truncate(kept * width);
}

#[cfg(test)]
mod tests;
