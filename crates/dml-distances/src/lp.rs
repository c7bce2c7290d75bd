//! The p-norm of the difference.
//!
//! ```text
//! d(x, r) = ‖x̂ − r̂‖ₚ^power,   x̂ = x / ‖x‖ₚ, or x itself without normalisation
//! ```
//!
//! The gradient is 0 where the distance is 0; for p = ∞ coordinates tied for the maximum share the gradient.

use dml_core::candle_core::Tensor;
use dml_core::{Result, TensorExt};

use crate::frame::{Frame, framed_distance};

dml_core::config! {
    /// Configuration of [`LpDistance`].
    pub struct LpDistanceConfig {
        /// Whether rows are divided by their p-norm first. Default `true`.
        pub normalize_embeddings: bool = true,
        /// The norm's exponent, in `[1, 1e30]` or infinite. Default `2`, the Euclidean distance.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
        pub p: f64 = 2.0,
        /// The power that distances are raised to, above 0. Default `1`; `2` with `p = 2` is the squared distance.
        pub power: f64 = 1.0,
    }
}

/// p-norm of the difference of rows ([formula](self)).
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor}};
/// use dml_distances::{LpDistance, LpDistanceConfig};
///
/// let raw = LpDistanceConfig { normalize_embeddings: false, ..Default::default() };
/// let x = Tensor::new(&[[0f32, 0.], [3., 4.]], &Device::Cpu)?;
/// assert_eq!(LpDistance::new(raw)?.matrix(&x, None)?.to_vec2::<f32>()?, [[0., 5.], [5., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LpDistance {
    frame: Frame,
}

impl LpDistance {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is below 1 or `power` is not above 0.
    pub fn new(config: LpDistanceConfig) -> Result<Self> {
        let frame = Frame::new(config.normalize_embeddings, config.p, config.power)?;
        Ok(Self { frame })
    }

    /// The Euclidean distance of rows as they come.
    #[must_use]
    pub fn unnormalized() -> Self {
        let frame = Frame {
            normalized: false,
            ..Frame::default()
        };
        Self { frame }
    }

    /// The squared Euclidean distance of normalised rows.
    #[must_use]
    pub fn squared() -> Self {
        let frame = Frame {
            power: 2.0,
            ..Frame::default()
        };
        Self { frame }
    }
}

fn distances(frame: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    #[expect(clippy::float_cmp, reason = "the very number that was given")]
    if frame.p == 2.0 {
        return frame.euclidean(query, reference);
    }
    query
        .pairwise_lp(reference, frame.p)?
        .safe_power(frame.power)
}

fn norms_of_differences(frame: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    (query - reference)?.row_norms(frame.p)
}

framed_distance!(
    LpDistance,
    SmallerIsCloser,
    Lp { normalized },
    distances,
    norms_of_differences
);

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Distance;

    use crate::tests::{flat, rows};

    fn raw(p: f64, power: f64) -> LpDistance {
        LpDistance::new(LpDistanceConfig {
            normalize_embeddings: false,
            p,
            power,
        })
        .unwrap()
    }

    #[test]
    fn three_four_five() -> Result<()> {
        let (x, r) = (rows(&[[0., 0.]])?, rows(&[[3., 4.]])?);
        for (p, power, expected) in [
            (2.0, 1.0, 5.0),
            (2.0, 2.0, 25.0),
            (1.0, 1.0, 7.0),
            (f64::INFINITY, 0.5, 2.0),
        ] {
            assert_eq!(flat(&raw(p, power).matrix(&x, Some(&r))?), [expected]);
            assert_eq!(flat(&raw(p, power).pairs(&x, &r)?), [expected]);
        }
        Ok(())
    }

    #[test]
    fn raw_pairs_are_neither_normalised_nor_raised() -> Result<()> {
        let distance = LpDistance::new(LpDistanceConfig {
            p: 1.0,
            power: 2.0,
            ..Default::default()
        })?;
        let (x, r) = (rows(&[[0., 0.]])?, rows(&[[-3., -4.]])?);
        assert_eq!(flat(&distance.raw_pairs(&x, &r)?), [7.0]);
        assert_eq!(flat(&distance.raw_pairs(&x, &x)?), [0.0]);
        Ok(())
    }

    #[test]
    fn normalises_by_default_with_its_own_p() -> Result<()> {
        let by_sum = LpDistance::new(LpDistanceConfig {
            p: 1.0,
            ..Default::default()
        })?;
        // (¼, ¾) and (½, ½).
        let x = rows(&[[1., 3.], [2., 2.]])?;
        assert_eq!(flat(&by_sum.matrix(&x, None)?), [0.0, 0.5, 0.5, 0.0]);
        assert_eq!(flat(&by_sum.norms(&x)?), [4.0, 4.0]);
        Ok(())
    }

    #[test]
    fn only_the_default_is_the_distance_on_the_sphere() {
        assert!(LpDistance::default().kind().is_unit_euclidean());
        assert!(!raw(2.0, 1.0).kind().is_unit_euclidean());
    }
}
