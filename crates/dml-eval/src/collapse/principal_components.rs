//! How many directions hold most of the variance.

use candle_core::Tensor;
use dml_core::{Result, check};

use super::spectrum::spectrum;
use crate::rows::{double_rows, of_ordinary_size};

/// PCF of the [module](super): the fewest principal components of `embeddings` `[rows, dim]` that hold at least `share` of
/// their variance, as a share of `dim`; 0 where there is no variance.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
///
/// // Variances 4 and 1 along two of four directions.
/// let rows = [[2f32, 0., 0., 0.], [-2., 0., 0., 0.], [0., 1., 0., 0.], [0., -1., 0., 0.]];
/// let rows = Tensor::new(&rows, &Device::Cpu)?;
/// assert_eq!(dml_eval::principal_components_fraction(&rows, 0.7)?, 1. / 4.);
/// assert_eq!(dml_eval::principal_components_fraction(&rows, 0.9)?, 2. / 4.);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, dim]`, [`Error::DType`](dml_core::Error::DType) unless
/// they are of a floating-point type, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is not finite
/// or `share` is not above 0 and at most 1.
pub fn principal_components_fraction(embeddings: &Tensor, share: f64) -> Result<f64> {
    let expected = "a number above 0 and at most 1";
    check::parameter(share > 0.0 && share <= 1.0, "share", share, expected)?;
    let rows = of_ordinary_size(&double_rows("embeddings", embeddings, None)?)?;
    let (count, dim) = rows.dims2()?;
    if count == 0 {
        return Ok(0.0);
    }
    let variances = spectrum(&rows.broadcast_sub(&rows.mean_keepdim(0)?)?)?;
    let total: f64 = variances.iter().sum();
    let mut held = 0.0;
    // Rounding must not ask for a component more.
    let enough = (share - 4.0 * f64::EPSILON) * total;
    let components = variances
        .iter()
        .take_while(|variance| {
            let more = held < enough;
            held += **variance;
            more
        })
        .count();
    Ok(components as f64 / dim as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use dml_core::Error;

    #[test]
    fn fractions_by_hand() -> Result<()> {
        // Two points: one direction. Far from the origin, which plays no part.
        let two = Tensor::new(&[[100f32, 100., 100.], [101., 102., 103.]], &Device::Cpu)?;
        for share in [0.01, 0.5, 1.0] {
            assert_eq!(principal_components_fraction(&two, share)?, 1. / 3.);
        }
        let one = two.narrow(0, 0, 1)?;
        assert_eq!(principal_components_fraction(&one, 0.5)?, 0.0);
        // The same variance in each of three directions.
        let cross: Vec<f32> = (0..6)
            .flat_map(|i| {
                (0..3).map(move |k| {
                    if i / 2 == k {
                        1.0 - 2.0 * (i % 2) as f32
                    } else {
                        0.0
                    }
                })
            })
            .collect();
        let cross = Tensor::from_vec(cross, (6, 3), &Device::Cpu)?;
        for (share, components) in [(0.3, 1.), (0.34, 2.), (0.66, 2.), (0.67, 3.), (1.0, 3.)] {
            let got = principal_components_fraction(&cross, share)?;
            assert_eq!(got, components / 3., "{share}");
        }
        Ok(())
    }

    #[test]
    fn bad_arguments_are_refused() -> Result<()> {
        let rows = Tensor::new(&[[1f32, f32::NAN]], &Device::Cpu)?;
        assert!(principal_components_fraction(&rows, 0.5).is_err());
        for share in [0.0, 1.1, f64::NAN] {
            assert!(matches!(
                principal_components_fraction(&rows, share),
                Err(Error::InvalidParameter { name: "share", .. })
            ));
        }
        Ok(())
    }
}
