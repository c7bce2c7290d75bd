//! Average pooling over the windows of a plane.
//!
//! ```text
//! y[n,c,i,j] = 1/n[i,j] Σ_(a,b) x[n, c, i·stride + a − padding, …]
//! ```
//!
//! n counts the pixels of the window, those of the padding included or not, but never those beyond it. As PyTorch's
//! `AvgPool2d`.

use candle_core::{DType, Tensor};
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::{Error, Result, check, for_element};

use crate::kernels::avg_pool2d::AvgPooling;
use crate::kernels::conv2d::Pooling;
use crate::{Layer, pixels};

/// Configuration of [`AvgPool2d`]; pairs are (height, width).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct AvgPool2dConfig {
    /// Size of a window in pixels, 1 to 1,024.
    pub kernel_size: [usize; 2],
    /// Distance of neighbouring windows in pixels, 1 to 1,024; `None` for the size of a window. Default `None`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub stride: Option<[usize; 2]>,
    /// Width of the border of zeros around the input in pixels, at most half a window. Default 0.
    #[cfg_attr(feature = "serde", serde(default))]
    pub padding: [usize; 2],
    /// Whether windows that begin inside and reach over the far edge count. Default false.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ceil_mode: bool,
    /// Whether pixels of the padding count in the average. Default true.
    #[cfg_attr(feature = "serde", serde(default = "crate::defaults::yes"))]
    pub count_include_pad: bool,
}

impl AvgPool2dConfig {
    /// Windows side by side.
    #[must_use]
    pub fn new(kernel_size: [usize; 2]) -> Self {
        Self {
            kernel_size,
            stride: None,
            padding: [0, 0],
            ceil_mode: false,
            count_include_pad: true,
        }
    }
}

/// Average pooling ([formula](self)): `[N, C, H, W]` → `[N, C, H', W']`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{AvgPool2d, AvgPool2dConfig, Layer};
///
/// let pool = AvgPool2d::new(AvgPool2dConfig::new([2, 2]))?;
/// let x = Tensor::new(&[[[[1f32, 3., 0., 2.], [7., 5., 9., 1.]]]], &Device::Cpu)?;
/// assert_eq!(pool.forward(&x)?.flatten_all()?.to_vec1::<f32>()?, [4., 3.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    pooling: Pooling,
    count_include_pad: bool,
}

impl AvgPool2d {
    /// # Errors
    /// [`Error::InvalidParameter`] for a size or stride of 0, or a padding of more than half a window.
    pub fn new(config: AvgPool2dConfig) -> Result<Self> {
        let stride = config.stride.unwrap_or(config.kernel_size);
        for axis in [0, 1] {
            check::count("kernel_size", config.kernel_size[axis], pixels::MAX_WINDOW)?;
            check::count("stride", stride[axis], pixels::MAX_WINDOW)?;
            let padding = config.padding[axis];
            let fits = padding <= config.kernel_size[axis] / 2;
            check::parameter(
                fits,
                "padding",
                padding as f64,
                "at most half of kernel_size",
            )?;
        }
        Ok(Self {
            pooling: Pooling {
                kernel: config.kernel_size,
                stride,
                padding: config.padding,
                dilation: [1, 1],
                ceil_mode: config.ceil_mode,
            },
            count_include_pad: config.count_include_pad,
        })
    }

    fn windows(&self, input: &Tensor) -> Result<AvgPooling> {
        let [batch, channels, height, width] = pixels::image_batch(input)?;
        let (planes, image) = (batch * channels, [height, width]);
        AvgPooling::new(&self.pooling, self.count_include_pad, planes, image).ok_or_else(|| {
            Error::Shape {
                arg: "input",
                expected: "[N, C, H, W] with room for a pooling window",
                got: input.dims().to_vec(),
            }
        })
    }

    /// The same, composed of Candle's operations.
    fn composite(&self, input: &Tensor, windows: &AvgPooling) -> Result<Tensor> {
        let (_, _, height, width) = input.dims4()?;
        let output = windows.output();
        let p = &self.pooling;
        let mut sum: Option<Tensor> = None;
        for place in (0..p.kernel[0]).flat_map(|a| (0..p.kernel[1]).map(move |b| [a, b])) {
            let [rows, columns] = [0, 1].map(|axis| {
                pixels::positions(place[axis], p.stride[axis], output[axis], p.padding[axis])
            });
            let inside = pixels::inside(&rows, &columns, [height, width], input.device())?;
            let values = pixels::select(input, &rows, &columns)?;
            let zeros = values.zeros_like()?;
            let inside = inside.broadcast_as(values.shape())?;
            let values = inside.where_cond(&values, &zeros)?;
            sum = Some(match sum {
                None => values,
                Some(sum) => (sum + values)?,
            });
        }
        let sum = sum.ok_or(Error::Unsupported {
            component: "AvgPool2d",
            reason: "a window without pixels has no average",
        })?;
        let shape = (1, 1, output[0], output[1]);
        let divisors = Tensor::from_vec(windows.divisors::<f64>(), shape, input.device())?;
        Ok(sum.broadcast_div(&divisors.to_dtype(input.dtype())?)?)
    }
}

impl Layer for AvgPool2d {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        if input.device().is_cpu() && matches!(input.dtype(), DType::F16 | DType::BF16) {
            let wide = self.forward(&input.to_dtype(DType::F32)?)?;
            return Ok(wide.to_dtype(input.dtype())?);
        }
        let windows = self.windows(input)?;
        if !has_kernel(input) {
            return self.composite(input, &windows);
        }
        let (batch, channels, _, _) = input.dims4()?;
        let [rows, columns] = windows.output();
        for_element!(input, "input", |T| {
            let values = with_slice(input, |x: &[T]| windows.forward(x))?;
            let shape = (batch, channels, rows, columns);
            autograd::unary("avg_pool2d", input, values, shape, move |x, _, gradient| {
                let result = with_slice(gradient, |g: &[T]| windows.backward(g))?;
                Ok(Tensor::from_vec(result, x.shape(), x.device())?)
            })
        })
    }
}

#[cfg(test)]
mod tests;
