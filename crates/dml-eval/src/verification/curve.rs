//! Rates at every threshold.

use dml_core::{Batch, Distance, Order, PairKind, Result, check};
use rayon::prelude::*;

use crate::rows::distance_blocks::each_block;

/// Pairs sorted by closeness, with the rates at every threshold; see the [module](super) for the terms.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::Verification;
///
/// // Distances of three pairs of the same person and three of different ones.
/// let distances = [0.1, 0.2, 0.6, 0.5, 0.8, 0.9];
/// let same = [true, true, true, false, false, false];
/// let verification = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
/// assert_eq!(verification.auc(), 8. / 9.);
/// // Without a false accept, two of three are recognised; their distance is at most 0.2.
/// let point = verification.at_false_accept_rate(0.0)?;
/// assert_eq!((point.true_accept_rate, point.threshold), (2. / 3., 0.2));
/// assert_eq!(verification.best_accuracy().value, 5. / 6.);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verification {
    /// Different values of closeness, closest first, each with the pairs that are accepted there.
    steps: Vec<(f64, Counts)>,
    all: Counts,
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) same: u64,
    pub(super) different: u64,
}

/// What happens at one threshold.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::Verification;
///
/// let distances = [0.1, 0.2, 0.6, 0.5, 0.8, 0.9];
/// let same = [true, true, true, false, false, false];
/// let pairs = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
/// let point = pairs.at_false_accept_rate(0.0)?;
/// assert_eq!((point.threshold, point.false_reject_rate()), (0.2, 1.0 - 2. / 3.));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperatingPoint {
    /// The value up to which (a distance) or from which on (a similarity) pairs are accepted; infinite where none is.
    pub threshold: f64,
    /// The share of pairs of different things that are accepted.
    pub false_accept_rate: f64,
    /// The share of pairs of the same thing that are accepted.
    pub true_accept_rate: f64,
}

impl OperatingPoint {
    /// The share of pairs of the same thing that are not accepted.
    #[must_use]
    pub fn false_reject_rate(&self) -> f64 {
        1.0 - self.true_accept_rate
    }
}

/// The best value of something, and where it is reached: at the strictest such threshold.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::Verification;
///
/// let distances = [0.1, 0.2, 0.6, 0.5, 0.8, 0.9];
/// let same = [true, true, true, false, false, false];
/// let pairs = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
/// let best = pairs.best_accuracy();
/// assert_eq!((best.value, best.threshold), (5. / 6., 0.2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Best {
    /// The value.
    pub value: f64,
    /// The threshold; see [`OperatingPoint::threshold`].
    pub threshold: f64,
}

/// Where both errors are alike.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::Verification;
///
/// let pairs = Verification::new(&[0.1, 0.9], &[true, false], Order::SmallerIsCloser)?;
/// assert_eq!(pairs.equal_error_rate().rate, 0.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EqualErrorRate {
    /// The rate at which the line through the two closest points of the curve has FAR = FRR.
    pub rate: f64,
    /// The threshold at which the rates differ least.
    pub threshold: f64,
}

impl Verification {
    /// From the closeness of every pair, and whether it is one of the same thing.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there is not one answer for each pair,
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a value is not a number,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) if there are no pairs of the same, or none of different
    /// things.
    pub fn new(closeness: &[f64], same: &[bool], order: Order) -> Result<Self> {
        check::length("same", closeness.len(), same.len())?;
        let are_numbers = !closeness.iter().any(|value| value.is_nan());
        check::parameter(are_numbers, "closeness", f64::NAN, "numbers")?;
        // Adding 0 turns −0 into 0: they are the same value.
        let mut pairs: Vec<(f64, bool)> = closeness
            .iter()
            .map(|value| order.sign() * value + 0.0)
            .zip(same.iter().copied())
            .collect();
        pairs.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let tied = pairs.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq());
        let steps = tied.map(|tied| {
            let same = tied.iter().filter(|(_, same)| *same).count() as u64;
            let different = tied.len() as u64 - same;
            (tied[0].0, Counts { same, different })
        });
        Self::of_counts(steps, order)
    }

    /// From the pairs at each different value, closest first; as a distance, whatever the order is.
    pub(super) fn of_counts(
        steps: impl Iterator<Item = (f64, Counts)>,
        order: Order,
    ) -> Result<Self> {
        let mut all = Counts::default();
        let accepted = steps.map(|(value, tied)| {
            all.same += tied.same;
            all.different += tied.different;
            (order.sign() * value + 0.0, all)
        });
        let steps = accepted.collect();
        let reason = "there must be pairs of the same thing and pairs of different things";
        check::supported(all.same > 0 && all.different > 0, "Verification", reason)?;
        Ok(Self { steps, all, order })
    }

    /// From all pairs of a batch that count: those of its embeddings and its references, or of its embeddings among
    /// themselves, as its relation judges them. Memory grows with the number of pairs; see
    /// [`of_batch_rounded`](Verification::of_batch_rounded).
    ///
    /// # Errors
    /// As [`new`](Verification::new) and those of the distance; [`Error::Missing`](dml_core::Error::Missing) if the
    /// batch has no relation.
    pub fn of_batch(batch: &Batch, distance: &dyn Distance) -> Result<Self> {
        let relation = batch.require_relation("Verification")?;
        let references = batch.references();
        let (mut closeness, mut same) = (Vec::new(), Vec::new());
        each_block(batch, distance, |start, matrix| {
            for (i, value) in matrix.iter().enumerate() {
                match relation.pair_kind(start + i / references, i % references) {
                    PairKind::Positive(_) => same.push(true),
                    PairKind::Negative(_) => same.push(false),
                    PairKind::Ignored => continue,
                }
                closeness.push(*value);
            }
        })?;
        Self::new(&closeness, &same, distance.order())
    }

    /// The points of the curve, from accepting no pair to accepting all: one per different value.
    #[must_use]
    pub fn roc(&self) -> Vec<OperatingPoint> {
        self.points()
            .map(|(threshold, counts)| self.point(threshold, counts))
            .collect()
    }

    /// AUC of the [module](super), exactly.
    #[must_use]
    pub fn auc(&self) -> f64 {
        let mut before = Counts::default();
        let mut twice: u128 = 0;
        for (_, counts) in &self.steps {
            let different = u128::from(counts.different - before.different);
            twice +=
                different * u128::from(self.all.same - before.same + self.all.same - counts.same);
            before = *counts;
        }
        // So far: pairs of pairs in which the same one is further away, twice.
        let pairs = u128::from(self.all.same) * u128::from(self.all.different);
        (2 * pairs - twice) as f64 / (2 * pairs) as f64
    }

    /// EER of the [module](super).
    #[must_use]
    pub fn equal_error_rate(&self) -> EqualErrorRate {
        let gap = |point: &OperatingPoint| point.false_accept_rate - point.false_reject_rate();
        let mut strict = self.point(self.acceptance_of_none(), Counts::default());
        for (threshold, counts) in self.points() {
            let loose = self.point(threshold, counts);
            if gap(&loose) < 0.0 {
                strict = loose;
                continue;
            }
            let (below, above) = (gap(&strict), gap(&loose));
            // The first point accepts none, so its gap is −1 and the two are apart.
            let share = below / (below - above);
            let rates = (strict.false_accept_rate, loose.false_accept_rate);
            return EqualErrorRate {
                rate: rates.0 + share * (rates.1 - rates.0),
                threshold: if -below <= above { strict } else { loose }.threshold,
            };
        }
        // Not reached: where all pairs are accepted the gap is 1.
        EqualErrorRate {
            rate: strict.false_accept_rate,
            threshold: strict.threshold,
        }
    }

    /// TAR@FAR, and FNMR@FMR as its [`false_reject_rate`](OperatingPoint::false_reject_rate): the point of the largest
    /// true accept rate whose false accept rate is at most `rate`, at the strictest such threshold. Nothing is
    /// interpolated: with fewer than `1 / rate` pairs of different things, none of them is accepted.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `rate` is in `[0, 1]`.
    pub fn at_false_accept_rate(&self, rate: f64) -> Result<OperatingPoint> {
        let fits = (0.0..=1.0).contains(&rate);
        check::parameter(fits, "rate", rate, "a number in [0, 1]")?;
        let mut best = self.point(self.acceptance_of_none(), Counts::default());
        for (threshold, counts) in self.points() {
            let point = self.point(threshold, counts);
            if point.false_accept_rate > rate {
                break;
            }
            if point.true_accept_rate > best.true_accept_rate {
                best = point;
            }
        }
        Ok(best)
    }

    /// The largest share of right answers, accepting pairs of the same and rejecting those of different things.
    #[must_use]
    pub fn best_accuracy(&self) -> Best {
        self.best(|counts| self.accuracy(counts))
    }

    /// The largest F1 of accepting pairs of the same thing.
    #[must_use]
    pub fn best_f1(&self) -> Best {
        self.best(|counts| {
            // 2 TP / (2 TP + FP + FN)
            let wrong = counts.different + (self.all.same - counts.same);
            2.0 * counts.same as f64 / (2 * counts.same + wrong) as f64
        })
    }

    /// The share of right answers at a threshold; NaN where that is not a number.
    #[must_use]
    pub fn accuracy_at(&self, threshold: f64) -> f64 {
        if threshold.is_nan() {
            return f64::NAN;
        }
        self.accuracy(self.accepted_at(threshold))
    }

    /// The rates at a threshold; NaN where that is not a number.
    #[must_use]
    pub fn at_threshold(&self, threshold: f64) -> OperatingPoint {
        if threshold.is_nan() {
            return OperatingPoint {
                threshold,
                false_accept_rate: f64::NAN,
                true_accept_rate: f64::NAN,
            };
        }
        self.point(threshold, self.accepted_at(threshold))
    }

    fn accuracy(&self, accepted: Counts) -> f64 {
        let right = accepted.same + (self.all.different - accepted.different);
        right as f64 / (self.all.same + self.all.different) as f64
    }

    fn accepted_at(&self, threshold: f64) -> Counts {
        let sign = self.order.sign();
        let is_met = |step: &(f64, Counts)| sign * step.0 <= sign * threshold;
        match self.steps.partition_point(is_met) {
            0 => Counts::default(),
            count => self.steps[count - 1].1,
        }
    }

    fn best(&self, of: impl Fn(Counts) -> f64) -> Best {
        let mut best = Best {
            value: of(Counts::default()),
            threshold: self.acceptance_of_none(),
        };
        for (threshold, counts) in self.points().skip(1) {
            let value = of(counts);
            if value > best.value {
                best = Best { value, threshold };
            }
        }
        best
    }

    /// A threshold that no pair meets.
    fn acceptance_of_none(&self) -> f64 {
        self.order.sign() * f64::NEG_INFINITY
    }

    fn points(&self) -> impl Iterator<Item = (f64, Counts)> {
        let none = (self.acceptance_of_none(), Counts::default());
        std::iter::once(none).chain(self.steps.iter().copied())
    }

    fn point(&self, threshold: f64, counts: Counts) -> OperatingPoint {
        OperatingPoint {
            threshold,
            false_accept_rate: counts.different as f64 / self.all.different as f64,
            true_accept_rate: counts.same as f64 / self.all.same as f64,
        }
    }
}

#[cfg(test)]
mod tests;
