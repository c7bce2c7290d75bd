//! The cosine of the angle between embeddings, a similarity.
//!
//! ```text
//! s(x, r) = (x / ‖x‖ₚ · r / ‖r‖ₚ)^power
//! ```

use dml_core::Result;
use dml_core::candle_core::Tensor;

use crate::dot_product::{products, products_of_pairs};
use crate::frame::{Frame, framed_distance};

dml_core::config! {
    /// Configuration of [`CosineSimilarity`].
    pub struct CosineSimilarityConfig {
        /// The exponent of the norm that rows are divided by, in `[1, 1e30]` or infinite. Default `2`, the cosine proper.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
        pub p: f64 = 2.0,
        /// The power that similarities are raised to, above 0. Default `1`.
        pub power: f64 = 1.0,
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
#[derive(Clone, Debug, Default)]
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

framed_distance!(
    CosineSimilarity,
    LargerIsCloser,
    Cosine,
    products,
    products_of_pairs
);

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Distance;

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
