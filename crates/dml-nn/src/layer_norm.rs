//! Layer normalisation over the last dimensions.
//!
//! ```text
//! y = γ (x − μ) / √(σ² + ε) + β       μ, σ² = mean and variance (biased) over the last dimensions
//! ```
//!
//! Ba et al. 2016, "Layer Normalization" (arXiv 1607.06450), with PyTorch's defaults. The fused form passes over memory
//! once each way and keeps nothing but the input between the two. Sums run in double precision.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::has_kernel;
use dml_core::{Result, check};

use crate::affine::{Affine, affine_parameters, standardized};
use crate::kernels::row_norm::RowNorm;
use crate::{Graph, GraphValue, Layer, Parameters, wide};

/// Configuration of [`LayerNorm`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct LayerNormConfig {
    /// Sizes of the last dimensions of the input, over which is normalised; each 1 to 4,294,967,295.
    pub normalized_shape: Vec<usize>,
    /// ε, added to the variance; in `[1e-30, 1e30]`. Default 10⁻⁵.
    #[cfg_attr(feature = "serde", serde(default = "eps"))]
    pub eps: f64,
    /// Whether there are γ and β. Default true.
    #[cfg_attr(feature = "serde", serde(default = "yes"))]
    pub elementwise_affine: bool,
    /// Whether there is β; without effect unless `elementwise_affine`. Default true.
    #[cfg_attr(feature = "serde", serde(default = "yes"))]
    pub bias: bool,
}

fn eps() -> f64 {
    1e-5
}

#[cfg(feature = "serde")]
fn yes() -> bool {
    true
}

impl LayerNormConfig {
    /// The defaults for some last dimensions, `[384]` say.
    #[must_use]
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Self {
        Self {
            normalized_shape: normalized_shape.into(),
            eps: eps(),
            elementwise_affine: true,
            bias: true,
        }
    }
}

/// Layer normalisation ([formula](self)): `[…, normalized_shape]` to the same shape. Half precision is computed in single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, LayerNorm, LayerNormConfig};
///
/// let norm = LayerNorm::new(LayerNormConfig::new([2]), DType::F64, &Device::Cpu)?;
/// let x = Tensor::new(&[[1f64, 3.], [-5., 5.]], &Device::Cpu)?;
/// let y = norm.forward(&x)?.to_vec2::<f64>()?;
/// assert!(y.iter().all(|y| (y[0] + 1.0).abs() < 1e-5 && (y[1] - 1.0).abs() < 1e-5));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm {
    shape: Vec<usize>,
    eps: f64,
    affine: Affine,
}

impl LayerNorm {
    /// A layer with γ of ones and β of zeros.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range or an empty
    /// `normalized_shape`, [`Error::Size`](dml_core::Error::Size) for one that does not fit into memory.
    pub fn new(config: LayerNormConfig, dtype: DType, device: &Device) -> Result<Self> {
        let LayerNormConfig {
            normalized_shape: shape,
            eps,
            elementwise_affine: affine,
            bias,
        } = config;
        checked(&shape, eps)?;
        let present = [affine, affine && bias];
        let affine = Affine::new("normalized_shape", &shape, present, dtype, device)?;
        Ok(Self { shape, eps, affine })
    }

    /// A layer with given γ and β, `normalized_shape` each. Of the configuration, `elementwise_affine` and `bias` have no
    /// effect.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) as [`new`](LayerNorm::new),
    /// [`Error::Shape`](dml_core::Error::Shape) for another shape.
    pub fn from_parameters(
        config: LayerNormConfig,
        weight: Option<Var>,
        bias: Option<Var>,
    ) -> Result<Self> {
        let LayerNormConfig {
            normalized_shape: shape,
            eps,
            ..
        } = config;
        checked(&shape, eps)?;
        let affine = Affine::from_parameters(&shape, "normalized_shape", weight, bias)?;
        Ok(Self { shape, eps, affine })
    }

    affine_parameters!();
}

fn checked(shape: &[usize], eps: f64) -> Result<()> {
    check::count("normalized_shape", shape.len(), 8)?;
    for size in shape {
        check::at_least_one("normalized_shape", *size)?;
    }
    check::elements("normalized_shape", shape, check::PARAMETER)?;
    check::positive("eps", eps)?;
    Ok(())
}

/// Normalisation over the last dimensions `shape`, with or without a mean.
pub(crate) fn over_last_dimensions(
    name: &'static str,
    input: &Tensor,
    shape: &[usize],
    affine: &Affine,
    norm: RowNorm,
) -> Result<Tensor> {
    let fits = input.dims().ends_with(shape);
    check::shape(fits, "input", input, "[…, normalized_shape]")?;
    let x = input.to_dtype(wide(input.dtype()))?;
    let width = shape.iter().product();
    let y = if has_kernel(&x) {
        affine.fused(name, &x, width, norm)?
    } else {
        let rows = x.reshape(((), width))?;
        let rows = standardized(&rows, 1, norm.eps, norm.centred)?;
        affine.composite(rows, &[1, width])?.reshape(x.shape())?
    };
    Ok(y.to_dtype(input.dtype())?)
}

impl Layer for LayerNorm {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let norm = RowNorm {
            centred: true,
            eps: self.eps,
        };
        over_last_dimensions("layer_norm", input, &self.shape, &self.affine, norm)
    }

    fn parameters(&self) -> Parameters {
        self.affine.parameters()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let axis = -(self.shape.len() as i64);
        self.affine
            .layer_normalization(graph, input, &self.shape, axis, self.eps)
    }
}

#[cfg(test)]
mod tests;
