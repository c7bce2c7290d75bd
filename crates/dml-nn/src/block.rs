//! A convolution fused with the layers around it, computed while an image is in the cache.

use crate::kernels::conv2d::{self as kernel, Filter, FilterGradient, Operands};
use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{Element, has_kernel, host_node, is_tracked, with_slices};
use dml_core::kernels::SimdReal;
use dml_core::{Result, for_element, in_graph};

use crate::{Conv2d, Dropout2d, Layer, MaxPool2d, Relu, Role, pixels, plane_convolution};

/// Most places of a pooling window: their numbers fit in a byte, with one left for "none".
const PLACES: usize = 255;

/// Most inputs of the window of a convolution that is computed again instead of stored: to write a number, read it twice
/// and do the same with its gradient takes longer than this number of multiplications.
const CHEAP: usize = 32;

/// Most input channels of a convolution that is computed together with its neighbours: with more, the products take so long
/// that the kernels for many channels gain more than the fusion does.
const FEW_CHANNELS: usize = 32;

/// A convolution with the layers before and after it: a cheap convolution and ReLU before; ReLU, pooling and dropout of
/// channels after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    first: Option<&'a Conv2d>,
    convolution: &'a Conv2d,
    relu: bool,
    pooling: Option<&'a MaxPool2d>,
    dropout: Option<&'a Dropout2d>,
}

impl<'a> Block<'a> {
    pub(crate) fn new(convolution: &'a Conv2d) -> Self {
        Self {
            first: None,
            convolution,
            relu: false,
            pooling: None,
            dropout: None,
        }
    }

    /// The block with one more layer, if it can be fused; `input` is the input of the block.
    pub(crate) fn with(self, layer: &'a dyn Layer, input: &Tensor) -> Option<Self> {
        let ends_in_convolution = !self.relu && self.pooling.is_none() && self.dropout.is_none();
        match layer.role() {
            Role::Relu if ends_in_convolution => Some(Self { relu: true, ..self }),
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
            Role::Conv2d(next) if self.can_be_first(next, input) => Some(Self {
                first: Some(self.convolution),
                ..Self::new(next)
            }),
            _ => None,
        }
    }

    fn can_be_first(&self, next: &Conv2d, input: &Tensor) -> bool {
        let (own, next) = (self.convolution.convolution(), next.convolution());
        self.relu
            && self.pooling.is_none()
            && self.dropout.is_none()
            && self.first.is_none()
            && own.window() <= CHEAP
            && own.groups == 1
            && next.groups == 1
            && own.out_channels == next.in_channels
            && !is_tracked(input)
    }

    pub(crate) fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let dtype = |conv: &Conv2d| conv.weight().dtype() == input.dtype();
        if !has_kernel(input) || !dtype(self.convolution) || !self.first.is_none_or(dtype) {
            return self.one_by_one(input, train);
        }
        if self.is_wide() {
            let x = plane_convolution::forward(self.convolution, input)?;
            return self.followed(x, train);
        }
        for_element!(input, "input", |T| self.fused::<T>(input, train))
    }

    fn one_by_one(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let x = match self.first {
            None => self.convolution.composite(input)?,
            Some(first) => {
                let x = Relu.forward_t(&first.composite(input)?, train)?;
                self.convolution.composite(&x)?
            }
        };
        self.followed(x, train)
    }

    /// Whether the convolution by itself, computed on channel planes, is faster than the fused block.
    fn is_wide(&self) -> bool {
        let alone = self.pooling.is_none() && self.dropout.is_none() && !self.relu;
        let channels = self.convolution.convolution().in_channels;
        self.first.is_none() && (alone || channels > FEW_CHANNELS)
    }

    /// What follows the convolution, layer by layer.
    fn followed(&self, mut x: Tensor, train: bool) -> Result<Tensor> {
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
        let inner = match self.first {
            None => pixels::image_batch(input)?,
            Some(first) => {
                let [rows, columns] = first.output(pixels::image_batch(input)?)?;
                let batch = pixels::image_batch(input)?[0];
                [batch, first.convolution().out_channels, rows, columns]
            }
        };
        let full = self.convolution.output(inner)?;
        let [rows, columns] = match self.pooling {
            None => full,
            Some(pooling) => pooling.output(full)?,
        };
        let block = kernel::Block {
            first: self.first.map(|first| *first.convolution()),
            convolution: *self.convolution.convolution(),
            relu: self.relu,
            pooling: self.pooling.map(|pooling| *pooling.pooling()),
        };
        let (batch, _, height, width) = input.dims4()?;
        let channels = block.convolution.out_channels;
        let memory = Memory {
            block,
            image: [height, width],
            scale: match self.dropout {
                Some(dropout) if train => dropout.factors::<T>(batch * channels),
                _ => Vec::new(),
            },
        };
        let (weight, bias) = self.convolution.both(input.dtype(), input.device())?;
        // Operations of Candle have three inputs at most: of two convolutions, each brings its parameters as one list.
        let (second, third) = match self.first {
            None => (weight, bias),
            Some(first) => {
                let (first_weight, first_bias) = first.both(input.dtype(), input.device())?;
                (list(&first_weight, &first_bias)?, list(&weight, &bias)?)
            }
        };
        let inputs = [input, &second, &third];
        let kernel::Forward {
            output: value,
            places,
        } = memory.with(inputs, |operands| kernel::forward(&block, operands))?;
        let shape = (batch, channels, rows, columns);
        host_node("conv2d", inputs, value, shape, move |inputs, y, g| {
            memory.backward(inputs, y, &places, g)
        })
    }
}

/// Weight and bias in one list.
fn list(weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    Ok(Tensor::cat(&[&weight.flatten_all()?, bias], 0)?)
}

impl Conv2d {
    /// Weight and bias; zeros for none.
    fn both(&self, dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
        let bias = match self.bias() {
            Some(bias) => in_graph(bias),
            None => Tensor::zeros(self.convolution().out_channels, dtype, device)?,
        };
        Ok((in_graph(self.weight()), bias))
    }
}

/// State that the backward pass reads.
struct Memory<T> {
    block: kernel::Block,
    image: [usize; 2],
    scale: Vec<T>,
}

impl<T: Element + SimdReal> Memory<T> {
    /// `f` on the memory of the inputs: image, weight and bias, or image and the two lists of parameters.
    fn with<R>(
        &self,
        [input, second, third]: [&Tensor; 3],
        f: impl FnOnce(&Operands<'_, T>) -> R,
    ) -> Result<R> {
        with_slices(
            [input, second, third],
            |[input, second, third]: [&[T]; 3]| {
                let (first, filter) = match &self.block.first {
                    None => (None, (second, third)),
                    Some(first) => {
                        let at = second.len() - first.out_channels;
                        let (weight, bias) = second.split_at(at);
                        let at = third.len() - self.block.convolution.out_channels;
                        (Some(Filter { weight, bias }), third.split_at(at))
                    }
                };
                f(&Operands {
                    image: self.image,
                    input,
                    first,
                    filter: Filter {
                        weight: filter.0,
                        bias: filter.1,
                    },
                    scale: &self.scale,
                })
            },
        )
    }

    fn backward(
        &self,
        inputs: [&Tensor; 3],
        value: &Tensor,
        places: &[u8],
        gradient: &Tensor,
    ) -> Result<[Vec<T>; 3]> {
        let needs_input = inputs[0].track_op();
        let gradients = with_slices([gradient, value], |[gradient, output]: [&[T]; 2]| {
            self.with(inputs, |operands| {
                let kept = kernel::Kept { output, places };
                kernel::backward(&self.block, operands, kept, gradient, needs_input)
            })
        })??;
        let joined = |own: FilterGradient<T>| [own.weight, own.bias].concat();
        let (second, third) = match self.block.first {
            None => (gradients.filter.weight, gradients.filter.bias),
            Some(_) => (joined(gradients.first), joined(gradients.filter)),
        };
        Ok([gradients.input, second, third])
    }
}
