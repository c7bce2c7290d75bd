//! Group normalisation.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β       μ, σ² = mean and variance (biased) over a group of neighbouring channels of an image,
//!                                     γ, β by channel
//! ```
//!
//! Wu & He 2018, "Group Normalization" (arXiv 1803.08494), with PyTorch's defaults. The fused form passes over memory once
//! each way and keeps nothing but the input between the two. Sums run in double precision.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::has_kernel;
use dml_core::{Result, check};

use crate::affine::{Affine, affine_parameters, standardized};
use crate::kernels::group_norm::Groups;
use crate::{Graph, GraphValue, Layer, Parameters, wide};

dml_core::config! {
    /// Configuration of [`GroupNorm`].
    pub struct GroupNormConfig {
        /// Number of groups; divides the number of channels.
        pub groups: usize,
        /// Number of channels, the size of the second dimension; 1 to 4,294,967,295.
        pub channels: usize;
        /// ε, added to the variance; in `[1e-30, 1e30]`. Default 10⁻⁵.
        pub eps: f64 = 1e-5,
        /// Whether there are γ and β. Default true.
        pub affine: bool = true,
    }
}

/// Group normalisation ([formula](self)): `[n, channels, …]` to the same shape. Half precision is computed in single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{GroupNorm, GroupNormConfig, Layer};
///
/// let norm = GroupNorm::new(GroupNormConfig::new(1, 2), DType::F64, &Device::Cpu)?;
/// let y = norm.forward(&Tensor::new(&[[1f64, 3.]], &Device::Cpu)?)?.to_vec2::<f64>()?;
/// assert!((y[0][0] + 1.0).abs() < 1e-5 && (y[0][1] - 1.0).abs() < 1e-5);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GroupNorm {
    groups: usize,
    channels: usize,
    eps: f64,
    affine: Affine,
}

impl GroupNorm {
    /// A layer with γ of ones and β of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range or groups that do not
    /// divide the channels, [`Error::Size`](dml_core::Error::Size) for more channels than fit into memory.
    pub fn new(config: GroupNormConfig, dtype: DType, device: &Device) -> Result<Self> {
        checked(&config)?;
        let present = [config.affine; 2];
        let affine = Affine::new("channels", &[config.channels], present, dtype, device)?;
        Ok(Self::with(&config, affine))
    }

    /// A layer with given γ and β, `[channels]` each. Of the configuration, `affine` has no effect.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) as [`new`](GroupNorm::new),
    /// [`Error::Shape`](dml_core::Error::Shape) for another shape.
    pub fn from_parameters(
        config: GroupNormConfig,
        weight: Option<Var>,
        bias: Option<Var>,
    ) -> Result<Self> {
        checked(&config)?;
        let affine = Affine::from_parameters(&[config.channels], "[channels]", weight, bias)?;
        Ok(Self::with(&config, affine))
    }

    fn with(config: &GroupNormConfig, affine: Affine) -> Self {
        Self {
            groups: config.groups,
            channels: config.channels,
            eps: config.eps,
            affine,
        }
    }

    affine_parameters!();
}

fn checked(config: &GroupNormConfig) -> Result<()> {
    check::positive("eps", config.eps)?;
    let channels = check::at_least_one("channels", config.channels)?;
    let groups = check::at_least_one("groups", config.groups)?;
    let divides = channels.is_multiple_of(groups);
    check::whole(divides, "groups", groups, "a divisor of channels")?;
    Ok(())
}

impl Layer for GroupNorm {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let fits = input.rank() > 1 && input.dims()[1] == self.channels;
        check::shape(fits, "input", input, "[n, channels, …]")?;
        let x = input.to_dtype(wide(input.dtype()))?;
        if x.elem_count() == 0 {
            return Ok(input.clone());
        }
        let y = if has_kernel(&x) {
            let kernel = Groups {
                groups: self.groups,
                channels: self.channels / self.groups,
                area: x.dims()[2..].iter().product(),
                eps: self.eps,
            };
            self.affine.fused("group_norm", &x, self.channels, kernel)?
        } else {
            let rows = x.reshape((x.dims()[0], self.groups, ()))?;
            let y = standardized(&rows, 2, self.eps, true)?.reshape(x.shape())?;
            let mut shape = vec![1; x.rank()];
            shape[1] = self.channels;
            self.affine.composite(y, &shape)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn parameters(&self) -> Parameters {
        self.affine.parameters()
    }

    /// Operator set 17 has no group normalisation, but one of single channels: `[n, groups, numbers of a group]`.
    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let [groups, channels] = [self.groups, self.channels];
        let shape = graph.node("Shape", &[input]);
        let by_group = graph.integers(&[0, groups as i64, -1])?;
        let rows = graph.node("Reshape", &[input, &by_group]);
        let scale = Tensor::ones(groups, DType::F32, &Device::Cpu)?;
        let [scale, shift] = [("ones", scale.clone()), ("zeros", scale.zeros_like()?)]
            .map(|(name, tensor)| graph.constant(name, &tensor));
        let eps = [("epsilon", self.eps.into())];
        let rows = graph.node_with("InstanceNormalization", &[&rows, &scale, &shift], &eps);
        let by_channel = graph.integers(&[0, channels as i64, -1])?;
        let mut y = graph.node("Reshape", &[&rows, &by_channel]);
        for (operator, name, var) in [
            ("Mul", "weight", &self.affine.weight),
            ("Add", "bias", &self.affine.bias),
        ] {
            if let Some(var) = var {
                let column = var.as_detached_tensor().reshape((channels, 1))?;
                let column = graph.constant(name, &column);
                y = graph.node(operator, &[&y, &column]);
            }
        }
        Ok(graph.node("Reshape", &[&y, &shape]))
    }
}

#[cfg(test)]
mod tests;
