//! Batch normalisation.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β          for each channel
//! in training:   μ, σ² = mean and variance over the batch and all places
//!                running mean ← (1 − m) running mean + m μ,   running variance ← (1 − m) running variance + m n/(n − 1) σ²
//! outside:       μ, σ² = running mean and variance
//! ```
//!
//! Ioffe & Szegedy 2015, "Batch Normalization" (arXiv 1502.03167), with PyTorch's defaults. n counts the numbers of a
//! channel.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Error, Result, check};

use crate::{Layer, Parameters};

/// Configuration of [`BatchNorm`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct BatchNormConfig {
    /// Number of channels, the size of the second dimension; 1 to 4,294,967,295.
    pub channels: usize,
    /// ε, added to the variance; in `[1e-30, 1e30]`. Default 10⁻⁵.
    #[cfg_attr(feature = "serde", serde(default = "eps"))]
    pub eps: f64,
    /// m, the weight of a batch in the running statistics, in [0, 1]. Default 0.1.
    #[cfg_attr(feature = "serde", serde(default = "momentum"))]
    pub momentum: f64,
}

fn eps() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

impl BatchNormConfig {
    /// The defaults for a number of channels.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            eps: eps(),
            momentum: momentum(),
        }
    }
}

/// Batch normalisation ([formula](self)) of `[n, channels]` or `[n, channels, …]`.
///
/// The running statistics are [buffers](Layer::buffers), which checkpoints contain and optimisers do not change. They are
/// updated in training; threads that train at once and share the layer share them, too. Half precision is computed in
/// single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{BatchNorm, BatchNormConfig, Layer};
///
/// let norm = BatchNorm::new(BatchNormConfig::new(1), DType::F32, &Device::Cpu)?;
/// let x = Tensor::new(&[[1f32], [3.]], &Device::Cpu)?;
/// let y = norm.forward_t(&x, true)?.to_vec2::<f32>()?;
/// assert!((y[0][0] + 1.0).abs() < 1e-4 && (y[1][0] - 1.0).abs() < 1e-4);
/// // 0.9 · 0 + 0.1 · 2
/// let mean = norm.buffers().get("running_mean").unwrap().to_vec1::<f32>()?;
/// assert!((mean[0] - 0.2).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct BatchNorm {
    config: BatchNormConfig,
    weight: Var,
    bias: Var,
    running_mean: Var,
    running_var: Var,
    frozen: AtomicBool,
}

impl BatchNorm {
    /// A new layer: γ and running variance 1, β and running mean 0. The running statistics of half precision are kept in
    /// single.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a number out of its range.
    pub fn new(config: BatchNormConfig, dtype: DType, device: &Device) -> Result<Self> {
        let channels = check::at_least_one("channels", config.channels)?;
        check::elements("channels", &[channels], check::PARAMETER)?;
        check::positive("eps", config.eps)?;
        let share = config.momentum;
        let is_share = (0.0..=1.0).contains(&share);
        check::parameter(is_share, "momentum", share, "a number in [0, 1]")?;
        let running = wide(dtype);
        Ok(Self {
            weight: Var::ones(channels, dtype, device)?,
            bias: Var::zeros(channels, dtype, device)?,
            running_mean: Var::zeros(channels, running, device)?,
            running_var: Var::ones(channels, running, device)?,
            frozen: AtomicBool::new(false),
            config,
        })
    }

    /// Mean and variance `[1, channels, 1, …]` of the batch, with which the running statistics are updated.
    fn statistics(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let dims: Vec<usize> = (0..x.rank()).filter(|dim| *dim != 1).collect();
        let count = x.elem_count() / self.config.channels;
        if count < 2 {
            return Err(Error::Shape {
                arg: "input",
                expected: "at least two numbers of each channel in training",
                got: x.dims().to_vec(),
            });
        }
        let mean = (x.sum_keepdim(dims.as_slice())? / count as f64)?;
        let squares = x.broadcast_sub(&mean)?.sqr()?;
        let variance = (squares.sum_keepdim(dims.as_slice())? / count as f64)?;
        let share = self.config.momentum;
        let unbiased = count as f64 / (count as f64 - 1.0);
        for (running, latest) in [
            (&self.running_mean, mean.detach()),
            (&self.running_var, (variance.detach() * unbiased)?),
        ] {
            let latest = latest.flatten_all()?.to_dtype(running.dtype())?;
            let kept = (running.as_detached_tensor() * (1.0 - share))?;
            running.set(&(kept + (latest * share)?)?)?;
        }
        Ok([mean, variance])
    }
}

/// The element type that a tensor is computed in.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

impl Layer for BatchNorm {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let channels = self.config.channels;
        if input.rank() < 2 || input.dims()[1] != channels {
            return Err(Error::Shape {
                arg: "input",
                expected: "[n, channels, …]",
                got: input.dims().to_vec(),
            });
        }
        let computed = wide(input.dtype());
        let x = input.to_dtype(computed)?;
        let mut shape = vec![1; input.rank()];
        shape[1] = channels;
        let row = |row: &Tensor| row.to_dtype(computed)?.reshape(shape.as_slice());
        let [mean, variance] = if train && !self.frozen.load(Ordering::Relaxed) {
            self.statistics(&x)?
        } else {
            [
                row(&self.running_mean.as_detached_tensor())?,
                row(&self.running_var.as_detached_tensor())?,
            ]
        };
        // One factor and one summand a channel, so that two passes do.
        let factor = (row(&self.weight)? / (variance + self.config.eps)?.sqrt()?)?;
        let summand = (row(&self.bias)? - (&mean * &factor)?)?;
        let y = x.broadcast_mul(&factor)?.broadcast_add(&summand)?;
        Ok(y.to_dtype(input.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        let own = [("weight", &self.weight), ("bias", &self.bias)];
        named(own)
    }

    fn buffers(&self) -> Parameters {
        let own = [
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
        ];
        named(own)
    }

    fn freeze_statistics(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }
}

fn named(variables: [(&str, &Var); 2]) -> Parameters {
    let own = variables.map(|(name, var)| (name.to_owned(), var.clone()));
    own.into_iter().collect()
}

#[cfg(test)]
mod tests;
