//! Histograms that have a gradient: a value between two nodes counts for both, more for the nearer one.
//!
//! ```text
//! node k lies at low + k · width
//! x = low + (b + f) · width,  0 <= f < 1:   1 − f counts for node b, f for node b + 1
//! ```
//!
//! Each row of a matrix has a histogram of its positive pairs and one of its negative pairs.

use rayon::prelude::*;

use crate::here::Here;
use crate::{PairMask, Real};

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

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
        let steps = ((x - self.low) as f32 / self.width as f32).floor();
        let bin = (steps.max(0.0) as usize).min(self.nodes - 2);
        (bin, (x - self.low) / self.width - bin as f64)
    }
}

/// The histograms of each row of `x` `[queries, references]`: first of its positives, then of its negatives,
/// `[queries, 2, nodes]`.
#[must_use]
pub fn soft_histograms<T: Real>(x: &[T], pairs: &PairMask, bins: SoftBins) -> Vec<T> {
    let (width, nodes) = (pairs.references(), bins.nodes);
    let mut histograms = vec![T::ZERO; pairs.queries() * 2 * nodes];
    histograms
        .par_chunks_mut(ROWS * 2 * nodes)
        .enumerate()
        .for_each_here(|(chunk, histograms)| {
            let mut sums = vec![0f64; 2 * nodes];
            for (i, histograms) in histograms.chunks_exact_mut(2 * nodes).enumerate() {
                let q = chunk * ROWS + i;
                let row = &x[q * width..][..width];
                sums.fill(0.0);
                let (positive, negative) = sums.split_at_mut(nodes);
                let add = |sums: &mut [f64], r: u32| {
                    let (bin, way) = bins.place(row[r as usize].to_f64());
                    sums[bin] += 1.0 - way;
                    sums[bin + 1] += way;
                };
                pairs.positives(q).for_each(|r| add(positive, r));
                pairs.negatives(q).for_each(|r| add(negative, r));
                for (out, sum) in histograms.iter_mut().zip(&sums) {
                    *out = T::from_f64(*sum);
                }
            }
        });
    histograms
}

/// The gradient of `x`, given that of the histograms.
#[must_use]
pub fn soft_histograms_backward<T: Real>(
    x: &[T],
    pairs: &PairMask,
    bins: SoftBins,
    gradient: &[T],
) -> Vec<T> {
    let (width, nodes) = (pairs.references(), bins.nodes);
    let mut out = vec![T::ZERO; x.len()];
    out.par_chunks_mut((ROWS * width).max(1))
        .enumerate()
        .for_each_here(|(chunk, out)| {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let q = chunk * ROWS + i;
                let row = &x[q * width..][..width];
                let gradient = &gradient[q * 2 * nodes..][..2 * nodes];
                let (positive, negative) = gradient.split_at(nodes);
                let mut add = |gradient: &[T], r: u32| {
                    let (bin, _) = bins.place(row[r as usize].to_f64());
                    let slope = (gradient[bin + 1] - gradient[bin]).to_f64() / bins.width;
                    out[r as usize] += T::from_f64(slope);
                };
                pairs.positives(q).for_each(|r| add(positive, r));
                pairs.negatives(q).for_each(|r| add(negative, r));
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
        let slopes = soft_histograms_backward(&x, &pairs, bins, &gradient);
        assert_eq!(slopes, [2.0, 1.0, 0.0, 6.0]);
    }

    #[test]
    fn no_rows_and_no_columns_have_empty_histograms() {
        let none = PairMask::select(2, 0, |_, _, _, _: &mut ()| {});
        let bins = SoftBins::new(0.0, 1.0, 1);
        assert_eq!(soft_histograms::<f32>(&[], &none, bins), [0.0; 8]);
        assert!(soft_histograms_backward::<f32>(&[], &none, bins, &[1.0; 8]).is_empty());
    }
}
