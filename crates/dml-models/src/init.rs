//! Initial values as torchvision draws them, from an explicit generator.
//!
//! ```text
//! kaiming_normal_(mode="fan_out"):  weight ~ N(0, 2 / (out_channels · height · width))
//! trunc_normal_(std):               weight ~ N(0, std²), drawn again outside of [−2, 2]
//! ```

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Result, SeedSequence, check};
use dml_nn::{
    Activation, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, LayerNorm, LayerNormConfig,
    Linear, SqueezeExcitation,
};
use rand::{Rng, RngCore};

/// Bound of a truncated normal distribution, in the units of the values.
const BOUND: f64 = 2.0;

/// What layers are made of: a generator, an element type and a device.
pub(crate) struct Init<'a> {
    pub(crate) rng: &'a mut dyn RngCore,
    pub(crate) dtype: DType,
    pub(crate) device: &'a Device,
}

impl Init<'_> {
    /// A convolution with He's normal initialisation by outputs, and a bias of zeros if the configuration has one.
    pub(crate) fn conv(&mut self, config: Conv2dConfig) -> Result<Conv2d> {
        let shape = weight_shape(&config)?;
        let weight = kaiming_normal_fan_out(shape, self.rng, self.dtype, self.device)?;
        let bias = config
            .bias
            .then(|| self.constant(&[config.out_channels], 0.0))
            .transpose()?;
        Conv2d::from_parameters(config, weight, bias)
    }

    /// A convolution with a truncated normal distribution, and a bias of zeros if the configuration has one.
    pub(crate) fn trunc_normal_conv(&mut self, config: Conv2dConfig, std: f64) -> Result<Conv2d> {
        let weight = self.trunc_normal(&weight_shape(&config)?, std)?;
        let bias = config
            .bias
            .then(|| self.constant(&[config.out_channels], 0.0))
            .transpose()?;
        Conv2d::from_parameters(config, weight, bias)
    }

    /// Squeeze-and-excitation of some channels by way of fewer, with `activation` between the convolutions and
    /// `scale_activation` behind them.
    pub(crate) fn squeeze_excitation(
        &mut self,
        [channels, squeezed]: [usize; 2],
        activation: Activation,
        scale_activation: Activation,
    ) -> Result<SqueezeExcitation> {
        let fc1 = self.conv(Conv2dConfig::new(channels, squeezed, [1, 1]))?;
        let fc2 = self.conv(Conv2dConfig::new(squeezed, channels, [1, 1]))?;
        SqueezeExcitation::from_convolutions(fc1, activation, fc2, scale_activation)
    }

    pub(crate) fn batch_norm(&self, config: BatchNormConfig) -> Result<BatchNorm> {
        BatchNorm::new(config, self.dtype, self.device)
    }

    /// Layer normalisation of the last dimension.
    pub(crate) fn layer_norm(&self, width: usize, eps: f64) -> Result<LayerNorm> {
        let config = LayerNormConfig {
            eps,
            ..LayerNormConfig::new([width])
        };
        LayerNorm::new(config, self.dtype, self.device)
    }

    /// A linear layer with weights `[outputs, inputs]` of a normal distribution, and a bias of zeros if it has one.
    pub(crate) fn linear(&mut self, sizes: [usize; 2], bias: bool, std: f64) -> Result<Linear> {
        let weight = self.normal(&sizes, std)?;
        let bias = bias.then(|| self.constant(&sizes[..1], 0.0)).transpose()?;
        Linear::from_parameters(weight, bias)
    }

    pub(crate) fn trunc_normal(&mut self, shape: &[usize], std: f64) -> Result<Var> {
        trunc_normal(shape, std, self.rng, self.dtype, self.device)
    }

    /// A normal distribution with mean 0; zeros without a draw for a standard deviation of 0.
    pub(crate) fn normal(&mut self, shape: &[usize], std: f64) -> Result<Var> {
        if std == 0.0 {
            return self.constant(shape, 0.0);
        }
        let rng = &mut *self.rng;
        drawn(shape, self.dtype, self.device, || std * normal(rng))
    }

    pub(crate) fn constant(&self, shape: &[usize], value: f64) -> Result<Var> {
        constant(shape, value, self.dtype, self.device)
    }

    /// A random sequence for a layer.
    pub(crate) fn seeds(&mut self) -> SeedSequence {
        SeedSequence::new(self.rng.next_u64())
    }
}

/// `[out_channels, in_channels / groups, height, width]`.
fn weight_shape(config: &Conv2dConfig) -> Result<[usize; 4]> {
    let groups = check::at_least_one("groups", config.groups)?;
    let [height, width] = config.kernel_size;
    Ok([
        check::at_least_one("out_channels", config.out_channels)?,
        check::at_least_one("in_channels", config.in_channels)? / groups,
        height,
        width,
    ])
}

/// He's normal initialisation by the number of outputs of a convolution `[out_channels, in_channels / groups, height, width]`.
fn kaiming_normal_fan_out(
    shape: [usize; 4],
    rng: &mut dyn RngCore,
    dtype: DType,
    device: &Device,
) -> Result<Var> {
    let fan_out = shape[0].saturating_mul(shape[2]).saturating_mul(shape[3]);
    let std = (2.0 / fan_out.max(1) as f64).sqrt();
    drawn(&shape, dtype, device, || std * normal(rng))
}

/// A normal distribution with mean 0, cut off at ±2.
fn trunc_normal(
    shape: &[usize],
    std: f64,
    rng: &mut dyn RngCore,
    dtype: DType,
    device: &Device,
) -> Result<Var> {
    drawn(shape, dtype, device, || {
        loop {
            let value = std * normal(rng);
            if value.abs() <= BOUND {
                return value;
            }
        }
    })
}

/// One value everywhere.
fn constant(shape: &[usize], value: f64, dtype: DType, device: &Device) -> Result<Var> {
    drawn(shape, dtype, device, || value)
}

fn drawn(
    shape: &[usize],
    dtype: DType,
    device: &Device,
    mut draw: impl FnMut() -> f64,
) -> Result<Var> {
    let count = check::elements("parameter", shape, check::PARAMETER)?;
    let values: Vec<f64> = (0..count).map(|_| draw()).collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
    Ok(Var::from_tensor(&values.to_device(device)?)?)
}

/// A number of the standard normal distribution, by Box and Muller.
fn normal(rng: &mut dyn RngCore) -> f64 {
    // In (0, 1], so that the logarithm is finite.
    let radius = 1.0 - rng.random::<f64>();
    let angle = std::f64::consts::TAU * rng.random::<f64>();
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn moments(values: &[f64]) -> [f64; 2] {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        [mean, variance]
    }

    #[test]
    fn values_have_the_variance_of_the_formula_and_follow_the_seed() -> Result<()> {
        let draw = |seed| -> Result<Vec<f64>> {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let shape = [50, 20, 3, 3];
            let var = kaiming_normal_fan_out(shape, &mut rng, DType::F64, &Device::Cpu)?;
            Ok(var.flatten_all()?.to_vec1()?)
        };
        let values = draw(1)?;
        let [mean, variance] = moments(&values);
        let expected: f64 = 2.0 / (50.0 * 9.0);
        // 9,000 draws: within 5 standard deviations of mean and variance.
        assert!(mean.abs() < 5.0 * (expected / 9000.0).sqrt());
        assert!((variance / expected - 1.0).abs() < 5.0 * (2.0f64 / 9000.0).sqrt());
        assert_eq!(values, draw(1)?);
        assert_ne!(values, draw(2)?);
        Ok(())
    }

    #[test]
    fn a_truncated_distribution_has_its_bound() -> Result<()> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let var = trunc_normal(&[10_000], 2.0, &mut rng, DType::F64, &Device::Cpu)?;
        let values = var.to_vec1::<f64>()?;
        assert!(values.iter().all(|x| x.abs() <= BOUND));
        // Truncated at one standard deviation, the variance is 0.2912 σ².
        assert!((moments(&values)[1] / 4.0 - 0.2912).abs() < 0.02);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_into_memory_is_refused() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let huge = trunc_normal(&[1 << 20, 1 << 20], 1.0, &mut rng, DType::F32, &Device::Cpu);
        assert!(matches!(huge, Err(dml_core::Error::Size { .. })));
    }
}
