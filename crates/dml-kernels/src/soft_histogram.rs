//! Histograms that have a gradient: a value between two nodes counts for both, more for the nearer one.
//!
//! ```text
//! node k lies at low + k · width
//! x = low + (b + f) · width,  0 <= f < 1:   1 − f counts for node b, f for node b + 1
//! ```
//!
//! Each row of a matrix has a histogram of its positive pairs and one of its negative pairs.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;
use crate::{PairMask, Real, vectorized};

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;
/// Numbers whose way is computed at a time, in vector registers.
const BLOCK: usize = 64;
/// Histograms that are filled in turn and then added up: in one alone, a number would wait for the one before it to be
/// written, as most fall into a few bins.
const TABLES: usize = 4;

/// Nodes at equal distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftBins {
    low: f64,
    width: f64,
    nodes: usize,
}

impl SoftBins {
    /// `bins` bins of a width, and so one node more; at least one bin.
    #[must_use]
    pub fn new(low: f64, width: f64, bins: usize) -> Self {
        Self {
            low,
            width,
            nodes: bins.max(1) + 1,
        }
    }

    /// Where the first node lies.
    #[must_use]
    pub fn low(self) -> f64 {
        self.low
    }

    /// From one node to the next.
    #[must_use]
    pub fn width(self) -> f64 {
        self.width
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(self) -> usize {
        self.nodes
    }

    /// The node at or below `x`, and how far `x` is on the way to the next one, from 0 to 1.
    ///
    /// The node is found in single precision. Below the first and above the last bin the way goes on, beyond 0 and 1.
    #[inline(always)]
    #[must_use]
    pub fn place(self, x: f64) -> (usize, f64) {
        let bin = self.bin(x) as usize;
        (bin, (x - self.low) / self.width - bin as f64)
    }

    /// The node at or below `x`.
    #[inline(always)]
    fn bin(self, x: f64) -> u32 {
        let steps = (x - self.low) as f32 / self.width as f32;
        // From 0 on, to cut off is to round down, and needs no call where the processor can't round.
        (steps.max(0.0) as u32).min(self.nodes as u32 - 2)
    }

    /// The bin of each number.
    pub fn bins<T: Real>(self, x: &[T], bins: &mut Vec<u32>) {
        bins.clear();
        bins.resize(x.len(), 0);
        vectorized!({
            for (bin, x) in bins.iter_mut().zip(x) {
                *bin = self.bin(x.to_f64());
            }
        });
    }

    /// The histogram of some numbers `[nodes]`, of which `bins` are the [`bins`](Self::bins).
    ///
    /// # Panics
    /// Unless there is a bin for each number, and it is one of these bins.
    pub fn histogram<T: Real>(self, x: &[T], bins: &[u32], histogram: &mut Vec<f64>) {
        lengths::length("bins", bins.len(), x.len());
        histogram.clear();
        histogram.resize(TABLES * self.nodes, 0.0);
        let mut ways = [0f64; BLOCK];
        for (x, bins) in x.chunks(BLOCK).zip(bins.chunks(BLOCK)) {
            vectorized!({
                for ((way, x), bin) in ways.iter_mut().zip(x).zip(bins) {
                    *way = (x.to_f64() - self.low) / self.width - f64::from(*bin);
                }
            });
            for (i, (way, bin)) in ways.iter().zip(bins).enumerate() {
                let table = &mut histogram[i % TABLES * self.nodes..][..self.nodes];
                table[*bin as usize] += 1.0 - way;
                table[*bin as usize + 1] += way;
            }
        }
        for node in 0..self.nodes {
            let tables = (0..TABLES).map(|table| histogram[table * self.nodes + node]);
            histogram[node] = tables.sum();
        }
        histogram.truncate(self.nodes);
    }

    /// What a number of each bin has of the gradient of its histogram `[bins]`.
    pub fn gradients<T: Real>(self, gradient: &[T], gradients: &mut Vec<T>) {
        let gradient_of = |nodes: &[T]| T::from_f64((nodes[1] - nodes[0]).to_f64() / self.width);
        gradients.clear();
        gradients.extend(gradient.windows(2).map(gradient_of));
    }
}

/// The numbers of one kind in a row, in memory that the next row uses again.
#[derive(Default)]
struct OfRow<T> {
    columns: Vec<u32>,
    x: Vec<T>,
    bins: Vec<u32>,
    histogram: Vec<f64>,
    gradients: Vec<T>,
}

impl<T: Real> OfRow<T> {
    fn read(&mut self, row: &[T], columns: impl Iterator<Item = u32>, bins: SoftBins) {
        self.columns.clear();
        self.columns.extend(columns);
        self.x.clear();
        self.x.extend(self.columns.iter().map(|&r| row[r as usize]));
        bins.bins(&self.x, &mut self.bins);
    }
}

/// The histograms of each row of `x` `[queries, references]`: first of its positives, then of its negatives,
/// `[queries, 2, nodes]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn soft_histograms<T: Real>(x: &[T], pairs: &PairMask, bins: SoftBins) -> Vec<T> {
    lengths::length(
        "x",
        x.len(),
        lengths::area("x", pairs.queries(), pairs.references()),
    );
    let (width, nodes) = (pairs.references(), bins.nodes);
    let mut histograms = vec![T::ZERO; pairs.queries() * 2 * nodes];
    histograms
        .par_chunks_mut(ROWS * 2 * nodes)
        .enumerate()
        .for_each_init_in_place(OfRow::default, |of_row, (chunk, histograms)| {
            for (i, histograms) in histograms.chunks_exact_mut(2 * nodes).enumerate() {
                let q = chunk * ROWS + i;
                let row = &x[q * width..][..width];
                let (positive, negative) = histograms.split_at_mut(nodes);
                let fill = |of_row: &mut OfRow<T>, out: &mut [T]| {
                    bins.histogram(&of_row.x, &of_row.bins, &mut of_row.histogram);
                    for (out, sum) in out.iter_mut().zip(&of_row.histogram) {
                        *out = T::from_f64(*sum);
                    }
                };
                of_row.read(row, pairs.positives(q), bins);
                fill(of_row, positive);
                of_row.read(row, pairs.negatives(q), bins);
                fill(of_row, negative);
            }
        });
    histograms
}

/// The gradient of `x`, given that of the histograms.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub fn soft_histograms_backward<T: Real>(
    x: &[T],
    pairs: &PairMask,
    bins: SoftBins,
    gradient: &[T],
) -> Vec<T> {
    lengths::length(
        "x",
        x.len(),
        lengths::area("x", pairs.queries(), pairs.references()),
    );
    lengths::length("gradient", gradient.len(), pairs.queries() * 2 * bins.nodes);
    let (width, nodes) = (pairs.references(), bins.nodes);
    let mut out = vec![T::ZERO; x.len()];
    out.par_chunks_mut((ROWS * width).max(1))
        .enumerate()
        .for_each_init_in_place(OfRow::default, |of_row, (chunk, out)| {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let q = chunk * ROWS + i;
                let row = &x[q * width..][..width];
                let gradient = &gradient[q * 2 * nodes..][..2 * nodes];
                let (positive, negative) = gradient.split_at(nodes);
                let mut add = |of_row: &mut OfRow<T>, gradient: &[T]| {
                    bins.gradients(gradient, &mut of_row.gradients);
                    for (column, bin) in of_row.columns.iter().zip(&of_row.bins) {
                        out[*column as usize] += of_row.gradients[*bin as usize];
                    }
                };
                of_row.read(row, pairs.positives(q), bins);
                add(of_row, positive);
                of_row.read(row, pairs.negatives(q), bins);
                add(of_row, negative);
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shared_between_two_nodes() {
        let pairs = PairMask::select(1, 4, |_, positives, negatives, _: &mut ()| {
            positives.insert(0);
            positives.insert(1);
            negatives.insert(3);
        });
        let bins = SoftBins::new(-1.0, 0.5, 4);
        let x = [-0.875, 0.0, 7.0, 1.0];
        let histograms = soft_histograms(&x, &pairs, bins);
        assert_eq!(histograms[..5], [0.75, 0.25, 1.0, 0.0, 0.0]);
        assert_eq!(histograms[5..], [0.0, 0.0, 0.0, 0.0, 1.0]);
        let gradient = [0.0, 1.0, 3.0, 3.5, 10.0, 0.0, 0.0, 0.0, 1.0, 4.0];
        let gradients = soft_histograms_backward(&x, &pairs, bins, &gradient);
        assert_eq!(gradients, [2.0, 1.0, 0.0, 6.0]);
    }

    #[test]
    fn no_rows_and_no_columns_have_empty_histograms() {
        let none = PairMask::select(2, 0, |_, _, _, _: &mut ()| {});
        let bins = SoftBins::new(0.0, 1.0, 1);
        assert_eq!(soft_histograms::<f32>(&[], &none, bins), [0.0; 8]);
        assert!(soft_histograms_backward::<f32>(&[], &none, bins, &[1.0; 8]).is_empty());
    }
}
