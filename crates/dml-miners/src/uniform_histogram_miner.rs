//! Pairs drawn evenly over the range of distances.
//!
//! ```text
//! the range from the smallest to the largest distance of the positive pairs is cut into num_bins equal bins;
//! from each bin that holds any, pos_per_bin pairs are drawn with replacement; the negatives likewise
//! ```
//!
//! A bin holds its lower end, the last one its upper end, too. No pair is stored: one pass counts the bins of every
//! row, draws are places in that count, and only rows that were hit are looked at again.

use std::sync::Arc;

use dml_core::autograd::Element;
use dml_core::kernels::{Real, map_rows};
use dml_core::{Batch, Distance, Miner, Pairs, Relation, Result, SeedSequence, Tuples, check};
use rand::{Rng, RngCore};

use crate::host::{Sides, with_distances};

dml_core::config! {
    /// Configuration of [`UniformHistogramMiner`].
    pub struct UniformHistogramMinerConfig {
        /// Number of bins, 1 to 65,536. Default `100`.
        pub num_bins: usize = 100,
        /// Positive pairs drawn from each bin; at most 16,777,216 from all bins. Default `10`.
        pub pos_per_bin: usize = 10,
        /// Negative pairs drawn from each bin; at most 16,777,216 from all bins. Default `10`.
        pub neg_per_bin: usize = 10,
        /// Where the draws come from: successive calls draw differently, runs of one seed alike. Default `0`.
        pub seed: u64 = 0,
    }
}

/// Draws pairs evenly over the range of distances ([definition](self)).
///
/// ```
/// use dml_core::{Batch, Miner, TupleCount, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{UniformHistogramMiner, UniformHistogramMinerConfig};
///
/// let config = UniformHistogramMinerConfig { num_bins: 2, pos_per_bin: 3, neg_per_bin: 4, seed: 7 };
/// let miner = UniformHistogramMiner::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.], [-1., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 0, 1])?;
/// // Both kinds have pairs in both halves of their range.
/// assert_eq!(miner.mine(&batch)?.count(&batch)?, TupleCount::Pairs { positive: 6, negative: 8 });
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UniformHistogramMiner {
    num_bins: usize,
    pos_per_bin: usize,
    neg_per_bin: usize,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

/// The largest number of pairs of a kind: each is a draw and a look through a row.
const MOST_PAIRS: usize = 1 << 24;

impl UniformHistogramMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) without a bin, [`Error::Count`](dml_core::Error::Count)
    /// with more than 65,536, or for more than 2²⁴ pairs of a kind.
    pub fn new(
        config: UniformHistogramMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        let num_bins = check::count("num_bins", config.num_bins, check::MOST_BINS)?;
        for (name, per_bin) in [
            ("pos_per_bin", config.pos_per_bin),
            ("neg_per_bin", config.neg_per_bin),
        ] {
            check::count_from(name, per_bin, 0, MOST_PAIRS / num_bins)?;
        }
        Ok(Self {
            num_bins,
            pos_per_bin: config.pos_per_bin,
            neg_per_bin: config.neg_per_bin,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }
}

impl Miner for UniformHistogramMiner {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("UniformHistogramMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        check::elements("num_bins", &[batch.queries(), self.num_bins], 4)?;
        let mut rng = self.seeds.next_rng();
        let (positive, negative) = with_distances!(batch, &self.distance, |matrix: &[T]| {
            let mut side = |side: Side, per_bin| {
                let histogram = Histogram {
                    matrix,
                    references: batch.references(),
                    relation,
                    side,
                };
                histogram.draw(self.num_bins, per_bin, &mut rng)
            };
            (
                side(|sides| &sides.positives, self.pos_per_bin),
                side(|sides| &sides.negatives, self.neg_per_bin),
            )
        })?;
        Ok(Pairs::new(positive.0, positive.1, negative.0, negative.1)?.into())
    }
}

/// Positives or negatives.
type Side = fn(&Sides) -> &[u32];

/// The pairs of one kind by their distance.
struct Histogram<'a, T> {
    matrix: &'a [T],
    references: usize,
    relation: &'a Relation,
    side: Side,
}

impl<T: Element> Histogram<'_, T> {
    fn values<'s>(&'s self, q: usize, sides: &'s mut Sides) -> impl Iterator<Item = (u32, T)> + 's {
        let row = &self.matrix[q * self.references..][..self.references];
        let others = (self.side)(sides.of(self.relation, q));
        others.iter().map(|&r| (r, row[r as usize]))
    }

    fn draw(&self, num_bins: usize, per_bin: usize, rng: &mut dyn RngCore) -> (Vec<u32>, Vec<u32>) {
        let queries = self.relation.queries();
        let extremes = map_rows(queries, |q, sides: &mut Sides| {
            let values = self.values(q, sides);
            values.fold(None, |ends: Option<(T, T)>, (_, v)| {
                let (low, high) = ends.unwrap_or((v, v));
                Some((Real::min(low, v), Real::max(high, v)))
            })
        });
        let ends = extremes.into_iter().flatten();
        let Some((low, high)) = ends.reduce(|a, b| (Real::min(a.0, b.0), Real::max(a.1, b.1)))
        else {
            return Default::default();
        };
        let bins = Bins::new(low, high, num_bins);
        let mut pairs = (Vec::new(), Vec::new());
        let mut sides = Sides::default();
        // One more count for what is in no bin.
        let counts = map_rows(queries, |q, sides: &mut Sides| {
            let mut counts = vec![0u32; num_bins + 1];
            for (_, v) in self.values(q, sides) {
                let bin = if Real::is_nan(v) {
                    num_bins
                } else {
                    bins.of(v)
                };
                counts[bin] += 1;
            }
            counts
        });
        // What is no number is kept whatever is drawn, so that the loss sees it.
        for q in (0..queries).filter(|q| counts[*q][num_bins] > 0) {
            let nans = self.values(q, &mut sides).filter(|(_, v)| Real::is_nan(*v));
            pairs.extend(nans.map(|(r, _)| (q as u32, r)));
        }
        let mut reached = Vec::with_capacity(queries);
        for bin in 0..num_bins {
            let mut sum = 0u64;
            reached.clear();
            reached.extend(counts.iter().map(|row| {
                sum += u64::from(row[bin]);
                sum
            }));
            if sum == 0 {
                continue;
            }
            for _ in 0..per_bin {
                let place = rng.random_range(0..sum);
                let q = reached.partition_point(|end| *end <= place);
                let before = reached[q] - u64::from(counts[q][bin]);
                let mut inside = self
                    .values(q, &mut sides)
                    .filter(|(_, v)| !Real::is_nan(*v) && bins.of(*v) == bin);
                let drawn = inside.nth((place - before) as usize);
                pairs.extend(drawn.map(|(r, _)| (q as u32, r)));
            }
        }
        pairs
    }
}

/// Equal bins between two values.
struct Bins<T> {
    edges: Vec<T>,
    low: f64,
    per_unit: f64,
}

impl<T: Element> Bins<T> {
    fn new(low: T, high: T, bins: usize) -> Self {
        let step = (high - low) / <T as Real>::from_f64(bins as f64);
        // The upper half counts from the upper end, so that the last edge is that end and not a rounding beside it.
        let edge = |i: usize| {
            let steps = |n: usize| step * <T as Real>::from_f64(n as f64);
            if i < bins.div_ceil(2) {
                low + steps(i)
            } else {
                high - steps(bins - i)
            }
        };
        let (low, high) = (Real::to_f64(low), Real::to_f64(high));
        Self {
            edges: (0..=bins).map(edge).collect(),
            low,
            per_unit: bins as f64 / (high - low),
        }
    }

    /// The bin of a value between the ends; of equal edges the last.
    fn of(&self, value: T) -> usize {
        let last = self.edges.len() - 2;
        // The guess is off by one at most; the edges themselves decide.
        let guess = ((Real::to_f64(value) - self.low) * self.per_unit) as usize;
        let mut bin = guess.min(last);
        while bin > 0 && value < self.edges[bin] {
            bin -= 1;
        }
        while bin < last && value >= self.edges[bin + 1] {
            bin += 1;
        }
        bin
    }
}

#[cfg(test)]
mod tests;
