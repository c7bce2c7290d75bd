//! A block of queries on its way through the references, and what it has found so far.

use dml_core::kernels::exact::dot;
use dml_core::kernels::{Real, vectorized};

use super::candidates::Candidates;
use super::{Affinity, Best, References};

/// References that are measured at a time for all queries: read from memory once.
const MEASURED_TOGETHER: usize = 256;

/// Some of the references: `count` rows, each `step` rows after the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) first: usize,
    pub(super) step: usize,
    pub(super) count: usize,
}

impl Tile {
    pub(super) fn row(self, i: usize) -> usize {
        self.first + i * self.step
    }
}

/// Queries with what the search needs to know of them.
#[derive(Clone, Debug)]
pub(super) struct Block<'a, T> {
    pub(super) references: &'a References<T>,
    pub(super) affinity: Affinity,
    /// `[queries, dim]`.
    pub(super) queries: &'a [T],
    /// The reference that a query must not find.
    pub(super) excluded: &'a [Option<u32>],
    pub(super) squared_norms: Vec<f64>,
}

impl<'a, T: Real> Block<'a, T> {
    pub(super) fn new(
        references: &'a References<T>,
        affinity: Affinity,
        queries: &'a [T],
        excluded: &'a [Option<u32>],
    ) -> Self {
        let rows = queries.chunks_exact(references.dim);
        Self {
            references,
            affinity,
            queries,
            excluded,
            squared_norms: rows.map(|row| dot(row, row)).collect(),
        }
    }

    #[inline(always)]
    pub(super) fn query(&self, q: usize) -> &'a [T] {
        let dim = self.references.dim;
        &self.queries[q * dim..][..dim]
    }

    /// Some of the queries, and what they exclude.
    pub(super) fn pick(&self, queries: &[usize]) -> (Vec<T>, Vec<Option<u32>>) {
        let rows = queries.iter().flat_map(|q| self.query(*q)).copied();
        (
            rows.collect(),
            queries.iter().map(|q| self.excluded[*q]).collect(),
        )
    }

    /// The queries with coordinates outermost, `[dim, lanes]`: one coordinate of all of them is contiguous. There are zeros
    /// in the lanes that no query has.
    pub(super) fn columns(&self, lanes: usize) -> Vec<T> {
        let dim = self.references.dim;
        let mut columns = vec![T::ZERO; dim * lanes];
        for (q, row) in self.queries.chunks_exact(dim).enumerate() {
            for (k, value) in row.iter().enumerate() {
                columns[k * lanes + q] = *value;
            }
        }
        columns
    }

    /// The key of a reference.
    #[inline(always)]
    pub(super) fn measure(&self, q: usize, r: u32) -> f64 {
        let reference = self.references.row(r as usize);
        self.affinity.key(self.query(q), reference)
    }

    /// A key less the number that stands for it: ‖q‖², which all references share.
    pub(super) fn shift(&self, q: usize) -> f64 {
        match self.affinity {
            Affinity::SquaredEuclidean => self.squared_norms[q],
            Affinity::InnerProduct => 0.0,
        }
    }

    /// Measures the rows that are left for each query, in ascending order, tile by tile: a tile is read from memory once
    /// for all queries.
    #[inline(always)]
    fn measure_rest(&self, best: &mut [Best], rows: &[Vec<u32>]) {
        let first = rows.iter().filter_map(|rows| rows.first()).min();
        let last = rows.iter().filter_map(|rows| rows.last()).max();
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let mut done = vec![0; rows.len()];
        for start in (*first as usize..=*last as usize).step_by(MEASURED_TOGETHER) {
            let end = start + MEASURED_TOGETHER;
            for (q, (best, rows)) in best.iter_mut().zip(rows).enumerate() {
                while let Some(r) = rows.get(done[q]).filter(|r| (**r as usize) < end) {
                    best.push(self.measure(q, *r), *r);
                    done[q] += 1;
                }
            }
        }
    }
}

/// The candidates of every query of a block.
#[derive(Debug)]
pub(super) struct Found<'b, 'a, T> {
    pub(super) block: &'b Block<'a, T>,
    candidates: Vec<Candidates<T>>,
}

impl<'b, 'a, T: Real> Found<'b, 'a, T> {
    /// Nothing found yet. `guess(q)` says above which number nothing is among the `k` nearest.
    pub(super) fn new(block: &'b Block<'a, T>, k: usize, guess: impl Fn(usize) -> f64) -> Self {
        let queries = 0..block.excluded.len();
        Self {
            block,
            candidates: queries.map(|q| Candidates::new(k, guess(q))).collect(),
        }
    }

    /// A reference whose number is certainly larger than this is not among the k nearest of query `q`.
    #[inline(always)]
    pub(super) fn bound(&self, q: usize) -> f64 {
        self.candidates[q].bound()
    }

    /// Takes a reference that could not be ruled out, with what its number is at least and at most; returns whether the
    /// bound may have changed.
    #[inline(always)]
    pub(super) fn take(&mut self, q: usize, r: u32, least: T, most: T) -> bool {
        if self.block.excluded[q] == Some(r) {
            return false;
        }
        let is_full = self.candidates[q].push(least, most, r);
        if is_full {
            self.thin_out(q);
        }
        is_full
    }

    /// What the number of each candidate of query `q` is at least and at most, and its row.
    #[cfg(test)]
    pub(super) fn intervals(&self, q: usize) -> impl Iterator<Item = (T, T, u32)> {
        self.candidates[q].intervals()
    }

    #[inline(never)]
    fn thin_out(&mut self, q: usize) {
        let block = self.block;
        self.candidates[q].thin_out(|r| block.measure(q, r), block.shift(q));
    }

    /// The numbers above which nothing is among the k nearest, as far as is known.
    pub(super) fn into_bounds(self) -> Vec<f64> {
        let bounds = self.candidates.into_iter().map(|mut candidates| {
            candidates.drop_by_intervals();
            candidates.bound()
        });
        bounds.collect()
    }

    /// The best of every query.
    pub(super) fn into_best(self) -> Vec<Best> {
        let parts = self.candidates.into_iter().map(Candidates::into_parts);
        let (mut best, rows): (Vec<Best>, Vec<Vec<u32>>) = parts.unzip();
        vectorized(
            #[inline(always)]
            || self.block.measure_rest(&mut best, &rows),
        );
        best
    }
}
