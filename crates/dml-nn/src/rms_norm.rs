//! Normalisation by the root mean square over the last dimensions.
//!
//! ```text
//! y = γ x / √(mean(x²) + ε)
//! ```
//!
//! Zhang & Sennrich 2019, "Root Mean Square Layer Normalization" (arXiv 1910.07467), with PyTorch's defaults. Memory and
//! precision are those of [`layer_norm`](crate::layer_norm).

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Result, check};

use crate::affine::Affine;
use crate::kernels::row_norm::RowNorm;
use crate::layer_norm::over_last_dimensions;
use crate::{Graph, GraphValue, Layer, Parameters};

dml_core::config! {
    /// Configuration of [`RmsNorm`].
    pub struct RmsNormConfig {
        /// Size of the last dimension of the input, 1 to 4,294,967,295.
        pub dim: usize;
        /// ε, added to the mean square; in `[1e-30, 1e30]`. `None` for the machine epsilon of the element type that is
        /// computed in: 2⁻²³ in single and half precision, 2⁻⁵² in double. Default `None`.
        pub eps: Option<f64> = None,
        /// Whether there is γ. Default true.
        pub elementwise_affine: bool = true,
    }
}

/// Root mean square normalisation ([formula](self)): `[…, dim]` to the same shape. Half precision is computed in single.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::{Layer, RmsNorm, RmsNormConfig};
///
/// let norm = RmsNorm::new(RmsNormConfig::new(2), DType::F64, &Device::Cpu)?;
/// let y = norm.forward(&Tensor::new(&[1f64, 7.], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// // The mean square is 25.
/// assert!((y[0] - 0.2).abs() < 1e-12 && (y[1] - 1.4).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RmsNorm {
    dim: usize,
    eps: Option<f64>,
    affine: Affine,
}

impl RmsNorm {
    /// A layer with γ of ones.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Size`](dml_core::Error::Size) for a `dim` that does not fit into memory.
    pub fn new(config: RmsNormConfig, dtype: DType, device: &Device) -> Result<Self> {
        let dim = checked(&config)?;
        let present = [config.elementwise_affine, false];
        Ok(Self {
            dim,
            eps: config.eps,
            affine: Affine::new("dim", &[dim], present, dtype, device)?,
        })
    }

    /// A layer with given γ, `[dim]`. Of the configuration, `elementwise_affine` has no effect.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a number out of its range,
    /// [`Error::Shape`](dml_core::Error::Shape) for another shape.
    pub fn from_parameters(config: RmsNormConfig, weight: Option<Var>) -> Result<Self> {
        let dim = checked(&config)?;
        Ok(Self {
            dim,
            eps: config.eps,
            affine: Affine::from_parameters(&[dim], "[dim]", weight, None)?,
        })
    }

    /// γ.
    #[must_use]
    pub fn weight(&self) -> Option<&Var> {
        self.affine.weight.as_ref()
    }
}

fn checked(config: &RmsNormConfig) -> Result<usize> {
    if let Some(eps) = config.eps {
        check::positive("eps", eps)?;
    }
    check::at_least_one("dim", config.dim)
}

/// The gap between 1 and the next larger number, in the element type that is computed in.
fn machine_epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

impl Layer for RmsNorm {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let norm = RowNorm {
            centred: false,
            eps: self.eps.unwrap_or_else(|| machine_epsilon(input.dtype())),
        };
        over_last_dimensions("rms_norm", input, &[self.dim], &self.affine, norm)
    }

    fn parameters(&self) -> Parameters {
        self.affine.parameters()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        // Graphs compute in single precision.
        let eps = self.eps.unwrap_or_else(|| machine_epsilon(DType::F32));
        let eps = graph.number(eps)?;
        let squares = graph.node("Mul", &[input, input]);
        let mean = graph.node_with("ReduceMean", &[&squares], &[("axes", [-1i64].into())]);
        let mean = graph.node("Add", &[&mean, &eps]);
        let root = graph.node("Sqrt", &[&mean]);
        let y = graph.node("Div", &[input, &root]);
        match &self.affine.weight {
            None => Ok(y),
            Some(weight) => {
                let weight = graph.constant("weight", weight);
                Ok(graph.node("Mul", &[&y, &weight]))
            }
        }
    }
}

#[cfg(test)]
mod tests;
