//! The feed-forward part of a transformer.
//!
//! ```text
//! Y = f(X W₁ᵀ + b₁) W₂ᵀ + b₂
//! ```
//!
//! Vaswani et al. 2017 (arXiv 1706.03762). On the CPU, f32 and f64 are computed block of rows by block of rows: of the
//! numbers between the two linear maps, `X W₁ᵀ + b₁` is kept for the backward pass, and nothing else.

use candle_core::Tensor;
use dml_core::autograd::{
    Element, Value, has_kernel, is_tracked, tracked, wide_node, with_slice, with_slices,
};
use dml_core::kernels::SimdReal;
use dml_core::{Result, check, for_element};

use crate::activation::{Activation, Formula, with_formula};
use crate::kernels::feed_forward::{self as kernel, Map};
use crate::kernels::linear::FEW_ROWS;
use crate::named_linear::NamedLinear;
use crate::{Graph, GraphValue, Layer, Linear, Parameters};

/// Linear map, activation, linear map ([formula](self)): `[…, in_features]` → `[…, out_features]`.
///
/// The names of the parts are the caller's: `fc1` and `fc2` in timm, `intermediate.dense` and `output.dense` in BERT.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use dml_nn::{Activation, FeedForward, Layer, Linear};
///
/// let first = Linear::from_parameters(Var::new(&[[1f32], [-1.]], &Device::Cpu)?, None)?;
/// let second = Linear::from_parameters(Var::new(&[[1f32, 1.]], &Device::Cpu)?, None)?;
/// let magnitude = FeedForward::new(("fc1", first), Activation::Relu, ("fc2", second))?;
/// let y = magnitude.forward(&Tensor::new(&[[3f32], [-2.]], &Device::Cpu)?)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[3.], [2.]]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeedForward {
    first: NamedLinear,
    activation: Activation,
    second: NamedLinear,
}

impl FeedForward {
    /// Two linear layers with the names of their parts.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) if the outputs of the first are not the inputs of the second.
    pub fn new(
        first: (&str, Linear),
        activation: Activation,
        second: (&str, Linear),
    ) -> Result<Self> {
        let (first, second) = (NamedLinear::new(first), NamedLinear::new(second));
        let fits = first.sizes()?.0 == second.sizes()?.1;
        let expected = "a weight with as many inputs as the first has outputs";
        check::shape(fits, "second", second.linear.weight(), expected)?;
        Ok(Self {
            first,
            activation,
            second,
        })
    }

    fn composite(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let hidden = self.first.forward_t(input, train)?;
        let activated = self.activation.forward_t(&hidden, train)?;
        self.second.forward_t(&activated, train)
    }

    fn fused<T: Element + SimdReal>(
        &self,
        input: &Tensor,
        f: impl kernel::Activation<T> + Send + 'static,
    ) -> Result<Tensor> {
        let (hidden, inputs) = self.first.sizes()?;
        let (outputs, _) = self.second.sizes()?;
        let sizes = Sizes {
            inputs,
            hidden,
            outputs,
        };
        let none = Tensor::zeros(0, input.dtype(), input.device())?;
        let bias = |named: &NamedLinear| match named.linear.bias() {
            Some(bias) => bias.as_tensor().clone(),
            None => none.clone(),
        };
        let (first_bias, second_bias) = (bias(&self.first), bias(&self.second));
        let all = [
            input,
            self.first.linear.weight().as_tensor(),
            self.second.linear.weight().as_tensor(),
            &first_bias,
            &second_bias,
        ];
        let keep = all.iter().any(|input| is_tracked(input));
        let (value, kept) = sizes.with(all, |x: &[T], maps| kernel::forward(x, maps, f, keep))?;
        let mut shape = input.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let value = Value::host(value, shape)?;
        wide_node("feed_forward", all, value, move |all, _, gradient| {
            let needs_input = all[0].track_op();
            let (of_input, [first, second]) = with_slice(gradient, |gradient: &[T]| {
                sizes.with(all, |x, maps| {
                    kernel::backward(x, &kept, gradient, maps, f, needs_input)
                })
            })??;
            let (weights, biases) = ([first.weight, second.weight], [first.bias, second.bias]);
            let ([first, second], [first_bias, second_bias]) = (weights, biases);
            tracked(all, [of_input, first, second, first_bias, second_bias])
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    inputs: usize,
    hidden: usize,
    outputs: usize,
}

impl Sizes {
    /// `f` on the memory of the input and both maps: input, weights, biases.
    fn with<T: Element, R>(
        self,
        all: [&Tensor; 5],
        f: impl FnOnce(&[T], [Map<'_, T>; 2]) -> R,
    ) -> Result<R> {
        with_slices(
            all,
            |[x, first, second, first_bias, second_bias]: [&[T]; 5]| {
                let first = Map {
                    weight: first,
                    bias: first_bias,
                    inputs: self.inputs,
                    outputs: self.hidden,
                };
                let second = Map {
                    weight: second,
                    bias: second_bias,
                    inputs: self.hidden,
                    outputs: self.outputs,
                };
                f(x, [first, second])
            },
        )
    }
}

/// A formula as a function that is compiled into the loops of the kernels.
fn function<T: Element, F: Formula>(formula: F) -> impl kernel::Activation<T> + Send + 'static {
    #[inline(always)]
    move |x: T| formula.at(x)
}

impl Layer for FeedForward {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let (_, inputs) = self.first.sizes()?;
        let fits = input.dims().last() == Some(&inputs);
        check::shape(fits, "input", input, "[…, in_features]")?;
        let dtype = input.dtype();
        let is_plain = [&self.first, &self.second]
            .iter()
            .all(|named| named.linear.weight().dtype() == dtype && !named.linear.is_adapted());
        if !has_kernel(input) || !is_plain || input.elem_count() / inputs < FEW_ROWS {
            return self.composite(input, train);
        }
        for_element!(input, "input", |T| {
            with_formula!(self.activation, |formula| {
                self.fused::<T>(input, function(formula))
            })
        })
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        self.first.add_to(&mut parameters);
        self.second.add_to(&mut parameters);
        parameters
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let hidden = self.first.export(graph, input)?;
        let activated = self.activation.export(graph, &hidden)?;
        self.second.export(graph, &activated)
    }
}

#[cfg(test)]
mod tests;
