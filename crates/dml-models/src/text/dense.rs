//! A linear layer with an activation behind the pooling.
//!
//! ```text
//! y = f(x Wᵀ + b)
//! ```
//!
//! `Dense` of sentence-transformers; its parameters are `linear.weight` and `linear.bias`.

use candle_core::{DType, Device, Tensor};
use dml_core::Result;
use dml_nn::{Activation, GeluForm, Graph, GraphValue, Layer, Linear, LinearConfig, Parameters};
use rand::RngCore;

/// Activation of a [`Dense`], by the name of PyTorch's class in its `config.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum DenseActivation {
    /// None.
    #[serde(rename = "torch.nn.modules.linear.Identity")]
    Identity,
    /// Hyperbolic tangent.
    #[default]
    #[serde(rename = "torch.nn.modules.activation.Tanh")]
    Tanh,
    /// Rectified linear unit.
    #[serde(rename = "torch.nn.modules.activation.ReLU")]
    Relu,
    /// GELU by the error function.
    #[serde(rename = "torch.nn.modules.activation.GELU")]
    Gelu,
    /// Sigmoid linear unit.
    #[serde(rename = "torch.nn.modules.activation.SiLU")]
    Silu,
    /// Logistic function.
    #[serde(rename = "torch.nn.modules.activation.Sigmoid")]
    Sigmoid,
}

/// A linear layer with an activation ([formula](self)): `[batch, in_features]` → `[batch, out_features]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::text::{Dense, DenseActivation};
/// use dml_nn::{Layer, LinearConfig};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = LinearConfig::new(3, 2);
/// let dense = Dense::new(config, DenseActivation::Tanh, rng, DType::F32, &Device::Cpu)?;
/// let x = Tensor::ones((4, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(dense.forward(&x)?.dims(), [4, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Dense {
    linear: Linear,
    activation: DenseActivation,
}

impl Dense {
    /// A layer with PyTorch's initialisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0,
    /// [`Error::Size`](dml_core::Error::Size) if the parameters don't fit into memory.
    pub fn new(
        config: LinearConfig,
        activation: DenseActivation,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let linear = Linear::new(config, rng, dtype, device)?;
        Ok(Self { linear, activation })
    }

    /// Length of an input.
    #[must_use]
    pub fn in_features(&self) -> usize {
        self.linear.weight().dims()[1]
    }

    /// Length of an output.
    #[must_use]
    pub fn out_features(&self) -> usize {
        self.linear.weight().dims()[0]
    }
}

impl DenseActivation {
    fn layer(self) -> Option<Activation> {
        match self {
            Self::Identity => None,
            Self::Tanh => Some(Activation::Tanh),
            Self::Relu => Some(Activation::Relu),
            Self::Gelu => Some(Activation::Gelu(GeluForm::Erf)),
            Self::Silu => Some(Activation::Silu),
            Self::Sigmoid => Some(Activation::Sigmoid),
        }
    }
}

impl Layer for Dense {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let x = self.linear.forward_t(input, train)?;
        match self.activation.layer() {
            None => Ok(x),
            Some(activation) => activation.forward_t(&x, train),
        }
    }

    fn parameters(&self) -> Parameters {
        self.linear.parameters().prefixed("linear")
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let x = graph.part("linear", &self.linear, input)?;
        match self.activation.layer() {
            None => Ok(x),
            Some(activation) => activation.export(graph, &x),
        }
    }
}
