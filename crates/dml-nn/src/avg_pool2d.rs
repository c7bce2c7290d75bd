//! Average pooling over the windows of a plane.
//!
//! ```text
//! y[n,c,i,j] = 1/n[i,j] Σ_(a,b) x[n, c, i·stride + a − padding, …]
//! ```
//!
//! n counts the pixels of the window, those of the padding included or not, but never those beyond it. As PyTorch's
//! `AvgPool2d`.

use candle_core::Tensor;
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::{Error, Result, for_element};

use crate::kernels::avg_pool2d::AvgPooling;
use crate::kernels::conv2d::Pooling;
use crate::{Graph, GraphValue, Layer, pixels, wide_on_cpu};

dml_core::config! {
    /// Configuration of [`AvgPool2d`]; pairs are (height, width).
    #[derive(Eq)]
    pub struct AvgPool2dConfig {
        /// Size of a window in pixels, 1 to 1,024.
        pub kernel_size: [usize; 2];
        /// Distance of neighbouring windows in pixels, 1 to 1,024; `None` for the size of a window. Default `None`.
        pub stride: Option<[usize; 2]> = None,
        /// Width of the border of zeros around the input in pixels, at most half a window. Default 0.
        pub padding: [usize; 2] = [0, 0],
        /// Whether windows that begin inside and reach over the far edge count. Default false.
        pub ceil_mode: bool = false,
        /// Whether pixels of the padding count in the average. Default true.
        pub count_include_pad: bool = true,
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
        let pooling = Pooling {
            kernel: config.kernel_size,
            stride: config.stride.unwrap_or(config.kernel_size),
            padding: config.padding,
            dilation: [1, 1],
            ceil_mode: config.ceil_mode,
        };
        Ok(Self {
            pooling: pixels::checked(pooling)?,
            count_include_pad: config.count_include_pad,
        })
    }

    fn windows(&self, input: &Tensor) -> Result<AvgPooling> {
        let [batch, channels, height, width] = pixels::image_batch(input)?;
        let (planes, image) = (batch * channels, [height, width]);
        let windows = AvgPooling::new(&self.pooling, self.count_include_pad, planes, image);
        windows.ok_or_else(|| pixels::no_room(input.dims()))
    }

    /// The same, composed of Candle's operations.
    fn composite(&self, input: &Tensor, windows: &AvgPooling) -> Result<Tensor> {
        let output = windows.output();
        let mut sum: Option<Tensor> = None;
        for place in pixels::places(&self.pooling.of_planes(1), output) {
            let (values, inside) = place.of(input)?;
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
        let windows = self.windows(input)?;
        let x = &input.to_dtype(wide_on_cpu(input))?;
        let y = if has_kernel(x) {
            let (batch, channels, _, _) = x.dims4()?;
            let [rows, columns] = windows.output();
            for_element!(x, "input", |T| {
                let values = with_slice(x, |x: &[T]| windows.forward(x))?;
                let shape = (batch, channels, rows, columns);
                autograd::unary("avg_pool2d", x, values, shape, move |_, _, g| {
                    with_slice(g, |g: &[T]| windows.backward(g))
                })
            })?
        } else {
            self.composite(x, &windows)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let own = (
            "count_include_pad",
            i64::from(self.count_include_pad).into(),
        );
        let attributes = pixels::pooling_attributes("AvgPool2d", &self.pooling, own)?;
        Ok(graph.node_with("AveragePool", &[input], &attributes))
    }
}

#[cfg(test)]
mod tests;
