//! The references whose codes are closest to those of queries.
//!
//! ```text
//! inner(q, r)         = step(q) step(r) Σₖ Qₖ Rₖ
//! squared Euclidean   key(q, r) = ‖r‖² − 2 inner(q, r)
//! inner product       key(q, r) = −inner(q, r)
//! ```
//!
//! Sums are exact, keys are of single precision. Products of a tile of references and a group of queries stay in the
//! first-level cache, where keys are compared with the k-th smallest so far: no matrix of all keys is written.

use std::ops::Range;

use dml_core::kernels::{lengths, vectorized};
use rayon::prelude::*;

use super::Int8Rows;
use super::products::{Group, Instructions, LANES, LONGEST, Sums, TILE, Tile};
use crate::kernels::nearest::{Affinity, Best};

/// Queries whose codes stay in the second-level cache.
const BLOCK: usize = 512;
/// With fewer queries than this, the lanes of instructions stay empty, and a loop over coordinates is faster.
const LANES_PAY_FROM: usize = 4;
/// References that a thread searches at a time, at least.
const SPAN: usize = 64 * TILE;

/// The codes of references, and what orders them.
#[derive(Clone, Copy)]
pub(crate) struct Int8References<'a> {
    pub(crate) rows: &'a Int8Rows,
    /// ‖r‖² of each.
    pub(crate) squared_norms: &'a [f32],
    pub(crate) dim: usize,
    pub(crate) affinity: Affinity,
}

/// The `k` closest references of each query, closest first; ties go to the lower row. Only references for which `may_find`
/// holds are found; there are `k` of them at least.
///
/// # Panics
/// If a length does not fit the shapes.
pub(crate) fn nearest(
    queries: &Int8Rows,
    references: Int8References<'_>,
    k: usize,
    may_find: impl Fn(u32) -> bool + Sync,
) -> Vec<Vec<u32>> {
    if references.dim > LONGEST {
        return nearest_of_long(queries, references, k, may_find);
    }
    let instructions = if queries.steps.len() < LANES_PAY_FROM {
        Instructions::Any
    } else {
        Instructions::available()
            .next()
            .unwrap_or(Instructions::Any)
    };
    nearest_by(instructions, queries, references, k, may_find)
}

fn nearest_by(
    instructions: Instructions,
    queries: &Int8Rows,
    references: Int8References<'_>,
    k: usize,
    may_find: impl Fn(u32) -> bool + Sync,
) -> Vec<Vec<u32>> {
    let dim = references.dim;
    let count = lengths::rows("queries", queries.codes.len(), dim);
    let rows = lengths::rows("references", references.rows.codes.len(), dim);
    lengths::length("norms", references.squared_norms.len(), rows);
    if count == 0 || rows == 0 || k == 0 {
        return vec![Vec::new(); count];
    }
    let threads = rayon::current_num_threads();
    let block = count.div_ceil(threads).next_multiple_of(LANES).min(BLOCK);
    let blocks = cut(count, block);
    let wanted = (2 * threads).div_ceil(blocks.len());
    let spans = cut(rows, rows.div_ceil(wanted).max(SPAN));
    let tasks: Vec<(Range<usize>, Range<usize>)> = blocks
        .iter()
        .flat_map(|block| spans.iter().map(|span| (block.clone(), span.clone())))
        .collect();
    let found: Vec<Vec<Best>> = tasks
        .into_par_iter()
        .map(|(block, span)| {
            let mut search = Search::new(instructions, queries, block, references, k);
            search.span(span, &may_find);
            search.best
        })
        .collect();
    let mut nearest = Vec::with_capacity(count);
    let mut found = found.into_iter();
    for _ in &blocks {
        let mut best = found.next().unwrap_or_default();
        for part in found.by_ref().take(spans.len() - 1) {
            for (best, part) in best.iter_mut().zip(part) {
                best.merge(part);
            }
        }
        let sorted = best.into_par_iter().map(|best| {
            let sorted = best.into_sorted().into_iter();
            sorted.map(|(_, row)| row).collect::<Vec<u32>>()
        });
        nearest.extend(sorted.collect::<Vec<_>>());
    }
    nearest
}

/// The same for rows whose products don't fit in 32 bits.
fn nearest_of_long(
    queries: &Int8Rows,
    references: Int8References<'_>,
    k: usize,
    may_find: impl Fn(u32) -> bool + Sync,
) -> Vec<Vec<u32>> {
    let product = |a: &[i8], b: &[i8]| -> i64 {
        let terms = |(a, b): (&[i8], &[i8])| -> i32 {
            let terms = a.iter().zip(b);
            terms.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
        };
        let parts = a.chunks(LONGEST).zip(b.chunks(LONGEST));
        parts.map(|part| i64::from(terms(part))).sum()
    };
    let dim = references.dim;
    let queries = queries.codes.par_chunks_exact(dim).zip(&queries.steps);
    let nearest = queries.map(|(query, query_step)| {
        let mut best = Best::new(k.max(1));
        let rows = references.rows.codes.chunks_exact(dim).enumerate();
        for (r, row) in rows.filter(|(r, _)| may_find(*r as u32)) {
            let inner = product(query, row) as f32 * query_step * references.rows.steps[r];
            let key = references.key(r, inner);
            best.push(
                if key.is_nan() {
                    f64::NAN
                } else {
                    f64::from(key) + 0.0
                },
                r as u32,
            );
        }
        let sorted = best.into_sorted().into_iter().take(k);
        sorted.map(|(_, row)| row).collect()
    });
    nearest.collect()
}

impl Int8References<'_> {
    /// What orders references, of row `r` and its product with a query.
    #[inline(always)]
    fn key(&self, r: usize, inner: f32) -> f32 {
        match self.affinity {
            Affinity::SquaredEuclidean => self.squared_norms[r] - 2.0 * inner,
            Affinity::InnerProduct => -inner,
        }
    }
}

/// `0..length` in pieces.
fn cut(length: usize, piece: usize) -> Vec<Range<usize>> {
    let starts = (0..length).step_by(piece);
    let pieces = starts.map(|start| start..(start + piece).min(length));
    pieces.collect()
}

/// A block of queries on its way through the references.
struct Search<'a> {
    references: Int8References<'a>,
    groups: Vec<Group>,
    /// The step of each query.
    steps: &'a [f32],
    best: Vec<Best>,
    tile: Tile,
    sums: Box<Sums>,
    keys: Box<[[f32; LANES]; TILE]>,
}

impl<'a> Search<'a> {
    fn new(
        instructions: Instructions,
        queries: &'a Int8Rows,
        block: Range<usize>,
        references: Int8References<'a>,
        k: usize,
    ) -> Self {
        let dim = references.dim;
        let codes = &queries.codes[block.start * dim..block.end * dim];
        let groups = codes.chunks(LANES * dim);
        Self {
            references,
            groups: groups
                .map(|codes| Group::new(instructions, codes, dim))
                .collect(),
            best: block.clone().map(|_| Best::new(k)).collect(),
            steps: &queries.steps[block],
            tile: Tile::new(instructions, dim),
            sums: Box::new([[0; LANES]; TILE]),
            keys: Box::new([[0.0; LANES]; TILE]),
        }
    }

    fn span(&mut self, span: Range<usize>, may_find: &(impl Fn(u32) -> bool + Sync)) {
        let dim = self.references.dim;
        for first in span.clone().step_by(TILE) {
            let rows = first..(first + TILE).min(span.end);
            let codes = &self.references.rows.codes[rows.start * dim..rows.end * dim];
            self.tile.fill(codes);
            for group in 0..self.groups.len() {
                self.groups[group].products(&self.tile, &mut self.sums);
                let start = group * LANES;
                let queries = start..start + self.groups[group].queries();
                vectorized(
                    #[inline(always)]
                    || self.take(rows.clone(), queries.clone(), may_find),
                );
            }
        }
    }

    /// Takes those references of the tile that are close enough.
    #[inline(always)]
    fn take(
        &mut self,
        rows: Range<usize>,
        queries: Range<usize>,
        may_find: &(impl Fn(u32) -> bool + Sync),
    ) {
        let (mut steps, mut bounds) = ([0.0; LANES], [f32::NEG_INFINITY; LANES]);
        let lanes = queries.len();
        steps[..lanes].copy_from_slice(&self.steps[queries.clone()]);
        for (bound, best) in bounds.iter_mut().zip(&self.best[queries.clone()]) {
            // Keys are of single precision, and so is the largest one of those that are kept.
            *bound = best.bound() as f32;
        }
        let used = u32::MAX >> (LANES - lanes);
        for (i, row) in rows.enumerate() {
            let (step, norm) = (
                self.references.rows.steps[row],
                self.references.squared_norms[row],
            );
            let (sums, keys) = (&self.sums[i], &mut self.keys[i]);
            let mut passing = 0;
            for lane in 0..LANES {
                let inner = sums[lane] as f32 * steps[lane] * step;
                let key = match self.references.affinity {
                    Affinity::SquaredEuclidean => norm - 2.0 * inner,
                    Affinity::InnerProduct => -inner,
                };
                keys[lane] = key;
                // What is not a number, after an overflow, is further than all numbers, but there is a place for it.
                #[allow(clippy::neg_cmp_op_on_partial_ord)]
                let passes = !(key > bounds[lane]);
                passing |= u32::from(passes) << lane;
            }
            passing &= used;
            if passing == 0 || !may_find(row as u32) {
                continue;
            }
            while passing != 0 {
                let lane = passing.trailing_zeros() as usize;
                passing &= passing - 1;
                let key = f64::from(self.keys[i][lane]);
                // Adding 0 turns −0 into 0: they are the same distance.
                let key = if key.is_nan() { f64::NAN } else { key + 0.0 };
                let best = &mut self.best[queries.start + lane];
                if best.push(key, row as u32) {
                    bounds[lane] = best.bound() as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::kernels::int8::quantize;
    use crate::kernels::nearest::closest_of_rows;

    fn rows(count: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count * dim)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect()
    }

    /// All keys, one pair after the other, and the smallest of them.
    fn by_matrix(queries: &Int8Rows, references: Int8References<'_>, k: usize) -> Vec<Vec<u32>> {
        let dim = references.dim;
        let mut keys = Vec::new();
        for (query, query_step) in queries.codes.chunks_exact(dim).zip(&queries.steps) {
            let rows = references.rows.codes.chunks_exact(dim);
            for (r, row) in rows.enumerate() {
                let terms = query.iter().zip(row);
                let sum: i64 = terms.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                let inner = sum as f32 * query_step * references.rows.steps[r];
                keys.push(match references.affinity {
                    Affinity::SquaredEuclidean => references.squared_norms[r] - 2.0 * inner,
                    Affinity::InnerProduct => -inner,
                });
            }
        }
        let count = references.squared_norms.len();
        let (found, _) = closest_of_rows(&keys, count, k, false, |_| None);
        found.iter().map(|(rows, _)| rows.to_vec()).collect()
    }

    #[test]
    fn they_are_those_of_the_matrix_of_all_keys() {
        for (count, references, dim) in
            [(1, 300, 7), (3, 20_000, 9), (70, 6000, 33), (600, 200, 64)]
        {
            let mut values = rows(references, dim, 1);
            // Copies: ties go to the lower row.
            values.copy_within(0..20 * dim, 100 * dim);
            let norms: Vec<f32> = values
                .chunks_exact(dim)
                .map(|row| row.iter().map(|x| x * x).sum())
                .collect();
            let (r, q) = (quantize(&values, dim), quantize(&rows(count, dim, 2), dim));
            for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
                let references = Int8References {
                    rows: &r,
                    squared_norms: &norms,
                    dim,
                    affinity,
                };
                for k in [1, 41, 200] {
                    let want = by_matrix(&q, references, k);
                    for instructions in Instructions::available() {
                        let found = nearest_by(instructions, &q, references, k, |_| true);
                        assert_eq!(found, want, "{instructions:?} {affinity:?} {k}");
                    }
                }
                let all = by_matrix(&q, references, norms.len());
                let some = nearest(&q, references, 5, |row| row % 3 == 0);
                for (some, all) in some.iter().zip(all) {
                    let want = all.into_iter().filter(|row| row % 3 == 0).take(5);
                    assert_eq!(some, &want.collect::<Vec<u32>>());
                }
            }
        }
    }

    #[test]
    fn long_rows_and_what_overflows_have_their_places() {
        let dim = LONGEST + 3;
        let ones = Int8Rows {
            codes: [vec![127; dim], vec![-127; dim]].concat(),
            steps: vec![1.0, 1.0],
        };
        let references = Int8References {
            rows: &ones,
            squared_norms: &[0.0, 0.0],
            dim,
            affinity: Affinity::InnerProduct,
        };
        assert_eq!(nearest(&ones, references, 2, |_| true), [[0, 1], [1, 0]]);
        let huge = Int8Rows {
            codes: vec![127, -127, 1],
            steps: vec![3e38, 3e38, 1.0],
        };
        let references = Int8References {
            rows: &huge,
            squared_norms: &[f32::INFINITY, f32::INFINITY, 1.0],
            dim: 1,
            affinity: Affinity::SquaredEuclidean,
        };
        // ∞ − ∞ comes last.
        assert_eq!(nearest(&huge, references, 3, |_| true)[0], [2, 1, 0]);
    }
}
