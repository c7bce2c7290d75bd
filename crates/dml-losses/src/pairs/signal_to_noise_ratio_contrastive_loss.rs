//! Contrastive loss over the signal-to-noise ratio: the noise between positives should be small, that between negatives
//! large.
//!
//! ```text
//! pos_loss(a,p) = max(0, d(a,p) − pos_margin)
//! neg_loss(a,n) = max(0, neg_margin − d(a,n))        d(x,r) = var(x − r) / var(x)
//! ```
//!
//! Yuan, Deng, Tang, Tang and Chen, "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning" (CVPR 2019,
//! arXiv:1904.02616). It is [`ContrastiveLoss`](crate::ContrastiveLoss) with the distance fixed; weights of pairs are read
//! alike.

use crate::pairs::contrastive_loss::hinges;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`SignalToNoiseRatioContrastiveLoss`].
    pub struct SignalToNoiseRatioContrastiveLossConfig {
        /// Positives with less noise than this cost nothing; finite. Default `0`.
        pos_margin: finite = 0.0,
        /// Negatives with more noise than this cost nothing; finite. Default `1`.
        neg_margin: finite = 1.0,
    }

    /// [`ContrastiveLoss`](crate::ContrastiveLoss) over a signal-to-noise ratio ([formula](self)). Terms `pos_loss` per
    /// positive pair and `neg_loss` per negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::{SNRDistance, SNRDistanceConfig};
    /// use dml_losses::SignalToNoiseRatioContrastiveLoss;
    ///
    /// let raw = SNRDistanceConfig { normalize_embeddings: false, ..Default::default() };
    /// let loss = SignalToNoiseRatioContrastiveLoss::new(Default::default(), SNRDistance::new(raw)?)?;
    /// let embeddings = Tensor::new(&[[0f64, 4.], [1., 3.], [2., 3.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The rows have variance 8, 2 and ½. The positives differ by [−1, 1], which has variance 2: 2/8 and 2/2.
    /// let positives = terms.get("pos_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(positives, [0.25, 1.]);
    /// // Rows 0 and 2 differ by [−2, 1], variance 4.5: 4.5/8 and 9. Rows 1 and 2 by [−1, 0], variance ½: ½/2 and 1.
    /// let negatives = terms.get("neg_loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// assert_eq!(negatives, [1. - 0.5625, 1. - 0.25, 0., 0.]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct SignalToNoiseRatioContrastiveLoss { pairs: listed, reads_weights: true }

    /// A loss over a signal-to-noise `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if a margin is not finite,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for another kind of distance.
    fn new(
        signal_to_noise: "the distance has to be a signal-to-noise ratio; for others take ContrastiveLoss"
    );

    fn terms(config, pairs) {
        hinges(pairs, config.pos_margin, config.neg_margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Result, Tuples};
    use dml_distances::{CosineSimilarity, SNRDistance, SNRDistanceConfig};

    fn raw() -> Result<SNRDistance> {
        let raw = SNRDistanceConfig {
            normalize_embeddings: false,
            ..Default::default()
        };
        SNRDistance::new(raw)
    }

    #[test]
    fn by_hand() -> Result<()> {
        let loss = SignalToNoiseRatioContrastiveLoss::new(Default::default(), raw()?)?;
        // Variances about the mean: [0, 2] has 2, [0, 4] has 8, their difference [0, 2] has 2; [3, 4] has ½.
        let rows = Var::new(&[[0f64, 2.], [0., 4.], [3., 4.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1])?;
        let terms = loss.terms(&batch, &Tuples::all())?;
        // d(0,1) = 2/2 and d(1,0) = 2/8.
        let positives = terms.get("pos_loss").unwrap().values()?.0;
        assert_eq!(positives.to_vec1::<f64>()?, [1.0, 0.25]);
        // The difference of 0 and 2 is [3, 2]: ½, over 2 and over ½. That of 1 and 2 is [3, 0]: 4.5, over 8 and over ½.
        let negatives = terms.get("neg_loss").unwrap().values()?.0;
        assert_eq!(negatives.to_vec1::<f64>()?, [0.75, 0.4375, 0.0, 0.0]);
        Ok(())
    }

    #[test]
    fn other_distances_and_infinite_margins_are_refused() -> Result<()> {
        let cosine =
            SignalToNoiseRatioContrastiveLoss::new(Default::default(), CosineSimilarity::default());
        assert!(matches!(cosine, Err(Error::Unsupported { .. })));
        let config = SignalToNoiseRatioContrastiveLossConfig {
            neg_margin: f64::INFINITY,
            ..Default::default()
        };
        assert!(matches!(
            SignalToNoiseRatioContrastiveLoss::new(config, raw()?),
            Err(Error::InvalidParameter {
                name: "neg_margin",
                ..
            })
        ));
        Ok(())
    }
}
