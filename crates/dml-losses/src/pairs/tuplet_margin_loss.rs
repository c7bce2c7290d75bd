//! Tuplet margin loss: every negative of an anchor against each positive, whose angle is made harder by a margin.
//!
//! ```text
//! ℓ(a,p) = w(a,p) ln(1 + Σₙ w(a,n) e^{scale (cos θ(a,n) − cos(θ(a,p) − margin))})
//! θ: the angle between two rows        w: the weight of the pair, 1 by default
//! ```
//!
//! Yu and Tao, "Deep Metric Learning with Tuplet Margin Loss" (ICCV 2019).
//!
//! `cos(θ − m) = cos θ cos m + sin θ sin m`, so no angle is ever computed. Rows whose cosine is 1 (or −1) but for the last
//! digits count as pointing the same way (or opposite ways) exactly, with gradient 0: there the angle has none.
//!
//! The sum over the negatives is taken once an anchor, and the values of the pairs are summed without being written out:
//! `O(N²)` time, and memory for the matrix and its gradient.

use crate::machinery::expression::Expression;
use crate::machinery::pair_formula::PairFormula;
use crate::pairs::pair_loss::pair_loss;

pair_loss! {
    /// Configuration of [`TupletMarginLoss`].
    pub struct TupletMarginLossConfig {
        /// What the angle of positives is made smaller by before it is compared, in degrees; in `[-1e30, 1e30]`. Default
        /// `5.73`.
        margin: finite = 5.73,
        /// What differences of cosines are multiplied by; in `[1e-30, 1e30]`. Default `64`.
        scale: positive = 64.0,
    }

    /// All negatives against each positive, with a margin of the angle ([formula](self)). One term `loss`, per positive pair;
    /// empty without any positive or any negative pair.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_core::{Batch, Loss, Tuples};
    /// use dml_distances::CosineSimilarity;
    /// use dml_losses::{TupletMarginLoss, TupletMarginLossConfig};
    ///
    /// let config = TupletMarginLossConfig { margin: 15.0, scale: 4.0 };
    /// let loss = TupletMarginLoss::new(config, CosineSimilarity::default())?;
    /// let embeddings = Tensor::new(&[[1f64, 0.], [1., 1.], [0., 1.]], &Device::Cpu)?;
    /// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 1])?, &Tuples::all())?;
    /// // The positives are 45° apart, of which the margin makes 30°: cosine √¾. The negative is 90° away from row 0 and 45°
    /// // from row 1: cosines 0 and √½.
    /// let value = |negative: f64| (4. * (negative - 0.75f64.sqrt())).exp().ln_1p();
    /// let want = [value(0.), value(0.5f64.sqrt())];
    /// let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    /// for (value, want) in values.iter().zip(want) {
    ///     assert!((value - want).abs() < 1e-12);
    /// }
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub struct TupletMarginLoss { pairs: listed, reads_weights: true }

    /// A loss over a cosine `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless the margin is finite and the scale above 0,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for a distance that is no cosine.
    fn new(cosine: "a margin of an angle needs CosineSimilarity as the distance");

    fn terms(config, pairs) {
        let (sine, cosine) = config.margin.to_radians().sin_cos();
        let scale = config.scale;
        pairs.positives(TurnedCosine { scale, sine, cosine })
    }
}

/// `ln(1 + Σₙ e^{scale (cos θ(a,n) − cos(θ(a,p) − margin))})`, given `cos θ`.
#[derive(Clone, Copy, Debug)]
struct TurnedCosine {
    scale: f64,
    /// Of the margin.
    sine: f64,
    /// Of the margin.
    cosine: f64,
}

impl TurnedCosine {
    /// `cos(θ − margin)`.
    #[inline(always)]
    fn turned<E: Expression>(&self, x: E) -> E {
        // The largest cosine whose angle can be told from 0.
        let limit = 1.0 - (2.0 * x.epsilon()).max(1e-12);
        let end = |sign: f64| x.constant(sign * self.cosine);
        let (same, opposite) = (|| x.is_above(limit), || x.is_below(-limit));
        // Without an angle it is 0 before the root is taken, whose derivative would be infinite.
        let inner = E::select(opposite(), x.constant(0.0), x.clone());
        let inner = E::select(same(), x.constant(0.0), inner);
        let sine = (-(inner.clone() * inner.clone()) + 1.0).sqrt();
        let turned = inner * self.cosine + sine * self.sine;
        let turned = E::select(opposite(), end(-1.0), turned);
        E::select(same(), end(1.0), turned)
    }
}

impl PairFormula for TurnedCosine {
    const READS_NEGATIVES: bool = true;

    #[inline(always)]
    fn value<E: Expression>(&self, x: E, negatives: E) -> E {
        (negatives - self.turned(x) * self.scale).softplus()
    }

    #[inline(always)]
    fn exponent<E: Expression>(&self, x: E) -> E {
        x * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::autograd::without_kernels;
    use dml_core::candle_core::{Device, Var};
    use dml_core::{Batch, Error, Loss, Pairs, Result, Tuples};
    use dml_distances::{CosineSimilarity, LpDistance};

    fn loss(margin: f64, scale: f64) -> Result<TupletMarginLoss> {
        let config = TupletMarginLossConfig { margin, scale };
        TupletMarginLoss::new(config, CosineSimilarity::default())
    }

    #[test]
    fn by_hand() -> Result<()> {
        // 60° between the positives, 90° between row 0 and the negative; the margin makes 30° of the 60°.
        let root = 0.75f64.sqrt();
        let rows = Var::new(&[[1., 0.], [0.5, root], [0., -1.]], &Device::Cpu)?;
        let pairs = Tuples::from(Pairs::new(vec![0], vec![1], vec![0], vec![2])?);
        let want = (1.0 + (2.0 * (0.0 - root)).exp()).ln();
        let batch = Batch::unlabeled(&rows)?;
        let value = || -> Result<f64> {
            let terms = loss(30.0, 2.0)?.terms(&batch, &pairs)?;
            let part = terms.get("loss").unwrap().sum_within(None, None)?;
            Ok(part.sum.to_scalar::<f64>()?)
        };
        // PyTorch Metric Learning gives 0 for these pairs, as there is but one of each kind.
        assert!((value()? - want).abs() < 1e-12);
        assert!((without_kernels(value)? - want).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn rows_that_point_the_same_way_have_a_finite_gradient() -> Result<()> {
        let rows = Var::new(
            &[[0.6f32, 0.8], [0.6, 0.8], [0.6, 0.8], [-0.6, -0.8]],
            &Device::Cpu,
        )?;
        let batch = Batch::new(&rows, [0i64, 0, 1, 0])?;
        let gradient = || -> Result<Vec<f32>> {
            let terms = loss(5.73, 64.0)?.terms(&batch, &Tuples::all())?;
            let part = terms.get("loss").unwrap().sum_within(None, None)?;
            assert!(part.sum.to_scalar::<f32>()?.is_finite());
            let gradients = part.sum.backward()?;
            Ok(gradients
                .get(rows.as_tensor())
                .unwrap()
                .flatten_all()?
                .to_vec1()?)
        };
        // PyTorch Metric Learning's arc cosine has an infinite gradient there.
        for got in [gradient()?, without_kernels(gradient)?] {
            assert!(got.iter().all(|g| g.abs() < 1e-3), "{got:?}");
        }
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() -> Result<()> {
        let config = TupletMarginLossConfig::default();
        assert!(matches!(
            TupletMarginLoss::new(config, LpDistance::default()),
            Err(Error::Unsupported { .. })
        ));
        assert!(matches!(
            loss(f64::NAN, 1.0),
            Err(Error::InvalidParameter { name: "margin", .. })
        ));
        assert!(matches!(
            loss(1.0, 0.0),
            Err(Error::InvalidParameter { name: "scale", .. })
        ));
        Ok(())
    }
}
