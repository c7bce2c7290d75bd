//! Signal-to-noise ratio: how much of an anchor's variance the difference to the other row has. A distance.
//!
//! ```text
//! d(x, r) = (var(x̂ − r̂) / var(x̂))^power,   variances over the coordinates
//! ```
//!
//! Yuan et al. 2019, "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning" arXiv:1904.02616.
//! Not symmetric: the first row is the signal, the difference the noise.
//!
//! With rows x̄ whose own mean is taken off, this is ‖x̄ − r̄‖² / ‖x̄‖²: a matrix of squared Euclidean distances with
//! each row scaled, in quadratic memory, and without the cancellation of var(x) + var(r) − 2 cov(x, r).

use dml_core::candle_core::{D, DType, Tensor};
use dml_core::{Result, TensorExt, check};

use crate::divide_rows::divide_rows;
use crate::frame::{Frame, framed_distance};

/// The smallest ‖x̄‖² that is divided by: a row of equal coordinates has no variance, and distance 0 from its like. Its
/// distances have gradient 0: what a division by this makes of a gradient says nothing, and overflows for short rows.
const LEAST_SIGNAL: f64 = 1e-20;

dml_core::config! {
    /// Configuration of [`SNRDistance`].
    pub struct SNRDistanceConfig {
        /// Whether rows are divided by their p-norm first. Default `true`.
        pub normalize_embeddings: bool = true,
        /// The norm's exponent, in `[1, 1e30]` or infinite; it matters for normalising only. Default `2`.
        #[cfg_attr(feature = "serde", serde(with = "dml_core::extended_real"))]
        pub p: f64 = 2.0,
        /// The power that distances are raised to, above 0. Default `1`.
        pub power: f64 = 1.0,
    }
}

/// Variance of the difference over variance of the anchor ([formula](self)). Rows have at least two coordinates.
///
/// ```
/// use dml_core::{Distance, candle_core::{Device, Tensor}};
/// use dml_distances::{SNRDistance, SNRDistanceConfig};
///
/// let raw = SNRDistanceConfig { normalize_embeddings: false, ..Default::default() };
/// let x = Tensor::new(&[[0f32, 2.]], &Device::Cpu)?;
/// let r = Tensor::new(&[[0f32, 4.], [7., 9.]], &Device::Cpu)?;
/// // Half of the deviation is a quarter of the variance; a shift is no noise at all.
/// assert_eq!(SNRDistance::new(raw)?.matrix(&x, Some(&r))?.to_vec2::<f32>()?, [[1., 0.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SNRDistance {
    frame: Frame,
}

impl SNRDistance {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `p` is below 1 or `power` is not above 0.
    pub fn new(config: SNRDistanceConfig) -> Result<Self> {
        let frame = Frame::new(config.normalize_embeddings, config.p, config.power)?;
        Ok(Self { frame })
    }
}

/// Rows with their mean taken off.
fn centered(arg: &'static str, rows: &Tensor) -> Result<Tensor> {
    let fits = matches!(*rows.dims(), [_, dim] if dim > 1);
    let expected = "[rows, dim] with at least two coordinates";
    check::shape(fits, arg, rows, expected)?;
    Ok(rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?)
}

/// ‖x̄‖² of each row `[rows]`, or the least signal where it is not larger, and which rows these are, if any.
fn signal(centered: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let squares = centered.sqr()?.sum(1)?;
    let least = (squares.ones_like()? * LEAST_SIGNAL)?;
    let is_silent = squares.le(&least)?;
    let silent = is_silent.to_dtype(DType::U32)?.sum_all()?;
    let silent = silent.to_scalar::<u32>()? > 0;
    let signal = is_silent.where_cond(&least, &squares)?;
    Ok((signal, silent.then_some(is_silent)))
}

fn ratios(frame: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    let is_own = query.id() == reference.id();
    let query = centered("query", query)?;
    let reference = match is_own {
        true => query.clone(),
        false => centered("reference", reference)?,
    };
    let noise = query.pairwise_squared(&reference)?;
    let (signal, silent) = signal(&query)?;
    let ratios = divide_rows(&noise, &signal)?;
    let ratios = match silent {
        None => ratios,
        Some(silent) => silent
            .unsqueeze(1)?
            .broadcast_as(ratios.shape())?
            .where_cond(&ratios.detach(), &ratios)?,
    };
    ratios.safe_power(frame.power)
}

fn ratios_of_pairs(_: Frame, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
    let (query, reference) = (centered("query", query)?, centered("reference", reference)?);
    let noise = (&query - reference)?.sqr()?.sum(1)?;
    let (signal, silent) = signal(&query)?;
    let ratios = (noise / signal)?;
    Ok(match silent {
        None => ratios,
        Some(silent) => silent.where_cond(&ratios.detach(), &ratios)?,
    })
}

framed_distance!(
    SNRDistance,
    SmallerIsCloser,
    SignalToNoise { normalized },
    ratios,
    ratios_of_pairs
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{flat, rows, scattered};
    use dml_core::Distance;
    use dml_core::Error;
    use dml_core::candle_core::Var;

    fn raw(power: f64) -> SNRDistance {
        SNRDistance::new(SNRDistanceConfig {
            normalize_embeddings: false,
            power,
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn the_formula_by_its_definition() -> Result<()> {
        let (x, r) = (scattered(0.3, 4, 6), scattered(1.1, 3, 6));
        let variance = |row: &[f64]| {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            row.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let matrix = raw(2.0).matrix(&x, Some(&r))?.to_vec2::<f64>()?;
        for (i, x) in x.to_vec2::<f64>()?.iter().enumerate() {
            for (j, r) in r.to_vec2::<f64>()?.iter().enumerate() {
                let noise: Vec<f64> = x.iter().zip(r).map(|(x, r)| x - r).collect();
                let expected = (variance(&noise) / variance(x)).powi(2);
                assert!((matrix[i][j] - expected).abs() < 1e-12 * (1.0 + expected));
            }
        }
        Ok(())
    }

    #[test]
    fn it_is_not_symmetric_and_its_own_distance_is_zero() -> Result<()> {
        let x = rows(&[[0., 2.], [0., 4.]])?;
        assert_eq!(flat(&raw(1.0).matrix(&x, None)?), [0.0, 1.0, 0.25, 0.0]);
        assert_eq!(flat(&raw(1.0).raw_pairs(&x, &x)?), [0.0, 0.0]);
        Ok(())
    }

    #[test]
    fn a_large_mean_costs_no_digits() -> Result<()> {
        let x = rows(&[[1024., 1026.]])?.to_dtype(DType::F32)?;
        let r = rows(&[[-512., -508.]])?.to_dtype(DType::F32)?;
        assert_eq!(flat(&raw(1.0).matrix(&x, Some(&r))?), [1.0]);
        Ok(())
    }

    #[test]
    fn a_row_without_variance_is_finite_and_so_is_its_gradient() -> Result<()> {
        let x = Var::from_tensor(&rows(&[[3., 3.], [0., 2.]])?.to_dtype(DType::F32)?)?;
        let matrix = raw(1.0).matrix(&x, None)?;
        let values = flat(&matrix);
        assert_eq!((values[0], values[3]), (0.0, 0.0));
        assert!(values.iter().all(|v| v.is_finite()));
        let store = matrix.sum_all()?.backward()?;
        let gradient = flat(store.get(x.as_tensor()).unwrap());
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
        Ok(())
    }

    #[test]
    fn one_coordinate_has_no_variance() -> Result<()> {
        let x = rows(&[[1.], [2.]])?;
        for result in [
            raw(1.0).matrix(&x, None),
            raw(1.0).pairs(&x, &x),
            raw(1.0).raw_pairs(&x, &x),
        ] {
            assert!(matches!(result, Err(Error::Shape { arg: "query", .. })));
        }
        Ok(())
    }
}
