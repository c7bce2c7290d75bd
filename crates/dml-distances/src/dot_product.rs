//! The dot product, a similarity.
//!
//! ```text
//! s(x, r) = (x̂ · r̂)^power,   x̂ = x / ‖x‖ₚ, or x itself without normalisation
//! ```

use dml_core::candle_core::Tensor;
use dml_core::{Result, TensorExt};

use crate::frame::{Frame, framed_distance};

dml_core::config! {
    /// Configuration of [`DotProductSimilarity`].
    pub struct DotProductSimilarityConfig {
        /// Whether rows are divided by their p-norm first. Default `true`, which makes this the cosine for `p = 2`.
        pub normalize_embeddings: bool = true,
        /// The norm's exponent, in `[1, 1e30]` or infinite; it matters for normalising only. Default `2`.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
        pub p: f64 = 2.0,
        /// The power that similarities are raised to, above 0. Default `1`.
        pub power: f64 = 1.0,
    }
}

/// Dot product of rows ([formula](self)): larger is closer.
///
/// A power that is not a whole number makes NaN of negative similarities; use it only where there are none.
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor}};
/// use dml_distances::{DotProductSimilarity, DotProductSimilarityConfig};
///
/// let raw = DotProductSimilarityConfig { normalize_embeddings: false, ..Default::default() };
/// let similarity = DotProductSimilarity::new(raw)?;
/// let x = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// assert_eq!(similarity.matrix(&x, None)?.to_vec2::<f32>()?, [[5., 11.], [11., 25.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DotProductSimilarity {
    frame: Frame,
}

impl DotProductSimilarity {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is below 1 or `power` is not above 0.
    pub fn new(config: DotProductSimilarityConfig) -> Result<Self> {
        let frame = Frame::new(config.normalize_embeddings, config.p, config.power)?;
        Ok(Self { frame })
    }
}

/// `(x · r)^power` of all prepared rows.
pub(crate) fn products(frame: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    query.pairwise_dot(reference)?.safe_power(frame.power)
}

/// `x · r` of row i with row i: `[N, dim]` and `[N, dim]` to `[N]`.
pub(crate) fn products_of_pairs(_: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    Ok((query * reference)?.sum(1)?)
}

framed_distance!(
    DotProductSimilarity,
    LargerIsCloser,
    DotProduct { normalized },
    products,
    products_of_pairs
);

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Distance;

    use crate::tests::{flat, rows};

    fn raw(power: f64) -> DotProductSimilarity {
        DotProductSimilarity::new(DotProductSimilarityConfig {
            normalize_embeddings: false,
            power,
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn one_two_times_three_four_is_eleven() -> Result<()> {
        let (x, r) = (rows(&[[1., 2.]])?, rows(&[[3., 4.]])?);
        assert_eq!(flat(&raw(1.0).matrix(&x, Some(&r))?), [11.0]);
        assert_eq!(flat(&raw(2.0).matrix(&x, Some(&r))?), [121.0]);
        assert_eq!(flat(&raw(2.0).pairs(&x, &r)?), [121.0]);
        assert_eq!(flat(&raw(2.0).raw_pairs(&x, &r)?), [11.0]);
        Ok(())
    }

    #[test]
    fn normalises_by_default_with_its_own_p() -> Result<()> {
        let by_sum = DotProductSimilarity::new(DotProductSimilarityConfig {
            p: 1.0,
            ..Default::default()
        })?;
        let x = rows(&[[1., 3.]])?;
        // (¼, ¾) with itself.
        assert_eq!(flat(&by_sum.matrix(&x, None)?), [0.0625 + 0.5625]);
        assert_eq!(flat(&by_sum.norms(&x)?), [4.0]);
        Ok(())
    }
}
