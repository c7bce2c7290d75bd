//! The threshold that pairs of a known batch ask for.

use dml_core::{Batch, Distance, Result};

use super::{MatchFinder, MatchFinderConfig};
use crate::verification::Verification;

/// Criterion by which a threshold is chosen from labelled pairs.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::{ThresholdTarget, Verification};
///
/// let pairs = Verification::new(&[0.1, 0.2, 0.6, 0.5], &[true, true, true, false], Order::SmallerIsCloser)?;
/// assert_eq!(ThresholdTarget::FalseAcceptRate(0.0).threshold(&pairs)?, 0.2);
/// assert_eq!(ThresholdTarget::F1.threshold(&pairs)?, 0.6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ThresholdTarget {
    /// At most this share of the negative pairs accepted, and else as many positive pairs as can be.
    FalseAcceptRate(f64),
    /// The largest F1 of the accepted pairs.
    #[default]
    F1,
    /// The largest share of pairs that are rightly accepted or rejected.
    Accuracy,
}

impl ThresholdTarget {
    /// The threshold that reaches it on these pairs, in the unit of their closeness; infinite if accepting no pair does.
    ///
    /// # Errors
    /// As [`Verification::at_false_accept_rate`].
    pub fn threshold(self, pairs: &Verification) -> Result<f64> {
        Ok(match self {
            Self::FalseAcceptRate(rate) => pairs.at_false_accept_rate(rate)?.threshold,
            Self::F1 => pairs.best_f1().threshold,
            Self::Accuracy => pairs.best_accuracy().threshold,
        })
    }
}

impl MatchFinder {
    /// A match finder with the threshold that reaches `target` on the pairs of a known batch, such as one of validation.
    ///
    /// ```
    /// use dml_core::{Batch, Distance, Result, TensorExt, candle_core::{Device, Tensor}};
    /// use dml_eval::{MatchFinder, ThresholdTarget};
    /// # #[derive(Debug)]
    /// # struct Euclidean;
    /// # impl Distance for Euclidean {
    /// #     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
    /// #         query.pairwise_lp(reference.unwrap_or(query), 2.0)
    /// #     }
    /// # }
    ///
    /// let known = Tensor::new(&[[0f32], [1.], [5.], [7.]], &Device::Cpu)?;
    /// let batch = Batch::new(&known, [0i64, 0, 1, 1])?;
    /// let finder = MatchFinder::calibrated(&batch, Euclidean, ThresholdTarget::F1)?;
    /// // All positive pairs are within 2, no negative one is.
    /// assert_eq!(finder.default_threshold(), Some(2.0));
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Verification::of_batch`] and [`ThresholdTarget::threshold`].
    pub fn calibrated(
        batch: &Batch,
        distance: impl Distance + 'static,
        target: ThresholdTarget,
    ) -> Result<Self> {
        let threshold = target.threshold(&Verification::of_batch(batch, &distance)?)?;
        let config = MatchFinderConfig {
            threshold: Some(threshold),
        };
        Self::new(config, distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::{Error, Order};

    #[test]
    fn targets_by_hand() -> Result<()> {
        let distances = [0.1, 0.2, 0.6, 0.5, 0.8, 0.9];
        let same = [true, true, true, false, false, false];
        let pairs = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
        let threshold = |target: ThresholdTarget| target.threshold(&pairs);
        assert_eq!(threshold(ThresholdTarget::FalseAcceptRate(0.0))?, 0.2);
        assert_eq!(threshold(ThresholdTarget::FalseAcceptRate(0.4))?, 0.6);
        // F1: 0.8 at 0.2, 6/7 at 0.6. Accuracy: 5/6 at both.
        assert_eq!(threshold(ThresholdTarget::F1)?, 0.6);
        assert_eq!(threshold(ThresholdTarget::Accuracy)?, 0.2);
        assert!(matches!(
            threshold(ThresholdTarget::FalseAcceptRate(2.0)),
            Err(Error::InvalidParameter { name: "rate", .. })
        ));
        Ok(())
    }
}
