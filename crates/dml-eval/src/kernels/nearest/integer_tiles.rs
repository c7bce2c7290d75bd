//! Numbers of a tile of references by products of small integers, with a proven bound of their error.
//!
//! ```text
//! q̂ = step(q) Q,  r̂ = step(r) R                       integers times a step, see `quantized`
//! |q·r − q̂·r̂| ≤ ‖q‖ ‖r − r̂‖ + ‖q − q̂‖ ‖r̂‖ ≤ ‖q‖ e(r),   e(r) = ‖r − r̂‖ + κ ‖r̂‖,   κ = max_q ‖q − q̂‖ / ‖q‖
//! ```
//!
//! `q·r − q̂·r̂ = q·(r − r̂) + (q − q̂)·r̂`, and Cauchy and Schwarz bound both terms. The bound is a number of the query times
//! one of the reference, so a reference far longer than its neighbours loosens nothing but its own, and it costs one
//! instruction per 16 pairs. What is rounded to the nearest integer is measured, row by row; for rows without large
//! coordinates among small ones, at 128 coordinates, `e(r)` is about 5 · 10⁻⁴ ‖r‖.
//!
//! The sum of products `Q·R` is exact. It becomes the number `‖r‖² − 2 q̂·r̂` (`−q̂·r̂` for inner products) in single
//! precision, rounded a few times: to convert the sum, by the query's step, with the reference's step and ‖r‖², less the
//! bound, and where candidates are kept. Each rounding is at most `u` times the largest intermediate result, and all
//! results are at most `5 (‖q‖² + ‖r‖²)`, since the residuals are less than 0.36 of their rows, at 256 steps or more. Ten
//! of these are less than `SLACK (‖q‖² + ‖r‖²)`, `SLACK = 64 u`, by which intervals are widened; 10 (dim + 16) roundings
//! in double precision, of the norms and of what is measured, are less than one of them. Nothing overflows or loses
//! digits near 0, because a row's largest coordinate is between 2⁻⁴⁰ and 2⁴⁰, or the row is never ruled out.

use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::{Real, vectorized};

use super::Affinity;
use super::block::{Block, Found, Tile};
use super::integer_product::{
    Instructions, LANES, LaneTerms, Panels, Passing, RowTerms, TILE, compare,
};
use super::quantized::{largest_integer, quantize};

/// 64 times the unit roundoff of single precision.
const SLACK: f64 = 32.0 * f32::EPSILON as f64;
/// Pairs of coordinates in a cache line.
const LINE: usize = 16;

/// A block of queries as integers.
#[derive(Debug)]
pub(super) struct IntegerTiles {
    instructions: Instructions,
    largest: i16,
    /// Pairs of coordinates in a row.
    pairs: usize,
    /// κ, the largest relative residual of a query.
    residual: f64,
    groups: Vec<LaneTerms>,
    /// `[groups, pairs, LANES]`.
    lanes: Aligned<[i16; 2]>,
    /// `[TILE, stride]`, of the present tile.
    rows: Aligned<[i16; 2]>,
    stride: usize,
    terms: Box<[RowTerms; TILE]>,
    passing: Box<Passing>,
}

impl IntegerTiles {
    /// `None` where rows are too long for integers, or a query's numbers too large or too small.
    pub(super) fn new<T: Real>(block: &Block<'_, T>, instructions: Instructions) -> Option<Self> {
        let dim = block.references.dim;
        let largest = largest_integer(dim)?;
        let pairs = dim.div_ceil(2);
        // An odd number of cache lines: the rows of a register block lie in different sets of the first-level cache.
        let stride = pairs.div_ceil(LINE) | 1;
        let groups = block.excluded.len().div_ceil(LANES);
        let none = LaneTerms {
            steps: [0.0; LANES],
            lengths: [0.0; LANES],
            thresholds: [f32::NEG_INFINITY; LANES],
        };
        let mut tiles = Self {
            instructions,
            largest,
            pairs,
            residual: 0.0,
            groups: vec![none; groups],
            lanes: Aligned::zeros(groups * pairs * LANES),
            rows: Aligned::zeros(TILE * stride * LINE),
            stride: stride * LINE,
            terms: Box::new([RowTerms::default(); TILE]),
            passing: Passing::none(),
        };
        let mut row = vec![[0; 2]; pairs];
        for (q, squared_norm) in block.squared_norms.iter().enumerate() {
            let (group, lane) = (q / LANES, q % LANES);
            let query = quantize(block.query(q), largest, &mut row.as_flattened_mut()[..dim])?;
            let length = squared_norm.sqrt();
            if length > 0.0 {
                tiles.residual = tiles.residual.max(query.residual / length);
            }
            tiles.groups[group].steps[lane] = query.step;
            tiles.groups[group].lengths[lane] = upwards(length);
            let panel = &mut tiles.lanes[group * pairs * LANES..][..pairs * LANES];
            for (panel, pair) in panel.chunks_exact_mut(LANES).zip(&row) {
                panel[lane] = *pair;
            }
        }
        Some(tiles)
    }

    /// Takes those references of the tile that cannot be ruled out; returns of how many pairs that was only because of
    /// the bound: with exact numbers they would have gone.
    pub(super) fn search<T: Real>(&mut self, tile: Tile, found: &mut Found<'_, '_, T>) -> usize {
        let block = found.block;
        vectorized(
            #[inline(always)]
            || self.quantize(block, tile),
        );
        let mut surplus = 0;
        for group in 0..self.groups.len() {
            let queries = group * LANES..block.excluded.len().min((group + 1) * LANES);
            for (lane, q) in queries.clone().enumerate() {
                let threshold = found.bound(q) + SLACK * block.squared_norms[q];
                self.groups[group].thresholds[lane] = upwards(threshold);
            }
            let panels = Panels {
                pairs: self.pairs,
                rows: &self.rows,
                stride: self.stride,
                lanes: &self.lanes[group * self.pairs * LANES..],
            };
            let lanes = &self.groups[group];
            compare(
                self.instructions,
                panels,
                &self.terms,
                tile.count,
                lanes,
                &mut self.passing,
            );
            surplus += self.take(tile, group, queries.len(), found);
        }
        surplus
    }

    fn take<T: Real>(
        &self,
        tile: Tile,
        group: usize,
        lanes: usize,
        found: &mut Found<'_, '_, T>,
    ) -> usize {
        let block = found.block;
        // Beyond the last query, what is not a number passes.
        let used = u32::MAX >> (LANES - lanes);
        let mut surplus = 0;
        for i in 0..tile.count {
            let mut mask = self.passing.masks[i] & used;
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let (q, r) = (group * LANES + lane, tile.row(i));
                let own = SLACK * block.squared_norms[q];
                let least = f64::from(self.passing.least[i][lane]);
                // Since the comparison, others may have brought the bound down.
                if least - own > found.bound(q) {
                    continue;
                }
                let length = f64::from(self.groups[group].lengths[lane]);
                let error = f64::from(self.terms[i].error) * length;
                let other = SLACK * block.references.squared_norms[r].to_f64();
                surplus += usize::from(least + error > found.bound(q));
                let most = least + 2.0 * (error + other) + own;
                found.take(q, r as u32, T::from_f64(least - own), T::from_f64(most));
            }
        }
        surplus
    }

    #[inline(always)]
    fn quantize<T: Real>(&mut self, block: &Block<'_, T>, tile: Tile) {
        let rows = self.rows.chunks_exact_mut(self.stride);
        for (i, (row, terms)) in rows.zip(self.terms.iter_mut()).take(tile.count).enumerate() {
            let reference = block.references.row(tile.row(i));
            let squared_norm = block.references.squared_norms[tile.row(i)].to_f64();
            let integers = &mut row.as_flattened_mut()[..reference.len()];
            let quantized = quantize(reference, self.largest, integers);
            let error = quantized.map_or(f64::INFINITY, |row| {
                // The norm has been rounded to the precision of the rows.
                let length = squared_norm.sqrt() * (1.0 + f64::from(f32::EPSILON));
                row.residual + self.residual * (length + row.residual)
            });
            let (factor, offset) = match block.affinity {
                Affinity::SquaredEuclidean => (-2.0, squared_norm),
                Affinity::InnerProduct => (-1.0, 0.0),
            };
            *terms = RowTerms {
                offset: (offset - SLACK * squared_norm) as f32,
                factor: factor * quantized.unwrap_or_default().step,
                error: upwards(-f64::from(factor) * error),
            };
        }
    }
}

/// The number in single precision, or the next larger one.
fn upwards(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x {
        near.next_up()
    } else {
        near
    }
}

#[cfg(test)]
mod tests;
