//! A convolution with the layers after it that are computed while an image is in the cache.

use candle_core::Tensor;
use dml_core::fused::{self, Element, has_kernel, with_slice};
use dml_core::kernels::SimdReal;
use dml_core::kernels::conv2d::{self as kernel, Operands};
use dml_core::{Result, for_element};

use crate::{Conv2d, Dropout2d, Layer, MaxPool2d, Relu};

/// The most places of a pooling window whose number fits in a byte, with one left for "none".
const PLACES: usize = 255;

/// A convolution, and what follows it in this order: ReLU, pooling, dropout of channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    convolution: &'a Conv2d,
    relu: bool,
    pooling: Option<&'a MaxPool2d>,
    dropout: Option<&'a Dropout2d>,
}

impl<'a> Block<'a> {
    pub(crate) fn new(convolution: &'a Conv2d) -> Self {
        Self {
            convolution,
            relu: false,
            pooling: None,
            dropout: None,
        }
    }

    /// The block with one more layer, if that can be joined.
    pub(crate) fn with(self, layer: &'a dyn Layer) -> Option<Self> {
        use crate::Role;
        match layer.role() {
            Role::Relu if !self.relu && self.pooling.is_none() && self.dropout.is_none() => {
                Some(Self { relu: true, ..self })
            }
            Role::MaxPool2d(pooling)
                if self.pooling.is_none()
                    && self.dropout.is_none()
                    && pooling.pooling().kernel.iter().product::<usize>() <= PLACES =>
            {
                Some(Self {
                    pooling: Some(pooling),
                    ..self
                })
            }
            Role::Dropout2d(dropout) if self.dropout.is_none() => Some(Self {
                dropout: Some(dropout),
                ..self
            }),
            _ => None,
        }
    }

    pub(crate) fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let weight = self.convolution.weight();
        if !has_kernel(input) || input.dtype() != weight.dtype() {
            return self.one_by_one(input, train);
        }
        for_element!(input, "input", |T| self.fused::<T>(input, train))
    }

    fn one_by_one(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = self.convolution.composite(input)?;
        if self.relu {
            x = Relu.forward_t(&x, train)?;
        }
        if let Some(pooling) = self.pooling {
            x = pooling.forward_t(&x, train)?;
        }
        match self.dropout {
            None => Ok(x),
            Some(dropout) => dropout.forward_t(&x, train),
        }
    }

    fn fused<T: Element + SimdReal>(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let full = self.convolution.output(input)?;
        let [rows, columns] = match self.pooling {
            None => full,
            Some(pooling) => pooling.output(full)?,
        };
        let block = kernel::Block {
            convolution: *self.convolution.convolution(),
            relu: self.relu,
            pooling: self.pooling.map(|pooling| *pooling.pooling()),
        };
        let (batch, _, height, width) = input.dims4()?;
        let channels = block.convolution.out_channels;
        let scale: Vec<T> = match self.dropout {
            Some(dropout) if train => dropout.factors(batch * channels),
            _ => Vec::new(),
        };
        let weight = self.convolution.weight();
        let none;
        let bias = match self.convolution.bias() {
            Some(bias) => bias.as_tensor(),
            None => {
                none = Tensor::zeros(channels, input.dtype(), input.device())?;
                &none
            }
        };
        let inputs = [input, weight.as_tensor(), bias];
        let image = [height, width];
        let kernel::Forward {
            output: value,
            places,
        } = with_operands(inputs, image, &scale, |operands| {
            kernel::forward(&block, operands)
        })?;
        let shape = (batch, channels, rows, columns);
        let backward = move |inputs: [&Tensor; 3], value: &Tensor, gradient: &Tensor| {
            let [input, weight, bias] = inputs;
            let needs_input = input.track_op();
            let gradients = with_slice(gradient, |gradient: &[T]| {
                with_slice(value, |value: &[T]| {
                    with_operands(inputs, image, &scale, |operands| {
                        let kept = kernel::Kept {
                            output: value,
                            places: &places,
                        };
                        kernel::backward(&block, operands, kept, gradient, needs_input)
                    })
                })
            })???;
            let tensor = |values: Vec<T>, like: &Tensor| {
                Tensor::from_vec(values, like.shape(), like.device())
            };
            Ok([
                needs_input
                    .then(|| tensor(gradients.input, input))
                    .transpose()?,
                Some(tensor(gradients.weight, weight)?),
                bias.track_op()
                    .then(|| tensor(gradients.bias, bias))
                    .transpose()?,
            ])
        };
        fused::ternary("conv2d", inputs, value, shape, backward)
    }
}

/// `f` on the memory of input, weight and bias.
fn with_operands<T: Element, R>(
    [input, weight, bias]: [&Tensor; 3],
    image: [usize; 2],
    scale: &[T],
    f: impl FnOnce(&Operands<'_, T>) -> R,
) -> Result<R> {
    with_slice(input, |input: &[T]| {
        with_slice(weight, |weight: &[T]| {
            with_slice(bias, |bias: &[T]| {
                f(&Operands {
                    image,
                    input,
                    weight,
                    bias,
                    scale,
                })
            })
        })
    })??
}
