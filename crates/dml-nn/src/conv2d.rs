//! Two-dimensional convolution.
//!
//! ```text
//! y[n,o,i,j] = b[o] + Σ_(c,a,b) W[o,c,a,b] · x[n, c, i·stride + a·dilation − padding, …]
//! ```

use crate::kernels::conv2d::Convolution;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Result, check, in_graph};
use rand::RngCore;

use crate::block::Block;
use crate::{Graph, GraphValue, Layer, Parameters, Role, init, pixels, windows_on_device};

dml_core::config! {
    /// Configuration of [`Conv2d`]; pairs are (height, width).
    #[derive(Eq)]
    pub struct Conv2dConfig {
        /// Number of channels of the input, 1 to 4,294,967,295.
        pub in_channels: usize,
        /// Number of channels of the output, 1 to 4,294,967,295.
        pub out_channels: usize,
        /// Size of the window in pixels, 1 to 1,024.
        pub kernel_size: [usize; 2];
        /// Distance of neighbouring windows in pixels, 1 to 1,024. Default 1.
        pub stride: [usize; 2] = [1, 1],
        /// Width of the border of zeros around the input in pixels, 0 to 1,024. Default 0.
        pub padding: [usize; 2] = [0, 0],
        /// Distance of neighbouring pixels of a window, 1 to 1,024. Default 1.
        pub dilation: [usize; 2] = [1, 1],
        /// Number of groups of channels, which are convolved separately; a divisor of both numbers of channels. Default 1.
        pub groups: usize = 1,
        /// Whether a bias is added to each output channel. Default true.
        pub bias: bool = true,
    }
}

impl Conv2dConfig {
    fn check(&self) -> Result<Convolution> {
        check::at_least_one("in_channels", self.in_channels)?;
        check::at_least_one("out_channels", self.out_channels)?;
        check::at_least_one("groups", self.groups)?;
        for axis in [0, 1] {
            check::count("kernel_size", self.kernel_size[axis], pixels::MAX_WINDOW)?;
            check::count("stride", self.stride[axis], pixels::MAX_WINDOW)?;
            check::count_from("padding", self.padding[axis], 0, pixels::MAX_WINDOW)?;
            check::count("dilation", self.dilation[axis], pixels::MAX_WINDOW)?;
        }
        let channels = [self.in_channels, self.out_channels];
        let divides = channels.map(|count| count.is_multiple_of(self.groups)) == [true; 2];
        let expected = "a divisor of in_channels and out_channels";
        check::whole(divides, "groups", self.groups, expected)?;
        Ok(Convolution {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            kernel: self.kernel_size,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        })
    }
}

/// Convolution ([formula](self)): `[N, in_channels, H, W]` → `[N, out_channels, H', W']`.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use dml_nn::{Conv2d, Conv2dConfig, Layer};
///
/// let weight = Var::new(&[[[[1f32, -1.]]]], &Device::Cpu)?;
/// let bias = Var::new(&[10f32], &Device::Cpu)?;
/// let conv = Conv2d::from_parameters(Conv2dConfig::new(1, 1, [1, 2]), weight, Some(bias))?;
/// let x = Tensor::new(&[[[[1f32, 2., 4.]]]], &Device::Cpu)?;
/// assert_eq!(conv.forward(&x)?.flatten_all()?.to_vec1::<f32>()?, [9., 8.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    convolution: Convolution,
    weight: Var,
    bias: Option<Var>,
}

impl Conv2d {
    /// A layer with PyTorch's initialisation ([`init`]).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size of 0 or groups that do not divide the
    /// channels, [`Error::Tensor`](dml_core::Error::Tensor) if the device can't hold the parameters.
    pub fn new(
        config: Conv2dConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let convolution = config.check()?;
        let fan_in = convolution.window();
        let shape = weight_shape(&convolution);
        let weight = init::fan_in_uniform(shape.as_slice(), fan_in, rng, dtype, device)?;
        let bias = config
            .bias
            .then(|| init::fan_in_uniform(config.out_channels, fan_in, rng, dtype, device))
            .transpose()?;
        Self::from_parameters(config, weight, bias)
    }

    /// A layer with given parameters; `config.bias` is not read.
    ///
    /// # Errors
    /// As [`Conv2d::new`], and [`Error::Shape`](dml_core::Error::Shape) unless the weight is `[out_channels, in_channels /
    /// groups, kernel height, kernel width]` and the bias `[out_channels]`.
    pub fn from_parameters(config: Conv2dConfig, weight: Var, bias: Option<Var>) -> Result<Self> {
        let convolution = config.check()?;
        let fits = weight.dims() == weight_shape(&convolution);
        let expected = "[out_channels, in_channels / groups, kernel height, kernel width]";
        check::shape(fits, "weight", &weight, expected)?;
        crate::check_bias(bias.as_ref(), config.out_channels)?;
        Ok(Self {
            convolution,
            weight,
            bias,
        })
    }

    /// `[out_channels, in_channels / groups, kernel height, kernel width]`.
    #[must_use]
    pub fn weight(&self) -> &Var {
        &self.weight
    }

    /// `[out_channels]`.
    #[must_use]
    pub fn bias(&self) -> Option<&Var> {
        self.bias.as_ref()
    }

    pub(crate) fn convolution(&self) -> &Convolution {
        &self.convolution
    }

    /// Height and width of the result, for an input `[N, in_channels, H, W]` that fits.
    pub(crate) fn output(&self, input: [usize; 4]) -> Result<[usize; 2]> {
        let ([batch, channels, height, width], c) = (input, &self.convolution);
        let fits = channels == c.in_channels;
        check::dims(fits, "input", &input, "[N, in_channels, H, W]")?;
        let output = c.output([height, width]).unwrap_or([0, 0]);
        let expected = "[N, in_channels, H, W] with room for a window";
        check::dims(output != [0, 0], "input", &input, expected)?;
        let sizes = [batch, c.out_channels, output[0], output[1]];
        check::elements("output [N, out_channels, H, W]", &sizes, 4)?;
        Ok(output)
    }

    /// The same, composed of Candle's operations.
    pub(crate) fn composite(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.output(pixels::image_batch(input)?)?;
        let own = in_graph(&self.weight);
        let product = crate::in_single_precision(input, &own, |x, weight| {
            let c = &self.convolution;
            let even = |pair: [usize; 2]| pair[0] == pair[1];
            if dml_core::autograd::cuda::has_kernel(x) {
                let columns = windows_on_device::columns(x, c, output)?;
                return self.by_columns(x, &columns, weight, output);
            }
            // With a stride, the gradient that Candle gives is an error wherever the windows leave another rest in the
            // height than in the width.
            if c.stride == [1, 1] && even(c.padding) && even(c.dilation) {
                let result =
                    x.conv2d(weight, c.padding[0], c.stride[0], c.dilation[0], c.groups)?;
                return Ok(result);
            }
            self.by_places(x, weight, output)
        })?;
        match &self.bias {
            None => Ok(product),
            Some(bias) => {
                let bias = in_graph(bias).reshape((1, (), 1, 1))?;
                Ok(product.broadcast_add(&bias)?)
            }
        }
    }

    /// For parameters that Candle's own convolution does not know, or has no right gradient for: one copy of the
    /// input per place of the window, and a product of matrices.
    fn by_places(&self, x: &Tensor, weight: &Tensor, output: [usize; 2]) -> Result<Tensor> {
        let mut places = Vec::new();
        for place in pixels::places(&self.convolution, output) {
            let (pixels, inside) = place.of(x)?;
            places.push(pixels.broadcast_mul(&inside.to_dtype(x.dtype())?)?);
        }
        self.by_columns(x, &Tensor::stack(&places, 2)?, weight, output)
    }

    /// The product of the weight and the columns `[N, in_channels, places, H' · W']` of the windows.
    fn by_columns(
        &self,
        x: &Tensor,
        columns: &Tensor,
        weight: &Tensor,
        output: [usize; 2],
    ) -> Result<Tensor> {
        let c = &self.convolution;
        let (batch, area) = (x.dims()[0], output[0] * output[1]);
        let columns = columns.reshape((batch, c.groups, c.window(), area))?;
        let weight = weight
            .reshape((1, c.groups, c.group_outputs(), c.window()))?
            .broadcast_as((batch, c.groups, c.group_outputs(), c.window()))?
            .contiguous()?;
        let result = weight.matmul(&columns.contiguous()?)?;
        Ok(result.reshape((batch, c.out_channels, output[0], output[1]))?)
    }
}

fn weight_shape(convolution: &Convolution) -> [usize; 4] {
    let [height, width] = convolution.kernel;
    [
        convolution.out_channels,
        convolution.group_inputs(),
        height,
        width,
    ]
}

impl Layer for Conv2d {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        Block::new(self).forward_t(input, train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.push("weight", self.weight.clone());
        if let Some(bias) = &self.bias {
            parameters.push("bias", bias.clone());
        }
        parameters
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let c = &self.convolution;
        let [rows, columns] = c.padding;
        let parameters = [("weight", Some(&self.weight)), ("bias", self.bias.as_ref())];
        let parameters = parameters.into_iter();
        let parameters = parameters.filter_map(|(name, var)| Some(graph.constant(name, var?)));
        let parameters: Vec<GraphValue> = parameters.collect();
        let inputs: Vec<&GraphValue> = std::iter::once(input).chain(&parameters).collect();
        let attributes = [
            ("kernel_shape", c.kernel.into()),
            ("strides", c.stride.into()),
            ("pads", [rows, columns, rows, columns].into()),
            ("dilations", c.dilation.into()),
            ("group", c.groups.into()),
        ];
        Ok(graph.node_with("Conv", &inputs, &attributes))
    }

    fn role(&self) -> Role<'_> {
        Role::Conv2d(self)
    }
}

#[cfg(test)]
mod tests;
