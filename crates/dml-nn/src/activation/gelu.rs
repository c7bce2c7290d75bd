//! Gaussian error linear unit.
//!
//! ```text
//! Erf     y = x Φ(x),                    ∂y/∂x = Φ(x) + x φ(x)
//! Tanh    y = x σ(2u),                   ∂y/∂x = σ(2u) + 2x u' σ'(2u)      u = √(2/π) (x + 0.044715 x³)
//! Quick   y = x σ(1.702 x),              ∂y/∂x = σ(1.702 x) + 1.702 x σ'(1.702 x)
//! ```
//!
//! Φ, φ: distribution and density of the normal distribution; σ: logistic function. `x σ(2u)` is `x (1 + tanh u) / 2`.
//!
//! Hendrycks & Gimpel 2016, "Gaussian Error Linear Units" (arXiv 1606.08415).

use candle_core::Tensor;
use dml_core::Result;
use dml_core::kernels::Real;
use dml_core::kernels::elementary::logistic;

use super::{Formula, composite_logistic, times};
use crate::{Activation, Graph, GraphValue, Layer};

/// √(2/π).
const ROOT: f64 = 0.797_884_560_802_865_4;

/// Factor of the cube.
const CUBE: f64 = 0.044_715;

/// Factor of the quick form.
const QUICK: f64 = 1.702;

/// Which function a [`Gelu`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum GeluForm {
    /// Exact form with the error function: PyTorch's default; used by `ViT`, `ConvNeXt`, `DINOv2` and BERT.
    #[default]
    Erf,
    /// Approximation with the hyperbolic tangent: PyTorch's `approximate="tanh"`; used by GPT-2 and `SigLIP`.
    Tanh,
    /// Approximation with the logistic function; used by `OpenAI`'s CLIP.
    Quick,
}

/// Gaussian error linear unit, `x Φ(x)` or an approximation of it. Any shape.
///
/// ```text
/// Erf     y = x Φ(x)
/// Tanh    y = x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
/// Quick   y = x / (1 + e^(−1.702 x))
/// ```
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{Gelu, GeluForm, Layer};
///
/// let x = Tensor::new(&[1f64], &Device::Cpu)?;
/// for (form, want) in [(GeluForm::Erf, 0.841345), (GeluForm::Tanh, 0.841192), (GeluForm::Quick, 0.845796)] {
///     let y = Gelu::new(form).forward(&x)?.to_vec1::<f64>()?;
///     assert!((y[0] - want).abs() < 1e-6);
/// }
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gelu {
    form: GeluForm,
}

impl Gelu {
    /// The unit of that form.
    #[must_use]
    pub fn new(form: GeluForm) -> Self {
        Self { form }
    }

    /// Which function it is.
    #[must_use]
    pub fn form(&self) -> GeluForm {
        self.form
    }
}

impl Layer for Gelu {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        Activation::Gelu(self.form).forward_t(input, train)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        Activation::Gelu(self.form).export(graph, input)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Erf;

impl Formula for Erf {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let (distribution, density) = x.quick_normal();
        (x * distribution, distribution + x * density)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        let distribution = (((x / std::f64::consts::SQRT_2)?.erf()? + 1.0)? * 0.5)?;
        Ok((x * distribution)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let root = times(std::f64::consts::FRAC_1_SQRT_2, graph, x)?;
        let erf = graph.node("Erf", &[&root]);
        let one = graph.number(1.0)?;
        let sum = graph.node("Add", &[&erf, &one]);
        let half = times(0.5, graph, x)?;
        Ok(graph.node("Mul", &[&half, &sum]))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct ByTangent;

impl Formula for ByTangent {
    const NAME: &'static str = "gelu_tanh";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let [root, cube, slope] = [2.0 * ROOT, CUBE, 3.0 * CUBE].map(T::from_f64);
        let square = x * x;
        let (share, derivative) = logistic(root * x * (T::ONE + cube * square));
        // Where the derivative is 0 the other factor may be infinite.
        let bend = if derivative > T::ZERO {
            x * root * (T::ONE + slope * square) * derivative
        } else {
            x * derivative
        };
        (x * share, share + bend)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        let inner = (((x.sqr()? * CUBE)? + 1.0)? * x)?;
        Ok((x * composite_logistic(&(inner * (2.0 * ROOT))?)?)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let square = graph.node("Mul", &[x, x]);
        let cube = times(CUBE, graph, &square)?;
        let one = graph.number(1.0)?;
        let sum = graph.node("Add", &[&cube, &one]);
        let inner = graph.node("Mul", &[&sum, x]);
        let inner = times(2.0 * ROOT, graph, &inner)?;
        let share = graph.node("Sigmoid", &[&inner]);
        Ok(graph.node("Mul", &[x, &share]))
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Quick;

impl Formula for Quick {
    const NAME: &'static str = "quick_gelu";

    #[inline(always)]
    fn at<T: Real>(self, x: T) -> (T, T) {
        let x_scaled = x * T::from_f64(QUICK);
        let (share, derivative) = logistic(x_scaled);
        (x * share, share + x_scaled * derivative)
    }

    fn composite(self, x: &Tensor) -> Result<Tensor> {
        Ok((x * composite_logistic(&(x * QUICK)?)?)?)
    }

    fn operators(self, graph: &mut Graph, x: &GraphValue) -> Result<GraphValue> {
        let inner = times(QUICK, graph, x)?;
        let share = graph.node("Sigmoid", &[&inner]);
        Ok(graph.node("Mul", &[x, &share]))
    }
}
