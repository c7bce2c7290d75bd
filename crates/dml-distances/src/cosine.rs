//! The cosine of the angle between embeddings, a similarity.
//!
//! ```text
//! s(x, r) = (x / ‖x‖ₚ · r / ‖r‖ₚ)^power
//! ```

use dml_core::autograd::whole;
use dml_core::candle_core::Tensor;
use dml_core::{Distance, DistanceKind, Formula, Order, Result, TensorExt, check};

use crate::dot_product::dot_of_pairs;
use crate::frame::Frame;

/// Configuration of [`CosineSimilarity`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct CosineSimilarityConfig {
    /// The exponent of the norm that rows are divided by, in `[1, 1e30]` or infinite. Default `2`, the cosine proper.
    #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
    pub p: f64,
    /// The power that similarities are raised to, above 0. Default `1`.
    pub power: f64,
}

impl Default for CosineSimilarityConfig {
    fn default() -> Self {
        Self { p: 2.0, power: 1.0 }
    }
}

/// Cosine of the angle between rows ([formula](self)): 1 for one direction, −1 for opposite ones.
///
/// A power that is not a whole number makes NaN of negative similarities; use it only where there are none.
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor}};
/// use dml_distances::CosineSimilarity;
///
/// let x = Tensor::new(&[[3f64, 4.]], &Device::Cpu)?;
/// let r = Tensor::new(&[[4f64, 3.], [-3., -4.], [-4., 3.]], &Device::Cpu)?;
/// let similarity = CosineSimilarity::default().matrix(&x, Some(&r))?;
/// assert_eq!(similarity.to_vec2::<f64>()?, [[0.96, -1., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CosineSimilarity {
    frame: Frame,
}

impl CosineSimilarity {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is below 1 or `power` is not above 0.
    pub fn new(config: CosineSimilarityConfig) -> Result<Self> {
        let frame = Frame::new(true, config.p, config.power)?;
        Ok(Self { frame })
    }
}

impl Default for CosineSimilarity {
    fn default() -> Self {
        let frame = Frame {
            normalized: true,
            p: 2.0,
            power: 1.0,
        };
        Self { frame }
    }
}

impl Distance for CosineSimilarity {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        self.frame
            .matrix(query, reference, TensorExt::pairwise_dot)?
            .safe_power(self.frame.power)
    }

    fn order(&self) -> Order {
        Order::LargerIsCloser
    }

    fn kind(&self) -> DistanceKind {
        DistanceKind::Cosine
    }

    fn formula(&self) -> Option<Formula> {
        Some(self.frame.formula(self.kind()))
    }

    fn prepare(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.frame.prepare(embeddings)
    }

    fn norms(&self, embeddings: &Tensor) -> Result<Tensor> {
        embeddings.row_norms(self.frame.p)
    }

    fn pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        self.frame.pairs(query, reference, dot_of_pairs)
    }

    /// The dot product of the rows as they come.
    fn raw_pairs(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        check::same_shape("reference", reference, query)?;
        let (query, reference) = (&whole(query)?, &whole(reference)?);
        dot_of_pairs(query, reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{flat, rows};

    #[test]
    fn length_does_not_matter() -> Result<()> {
        let x = rows(&[[3., 4.], [0., 2.]])?;
        let cosine = CosineSimilarity::default();
        assert_eq!(flat(&cosine.matrix(&x, None)?), [1.0, 0.8, 0.8, 1.0]);
        assert_eq!(
            flat(&cosine.pairs(&x, &rows(&[[4., 3.], [0., -7.]])?)?),
            [0.96, -1.0]
        );
        assert_eq!(flat(&cosine.raw_pairs(&x, &x)?), [25.0, 4.0]);
        assert_eq!(flat(&cosine.norms(&x)?), [5.0, 2.0]);
        Ok(())
    }

    #[test]
    fn a_zero_row_is_like_nothing() -> Result<()> {
        let x = rows(&[[0., 0.], [0., 2.]])?;
        assert_eq!(
            flat(&CosineSimilarity::default().matrix(&x, None)?),
            [0.0, 0.0, 0.0, 1.0]
        );
        Ok(())
    }

    #[test]
    fn the_default_is_the_default_configuration() -> Result<()> {
        let made = CosineSimilarity::new(CosineSimilarityConfig::default())?;
        assert_eq!(
            format!("{made:?}"),
            format!("{:?}", CosineSimilarity::default())
        );
        Ok(())
    }
}
