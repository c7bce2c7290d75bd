//! Scale and shift behind a normalisation, and the node of a normalisation with both.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::{Element, host_node, with_slices};
use dml_core::kernels::Real;
use dml_core::{Result, check, for_element, in_graph};

use crate::kernels::normalization::Normalization;
use crate::{Graph, GraphValue, Parameters};

/// γ and β, each of which may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) weight: Option<Var>,
    pub(crate) bias: Option<Var>,
}

/// Gives a normalisation the methods for the parameters of its [`Affine`] map, which is called `affine`.
macro_rules! affine_parameters {
    () => {
        /// γ.
        #[must_use]
        pub fn weight(&self) -> Option<&Var> {
            self.affine.weight.as_ref()
        }

        /// β.
        #[must_use]
        pub fn bias(&self) -> Option<&Var> {
            self.affine.bias.as_ref()
        }
    };
}
pub(crate) use affine_parameters;

impl Affine {
    /// γ of ones and β of zeros, where there are any.
    pub(crate) fn new(
        name: &'static str,
        shape: &[usize],
        [weight, bias]: [bool; 2],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        check::elements(name, shape, check::PARAMETER)?;
        let weight = weight.then(|| Var::ones(shape, dtype, device)).transpose();
        let bias = bias.then(|| Var::zeros(shape, dtype, device)).transpose();
        Ok(Self {
            weight: weight?,
            bias: bias?,
        })
    }

    /// Given γ and β of a shape, which `expected` says in words.
    pub(crate) fn from_parameters(
        shape: &[usize],
        expected: &'static str,
        weight: Option<Var>,
        bias: Option<Var>,
    ) -> Result<Self> {
        for (arg, var) in [("weight", &weight), ("bias", &bias)] {
            if let Some(var) = var {
                check::shape(var.dims() == shape, arg, var, expected)?;
            }
        }
        Ok(Self { weight, bias })
    }

    pub(crate) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        for (name, var) in [("weight", &self.weight), ("bias", &self.bias)] {
            if let Some(var) = var {
                parameters.push(name, var.clone());
            }
        }
        parameters
    }

    /// `x γ + β`, composed of Candle's operations; both are reshaped to `shape` first.
    pub(crate) fn composite(&self, x: Tensor, shape: &[usize]) -> Result<Tensor> {
        let row = |var: &Var| in_graph(var).to_dtype(x.dtype())?.reshape(shape);
        let x = match &self.weight {
            None => x.clone(),
            Some(weight) => x.broadcast_mul(&row(weight)?)?,
        };
        match &self.bias {
            None => Ok(x),
            Some(bias) => Ok(x.broadcast_add(&row(bias)?)?),
        }
    }

    /// The normalisation of `x`, f32 or f64 on the CPU, as one node of the graph; γ and β have `size` numbers.
    pub(crate) fn fused(
        &self,
        name: &'static str,
        x: &Tensor,
        size: usize,
        kernel: impl Normalization,
    ) -> Result<Tensor> {
        let weight = match &self.weight {
            None => Tensor::ones(size, x.dtype(), x.device())?,
            Some(weight) => in_graph(weight).to_dtype(x.dtype())?.flatten_all()?,
        };
        let bias = match &self.bias {
            None => Tensor::zeros(size, x.dtype(), x.device())?,
            Some(bias) => in_graph(bias).to_dtype(x.dtype())?.flatten_all()?,
        };
        for_element!(x, "input", |T| node::<T>(name, [x, &weight, &bias], kernel))
    }

    /// Layer normalisation of the dimensions from `axis` on, whose sizes are `shape`, as an operator of a graph.
    pub(crate) fn layer_normalization(
        &self,
        graph: &mut Graph,
        x: &GraphValue,
        shape: &[usize],
        axis: i64,
        eps: f64,
    ) -> Result<GraphValue> {
        let weight = match &self.weight {
            Some(weight) => graph.constant("weight", weight),
            // The operator has no form without it.
            None => graph.constant("weight", &Tensor::ones(shape, DType::F32, &Device::Cpu)?),
        };
        let bias = self.bias.as_ref().map(|bias| graph.constant("bias", bias));
        let inputs: Vec<&GraphValue> = [x, &weight].into_iter().chain(&bias).collect();
        let attributes = [("axis", axis.into()), ("epsilon", eps.into())];
        Ok(graph.node_with("LayerNormalization", &inputs, &attributes))
    }
}

fn node<T: Element>(
    name: &'static str,
    inputs: [&Tensor; 3],
    kernel: impl Normalization,
) -> Result<Tensor> {
    let value = with_slices(inputs, |[x, weight, bias]: [&[T]; 3]| {
        kernel.forward(x, weight, bias)
    })?;
    let shape = inputs[0].shape();
    host_node(name, inputs, value, shape, move |[x, weight, _], _, g| {
        let gradients = with_slices([x, g, weight], |[x, g, weight]: [&[T]; 3]| {
            kernel.backward(x, g, weight)
        })?;
        let row = |row: Vec<f64>| row.into_iter().map(<T as Real>::from_f64).collect();
        Ok([gradients.input, row(gradients.weight), row(gradients.bias)])
    })
}

/// `(x − μ) / √(σ² + ε)` over one dimension, composed of Candle's operations; without a mean `x / √(mean of x² + ε)`.
pub(crate) fn standardized(x: &Tensor, dim: usize, eps: f64, centred: bool) -> Result<Tensor> {
    let x = if centred {
        x.broadcast_sub(&x.mean_keepdim(dim)?)?
    } else {
        x.clone()
    };
    let scale = (x.sqr()?.mean_keepdim(dim)? + eps)?.sqrt()?;
    Ok(x.broadcast_div(&scale)?)
}
