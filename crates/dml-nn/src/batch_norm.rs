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
//!
//! The fused form reads the input twice and writes the output once; its backward pass reads input and gradient twice and
//! writes the gradient of the input once. It keeps two numbers per channel between the two. Sums run in double precision.

mod fused;

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{has_kernel, is_tracked};
use dml_core::{Result, RunningStatistics, check, for_element, in_graph};

use crate::activation::{Activation, Hardswish, Identity, Relu6, Silu};
use crate::{Conv2d, Graph, GraphValue, Layer, Parameters, Relu, Role, pixels, wide};

/// What is computed with the formula of an activation, for the activations that are worth a loop of their own; others are
/// computed behind it.
macro_rules! activated {
    ($activation:expr, $train:expr, |$formula:ident| $body:expr) => {
        activated!(@ $activation, $train, $formula, $body, Relu, Relu6, Silu, Hardswish)
    };
    (@ $activation:expr, $train:expr, $formula:ident, $body:expr, $($name:ident),+) => {
        match $activation {
            $(Some(Activation::$name) => {
                let $formula = $name;
                $body
            })+
            other => {
                let $formula = Identity;
                match (other, $body?) {
                    (None, y) => Ok(y),
                    (Some(other), y) => other.forward_t(&y, $train),
                }
            }
        }
    };
}

dml_core::config! {
    /// Configuration of [`BatchNorm`].
    pub struct BatchNormConfig {
        /// Number of channels, the size of the second dimension; 1 to 4,294,967,295.
        pub channels: usize;
        /// ε, added to the variance; in `[1e-30, 1e30]`. Default 10⁻⁵.
        pub eps: f64 = 1e-5,
        /// m, the weight of a batch in the running statistics, in [0, 1]. Default 0.1.
        pub momentum: f64 = 0.1,
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
    statistics: RunningStatistics,
}

impl BatchNorm {
    /// A new layer: γ and running variance 1, β and running mean 0. The running statistics of half precision are kept in
    /// single.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range.
    pub fn new(config: BatchNormConfig, dtype: DType, device: &Device) -> Result<Self> {
        let channels = check::at_least_one("channels", config.channels)?;
        check::elements("channels", &[channels], check::PARAMETER)?;
        let running = wide(dtype);
        Self::from_parameters(
            config,
            Var::ones(channels, dtype, device)?,
            Var::zeros(channels, dtype, device)?,
            Var::zeros(channels, running, device)?,
            Var::ones(channels, running, device)?,
        )
    }

    /// A layer with given γ, β, running mean and running variance, each `[channels]`.
    ///
    /// ```
    /// use candle_core::{Device, Tensor, Var};
    /// use dml_nn::{BatchNorm, BatchNormConfig, Layer};
    ///
    /// let one = |x: f32| Var::new(&[x], &Device::Cpu);
    /// let config = BatchNormConfig { eps: 1.0, ..BatchNormConfig::new(1) };
    /// let norm = BatchNorm::from_parameters(config, one(6.0)?, one(0.5)?, one(1.0)?, one(8.0)?)?;
    /// // 6 (2 − 1) / √(8 + 1) + 0.5
    /// let y = norm.forward(&Tensor::new(&[[2f32]], &Device::Cpu)?)?;
    /// assert_eq!(y.to_vec2::<f32>()?, [[2.5]]);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Shape`](dml_core::Error::Shape) for another shape.
    pub fn from_parameters(
        config: BatchNormConfig,
        weight: Var,
        bias: Var,
        running_mean: Var,
        running_var: Var,
    ) -> Result<Self> {
        let channels = check::at_least_one("channels", config.channels)?;
        check::positive("eps", config.eps)?;
        let share = config.momentum;
        let is_share = (0.0..=1.0).contains(&share);
        check::parameter(is_share, "momentum", share, "a number in [0, 1]")?;
        for (arg, var) in [
            ("weight", &weight),
            ("bias", &bias),
            ("running_mean", &running_mean),
            ("running_var", &running_var),
        ] {
            check::shape(var.dims() == [channels], arg, var, "[channels]")?;
        }
        Ok(Self {
            weight,
            bias,
            statistics: RunningStatistics::new(running_mean.clone()),
            running_mean,
            running_var,
            config,
        })
    }

    /// γ, `[channels]`.
    #[must_use]
    pub fn weight(&self) -> &Var {
        &self.weight
    }

    /// β, `[channels]`.
    #[must_use]
    pub fn bias(&self) -> &Var {
        &self.bias
    }

    /// Running mean, `[channels]`.
    #[must_use]
    pub fn running_mean(&self) -> &Var {
        &self.running_mean
    }

    /// Running variance (unbiased), `[channels]`.
    #[must_use]
    pub fn running_var(&self) -> &Var {
        &self.running_var
    }

    /// How many numbers of a channel there are, if these are enough to train on.
    fn count(&self, x: &Tensor) -> Result<usize> {
        let count = x.elem_count() / self.config.channels;
        let expected = "at least two numbers of each channel in training";
        check::shape(count > 1, "input", x, expected)?;
        Ok(count)
    }

    /// Updates the running statistics with mean and biased variance, `[channels]` each, of `count` numbers.
    fn update(&self, mean: &Tensor, variance: &Tensor, count: usize) -> Result<()> {
        let share = self.config.momentum;
        let unbiased = count as f64 / (count as f64 - 1.0);
        for (running, latest) in [
            (&self.running_mean, mean.clone()),
            (&self.running_var, (variance * unbiased)?),
        ] {
            let latest = latest.to_dtype(running.dtype())?;
            let kept = (running.as_detached_tensor() * (1.0 - share))?;
            running.set(&(kept + (latest * share)?)?)?;
        }
        Ok(())
    }

    /// Mean and variance `[1, channels, 1, …]` of the batch, with which the running statistics are updated.
    fn batch_statistics(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let dims: Vec<usize> = (0..x.rank()).filter(|dim| *dim != 1).collect();
        let count = self.count(x)?;
        let mean = (x.sum_keepdim(dims.as_slice())? / count as f64)?;
        let squares = x.broadcast_sub(&mean)?.sqr()?;
        let variance = (squares.sum_keepdim(dims.as_slice())? / count as f64)?;
        let flat = |row: &Tensor| row.detach().flatten_all();
        self.update(&flat(&mean)?, &flat(&variance)?, count)?;
        Ok([mean, variance])
    }

    /// The same, composed of Candle's operations.
    fn composite(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut shape = vec![1; x.rank()];
        shape[1] = self.config.channels;
        let row = |row: &Tensor| row.to_dtype(x.dtype())?.reshape(shape.as_slice());
        let [mean, variance] = if train {
            self.batch_statistics(x)?
        } else {
            [
                row(&self.running_mean.as_detached_tensor())?,
                row(&self.running_var.as_detached_tensor())?,
            ]
        };
        // One factor and one summand a channel, so that two passes do.
        let factor = (row(&in_graph(&self.weight))? / (variance + self.config.eps)?.sqrt()?)?;
        let summand = (row(&in_graph(&self.bias))? - (&mean * &factor)?)?;
        Ok(x.broadcast_mul(&factor)?.broadcast_add(&summand)?)
    }
}

impl BatchNorm {
    /// `activation` of the normalised input, to which a residual of the same shape is added first, where there is one: the
    /// end of a block of `ResNet`, `MobileNet` or `EfficientNet`.
    ///
    /// On the CPU this is one node of the graph that takes as many passes over memory as the normalisation alone (with a
    /// residual one more). That holds for `Relu`, `Relu6`, `Silu`, `Hardswish` and no activation; others are computed behind
    /// it.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use dml_nn::{Activation, BatchNorm, BatchNormConfig};
    ///
    /// let norm = BatchNorm::new(BatchNormConfig::new(1), DType::F64, &Device::Cpu)?;
    /// let x = Tensor::new(&[[1f64], [3.]], &Device::Cpu)?;
    /// let residual = Tensor::new(&[[0.5f64], [0.5]], &Device::Cpu)?;
    /// let y = norm.forward_activated(&x, Some(&residual), Some(Activation::Relu), true)?.to_vec2::<f64>()?;
    /// // max(0, −1 + 0.5), max(0, 1 + 0.5)
    /// assert!(y[0][0] == 0.0 && (y[1][0] - 1.5).abs() < 1e-4);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`forward_t`](Layer::forward_t), and [`Error::Shape`](dml_core::Error::Shape) or
    /// [`Error::DType`](dml_core::Error::DType) for a residual of another shape or type.
    pub fn forward_activated(
        &self,
        input: &Tensor,
        residual: Option<&Tensor>,
        activation: Option<Activation>,
        train: bool,
    ) -> Result<Tensor> {
        let fits = input.rank() > 1 && input.dims()[1] == self.config.channels;
        check::shape(fits, "input", input, "[n, channels, …]")?;
        if let Some(residual) = residual {
            let fits = residual.shape() == input.shape();
            check::shape(fits, "residual", residual, "the shape of the input")?;
            let fits = residual.dtype() == input.dtype();
            check::dtype(fits, "residual", residual, "that of the input")?;
        }
        let computed = wide(input.dtype());
        let x = input.to_dtype(computed)?;
        let residual = residual.map(|r| r.to_dtype(computed)).transpose()?;
        let residual = residual.as_ref();
        let statistics = self.measures(train);
        let y = if has_kernel(&x) {
            for_element!(x, "input", |T| {
                activated!(activation, train, |formula| {
                    self.fused::<T>(formula, &x, residual, statistics)
                })
            })?
        } else {
            let y = self.composite(&x, statistics)?;
            let y = match residual {
                None => y,
                Some(residual) => (y + residual)?,
            };
            match activation {
                None => y,
                Some(activation) => activation.forward_t(&y, train)?,
            }
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    /// [`forward_activated`](Self::forward_activated) of the output of a convolution.
    ///
    /// On the CPU this is one pass over memory where no gradient is recorded, such as within [`no_grad`](dml_core::no_grad), and
    /// statistics are fixed: each plane is normalised while it is in the cache. The numbers are the same to the bit.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor, Var};
    /// use dml_nn::{Activation, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig};
    ///
    /// let one = Var::ones((1, 1, 1, 1), DType::F32, &Device::Cpu)?;
    /// let config = Conv2dConfig { bias: false, ..Conv2dConfig::new(1, 1, [1, 1]) };
    /// let convolution = Conv2d::from_parameters(config, one, None)?;
    /// let norm = BatchNorm::new(BatchNormConfig::new(1), DType::F32, &Device::Cpu)?;
    /// let x = Tensor::new(&[[[[-1f32, 2.]]]], &Device::Cpu)?;
    /// let y = norm.forward_convolved(&convolution, &x, None, Some(Activation::Relu), false)?;
    /// let y = y.flatten_all()?.to_vec1::<f32>()?;
    /// assert!(y[0] == 0.0 && (y[1] - 2.0).abs() < 1e-4);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As those of the convolution and of [`forward_activated`](Self::forward_activated).
    pub fn forward_convolved(
        &self,
        convolution: &Conv2d,
        input: &Tensor,
        residual: Option<&Tensor>,
        activation: Option<Activation>,
        train: bool,
    ) -> Result<Tensor> {
        if !self.can_be_convolved(convolution, input, residual, train)? {
            let x = convolution.forward_t(input, train)?;
            return self.forward_activated(&x, residual, activation, train);
        }
        for_element!(input, "input", |T| {
            activated!(activation, train, |formula| {
                self.convolved::<T>(formula, convolution, input, residual)
            })
        })
    }

    /// Whether convolution and normalisation can be computed together. What does not fit is left to the layers, whose errors
    /// name it.
    fn can_be_convolved(
        &self,
        convolution: &Conv2d,
        input: &Tensor,
        residual: Option<&Tensor>,
        train: bool,
    ) -> Result<bool> {
        let sizes = convolution.convolution();
        let parameters = [Some(convolution.weight()), convolution.bias()];
        let parameters = parameters.into_iter().flatten().map(Var::as_tensor);
        let own = [self.weight.as_tensor(), self.bias.as_tensor()];
        let tensors: Vec<&Tensor> = parameters.chain(residual).chain([input]).collect();
        let is_plain = has_kernel(input)
            && tensors.iter().all(|own| own.dtype() == input.dtype())
            && !tensors.iter().chain(&own).any(|own| is_tracked(own));
        let fits = sizes.out_channels == self.config.channels && !self.measures(train);
        if !is_plain || !fits {
            return Ok(false);
        }
        let size @ [batch, ..] = pixels::image_batch(input)?;
        let [rows, columns] = convolution.output(size)?;
        let output = [batch, sizes.out_channels, rows, columns];
        Ok(residual.is_none_or(|residual| *residual.dims() == output))
    }

    /// Whether the statistics of a batch are measured.
    fn measures(&self, train: bool) -> bool {
        train && !self.statistics.is_frozen()
    }
}

impl Layer for BatchNorm {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_activated(input, None, None, train)
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

    fn statistics(&self) -> Vec<RunningStatistics> {
        vec![self.statistics.clone()]
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let constants = [
            ("weight", &self.weight),
            ("bias", &self.bias),
            ("running_mean", &self.running_mean),
            ("running_var", &self.running_var),
        ];
        let [weight, bias, mean, variance] = constants.map(|(name, var)| graph.constant(name, var));
        let inputs = [input, &weight, &bias, &mean, &variance];
        let attributes = [("epsilon", self.config.eps.into())];
        Ok(graph.node_with("BatchNormalization", &inputs, &attributes))
    }

    fn role(&self) -> Role<'_> {
        Role::BatchNorm(self)
    }
}

fn named(variables: [(&str, &Var); 2]) -> Parameters {
    let own = variables.map(|(name, var)| (name.to_owned(), var.clone()));
    own.into_iter().collect()
}

#[cfg(test)]
mod tests;
