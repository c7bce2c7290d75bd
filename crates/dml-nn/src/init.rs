//! PyTorch's initialisation of parameters, from an explicit generator.
//!
//! ```text
//! weight, bias ~ U(−1/√fan_in, 1/√fan_in)       convolutions and linear layers
//! weight       ~ N(0, 1)                          embeddings
//! ```
//!
//! The first is He's uniform initialisation with a = √5 (He et al. 2015, arXiv 1502.01852), PyTorch's default for
//! convolutions and linear layers.

use candle_core::{DType, Device, Shape, Tensor, Var};
use dml_core::{Result, check};
use rand::{Rng, RngCore};

/// A variable drawn from U(−1/√`fan_in`, 1/√`fan_in`), in row-major order.
///
/// # Errors
/// [`Error::Size`](dml_core::Error::Size) if it does not fit into memory, [`Error::Tensor`](dml_core::Error::Tensor) if the
/// device can't hold it.
pub fn fan_in_uniform(
    shape: impl Into<Shape>,
    fan_in: usize,
    rng: &mut dyn RngCore,
    dtype: DType,
    device: &Device,
) -> Result<Var> {
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    uniform(shape, bound, rng, dtype, device)
}

/// A variable drawn from U(−`bound`, `bound`), in row-major order.
pub(crate) fn uniform(
    shape: impl Into<Shape>,
    bound: f64,
    rng: &mut dyn RngCore,
    dtype: DType,
    device: &Device,
) -> Result<Var> {
    let number = || rng.random_range(-bound..bound);
    drawn(shape.into(), number, dtype, device)
}

/// A variable drawn from the normal distribution N(0, `std`²), in row-major order.
///
/// # Errors
/// As [`fan_in_uniform`].
pub fn normal(
    shape: impl Into<Shape>,
    std: f64,
    rng: &mut dyn RngCore,
    dtype: DType,
    device: &Device,
) -> Result<Var> {
    let number = || {
        // Box and Muller's way from two uniform numbers, the first of them in (0, 1].
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        std * radius * (2.0 * std::f64::consts::PI * rng.random::<f64>()).cos()
    };
    drawn(shape.into(), number, dtype, device)
}

fn drawn(shape: Shape, number: impl FnMut() -> f64, dtype: DType, device: &Device) -> Result<Var> {
    let count = check::elements("parameter", shape.dims(), check::PARAMETER)?;
    let values: Vec<f64> = std::iter::repeat_with(number).take(count).collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
    Ok(Var::from_tensor(&values.to_device(device)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn values_fill_the_range_and_follow_the_seed() -> Result<()> {
        let draw = |seed| -> Result<Vec<f32>> {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let var = fan_in_uniform((100, 16), 16, &mut rng, DType::F32, &Device::Cpu)?;
            Ok(var.flatten_all()?.to_vec1()?)
        };
        let values = draw(1)?;
        assert!(values.iter().all(|x| x.abs() <= 0.25));
        let squares: f32 = values.iter().map(|x| x * x).sum();
        // The variance of U(−b, b) is b²/3.
        assert!((squares / 1600.0 - 0.0625 / 3.0).abs() < 0.002);
        assert_eq!(values, draw(1)?);
        assert_ne!(values, draw(2)?);
        Ok(())
    }
}
