//! Negatives drawn so that all distances are equally likely, not only those at which random points lie.
//!
//! ```text
//! d = max(‖x̂ − r̂‖₂, cutoff)
//! w = d^(2−dim) (1 − d²/4)^((3−dim)/2)     for negatives with d < nonzero_loss_cutoff, else 0
//! ```
//!
//! `1/w` is the density of distances between random points of the unit sphere: Wu, Manmatha, Smola and Krähenbühl,
//! "Sampling Matters in Deep Embedding Learning" (2017, arXiv:1706.07567), section 4. Each anchor gives as many
//! triplets as its class has rows among the references, itself included; positives are drawn uniformly. Weights are
//! scaled by the largest of their row before they leave the logarithm, so no row vanishes however large `dim` is.

use std::sync::Arc;

use dml_core::kernels::Real;
use dml_core::{Batch, Distance, Miner, PerAnchor, Result, SeedSequence, Triplets, Tuples, check};
use rand::RngCore;

use crate::host::{self, with_distances};

dml_core::config! {
    /// Configuration of [`DistanceWeightedMiner`].
    pub struct DistanceWeightedMinerConfig {
        /// Nearer negatives count as if they were this far; in `[0, 1e30]`. Default `0.5`.
        pub cutoff: f64 = 0.5,
        /// Negatives this far or farther are never drawn; in `[0, 1e30]`. Default `1.4`.
        pub nonzero_loss_cutoff: f64 = 1.4,
        /// Where the draws come from: successive calls draw differently, runs of one seed alike. Default `0`.
        pub seed: u64 = 0,
    }
}

/// Draws triplets by the distance of their negatives ([weights](self)).
///
/// ```
/// use dml_core::{Batch, Miner, TupleCount, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{DistanceWeightedMiner, DistanceWeightedMinerConfig};
///
/// let config = DistanceWeightedMinerConfig::default();
/// let miner = DistanceWeightedMiner::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0.6, 0.8], [-1., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1, 2])?;
/// // Two triplets for each of the two anchors that have a positive; row 3 is too far from both to be drawn.
/// let triplets = miner.mine(&batch)?.triplets(&batch)?;
/// assert_eq!((&triplets.anchors[..], &triplets.negatives[..]), (&[0, 0, 1, 1][..], &[2, 2, 2, 2][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DistanceWeightedMiner {
    cutoff: f64,
    nonzero_loss_cutoff: f64,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

impl DistanceWeightedMiner {
    /// A miner whose `distance` must be the Euclidean one of normalised rows, whose density the weights undo.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a cutoff that is negative or not finite, [`Error::Unsupported`](dml_core::Error::Unsupported) for another
    /// distance.
    pub fn new(
        config: DistanceWeightedMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        host::unit_euclidean("DistanceWeightedMiner", &distance)?;
        let nonzero_loss_cutoff = config.nonzero_loss_cutoff;
        check::non_negative("nonzero_loss_cutoff", nonzero_loss_cutoff)?;
        Ok(Self {
            cutoff: check::non_negative("cutoff", config.cutoff)?,
            nonzero_loss_cutoff,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }

    /// ln w of a negative; −∞ where it is never drawn.
    fn log_weight(&self, distance: f64, dim: f64) -> f64 {
        if distance.is_nan() {
            return distance;
        }
        let d = distance.max(self.cutoff);
        let log = (2.0 - dim) * d.ln() + (3.0 - dim) / 2.0 * (1.0 - 0.25 * d * d).ln();
        if d < self.nonzero_loss_cutoff && log.is_finite() {
            log
        } else {
            f64::NEG_INFINITY
        }
    }
}

impl Miner for DistanceWeightedMiner {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("DistanceWeightedMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let references = batch.references();
        let dim = batch.embeddings().dims()[1] as f64;
        let mut rng = self.seeds.next_rng();
        let rng: &mut dyn RngCore = &mut rng;
        let triplets = with_distances!(batch, &self.distance, |matrix: &[T]| {
            let weigh = |a: usize, negatives: &[u32], weights: &mut Vec<f64>| {
                let row = &matrix[a * references..][..references];
                let distances = negatives.iter().map(|n| Real::to_f64(row[*n as usize]));
                weights.extend(distances.map(|distance| self.log_weight(distance, dim)));
                if weights.iter().any(|weight| weight.is_nan()) {
                    // A distance that is no number is drawn before all others, so that the loss sees it.
                    let only_nan = |weight: &mut f64| *weight = f64::from(weight.is_nan());
                    weights.iter_mut().for_each(only_nan);
                    return;
                }
                let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                for weight in weights {
                    // Where none can be drawn, −∞ − (−∞) is no number.
                    *weight = if *weight > f64::NEG_INFINITY {
                        (*weight - top).exp()
                    } else {
                        0.0
                    };
                }
            };
            Triplets::random_weighted(relation, PerAnchor::ClassSize, weigh, rng)
        })?;
        Ok(triplets.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{Euclidean, triplets};
    use candle_core::{Device, Tensor};
    use dml_core::Error;
    use dml_distances::LpDistance;

    fn miner(config: DistanceWeightedMinerConfig) -> Result<DistanceWeightedMiner> {
        DistanceWeightedMiner::new(config, LpDistance::default())
    }

    /// Rows of the unit sphere in four dimensions, all within a quarter turn of the first, at growing angles.
    fn fan() -> Result<Batch> {
        let angles = [0.0f64, 0.1, 0.5, 0.7, 0.9, 1.1, 2.5];
        let rows: Vec<f64> = angles
            .iter()
            .flat_map(|t| [t.cos(), t.sin(), 0.0, 0.0])
            .collect();
        let embeddings = Tensor::from_vec(rows, (7, 4), &Device::Cpu)?;
        Batch::new(&embeddings, [0i64, 0, 1, 2, 3, 4, 5])
    }

    #[test]
    fn draws_follow_the_inverse_density() -> Result<()> {
        let miner = miner(DistanceWeightedMinerConfig::default())?;
        let batch = fan()?;
        let mut drawn = [0usize; 7];
        let calls = 2000;
        for _ in 0..calls {
            for [a, p, n] in triplets(&miner.mine(&batch)?, &batch)? {
                if a == 0 {
                    assert_eq!(p, 1);
                    drawn[n as usize] += 1;
                }
            }
        }
        // d = 2 sin(θ/2), w = d⁻² (1 − d²/4)^(−½) for four dimensions; row 6 is beyond 1.4.
        let weight = |theta: f64| {
            let d = f64::max(2.0 * (theta / 2.0).sin(), 0.5);
            d.powi(-2) / (1.0 - d * d / 4.0).sqrt()
        };
        let weights = [0.5, 0.7, 0.9, 1.1].map(weight);
        let total: f64 = weights.iter().sum();
        let draws = 2 * calls;
        assert_eq!(drawn.iter().sum::<usize>(), draws);
        assert_eq!(drawn[6], 0);
        let chi_square: f64 = weights
            .iter()
            .zip(&drawn[2..])
            .map(|(w, count)| {
                let expected = w / total * draws as f64;
                (*count as f64 - expected).powi(2) / expected
            })
            .sum();
        // One chance in a thousand for three degrees of freedom.
        assert!(chi_square < 16.3, "{chi_square}");
        Ok(())
    }

    #[test]
    fn a_thousand_dimensions_leave_no_anchor_empty() -> Result<()> {
        let mut rows = vec![0f32; 6 * 2048];
        for (i, row) in rows.chunks_mut(2048).enumerate() {
            let angle = 0.25 * i as f32;
            (row[0], row[1]) = (angle.cos(), angle.sin());
        }
        let embeddings = Tensor::from_vec(rows, (6, 2048), &Device::Cpu)?;
        let batch = Batch::new(&embeddings, [0i64, 1, 0, 1, 0, 1])?;
        let mined = miner(DistanceWeightedMinerConfig::default())?.mine(&batch)?;
        // ln w reaches 2,046 · ln 2 here: e to that power is no double.
        assert_eq!(mined.count(&batch)?.total(), 18);
        Ok(())
    }

    #[test]
    fn seeds_decide_and_calls_differ() -> Result<()> {
        let batch = fan()?;
        let seeded = |seed| {
            miner(DistanceWeightedMinerConfig {
                seed,
                ..Default::default()
            })
        };
        let (once, again, other) = (seeded(4)?, seeded(4)?, seeded(5)?);
        let first: Vec<_> = (0..20)
            .map(|_| triplets(&once.mine(&batch)?, &batch))
            .collect::<Result<_>>()?;
        let second: Vec<_> = (0..20)
            .map(|_| triplets(&again.mine(&batch)?, &batch))
            .collect::<Result<_>>()?;
        let third: Vec<_> = (0..20)
            .map(|_| triplets(&other.mine(&batch)?, &batch))
            .collect::<Result<_>>()?;
        assert_eq!(first, second);
        assert_ne!(first, third);
        assert!(first.iter().any(|list| *list != first[0]));
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() {
        assert!(matches!(
            DistanceWeightedMiner::new(Default::default(), Euclidean),
            Err(Error::Unsupported { .. })
        ));
        let negative = DistanceWeightedMinerConfig {
            cutoff: -0.5,
            ..Default::default()
        };
        assert!(matches!(
            miner(negative),
            Err(Error::InvalidParameter { name: "cutoff", .. })
        ));
    }
}
