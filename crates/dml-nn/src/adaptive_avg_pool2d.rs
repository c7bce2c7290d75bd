//! Average pooling to a given size.
//!
//! ```text
//! y[n,c,i,j] = mean of x[n,c] over rows ⌊i H / H'⌋ .. ⌈(i + 1) H / H'⌉ and columns likewise
//! ```
//!
//! As PyTorch's `AdaptiveAvgPool2d`. To 1 × 1 it is global average pooling.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::{self, has_kernel, with_slice};
use dml_core::{Result, check, for_element};

use crate::kernels::adaptive_avg_pool2d as kernel;
use crate::{Graph, GraphValue, Layer, pixels, wide_on_cpu};

dml_core::config! {
    /// Configuration of [`AdaptiveAvgPool2d`].
    #[derive(Eq)]
    pub struct AdaptiveAvgPool2dConfig {
        /// Height and width of the output in pixels, 1 to 1,024.
        pub output_size: [usize; 2];
    }
}

/// Average pooling to a given size ([formula](self)): `[N, C, H, W]` → `[N, C, H', W']`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, Layer};
///
/// let pool = AdaptiveAvgPool2d::new(AdaptiveAvgPool2dConfig::new([1, 1]))?;
/// let x = Tensor::new(&[[[[1f32, 3., 0.], [7., 5., 8.]]]], &Device::Cpu)?;
/// assert_eq!(pool.forward(&x)?.flatten_all()?.to_vec1::<f32>()?, [4.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool2d {
    output: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a size out of its range.
    pub fn new(config: AdaptiveAvgPool2dConfig) -> Result<Self> {
        for size in config.output_size {
            check::count("output_size", size, pixels::MAX_WINDOW)?;
        }
        Ok(Self {
            output: config.output_size,
        })
    }

    /// The same, composed of Candle's operations: a product with the matrices of both averages.
    fn composite(&self, input: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = input.dims4()?;
        let [rows, columns] = self.output;
        if self.output == [1, 1] {
            return Ok(input.mean_keepdim((2, 3))?);
        }
        let (dtype, device) = (input.dtype(), input.device());
        let left = averages(rows, height, dtype, device)?;
        let right = averages(columns, width, dtype, device)?.t()?;
        let x = input.reshape((batch * channels * height, width))?;
        let x = x
            .matmul(&right)?
            .reshape((batch * channels, height, columns))?;
        let left = left.broadcast_as((batch * channels, rows, height))?;
        let y = left.contiguous()?.matmul(&x)?;
        Ok(y.reshape((batch, channels, rows, columns))?)
    }
}

/// `[windows, size]`: the share of each pixel in the average of each window.
fn averages(windows: usize, size: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut shares = vec![0.0; windows * size];
    for (i, row) in shares.chunks_exact_mut(size).enumerate() {
        let window = kernel::window(i, windows, size);
        let share = 1.0 / window.len() as f64;
        row[window].fill(share);
    }
    let shares = Tensor::from_vec(shares, (windows, size), &Device::Cpu)?;
    Ok(shares.to_dtype(dtype)?.to_device(device)?)
}

impl Layer for AdaptiveAvgPool2d {
    fn forward_t(&self, input: &Tensor, _: bool) -> Result<Tensor> {
        let [batch, channels, height, width] = pixels::image_batch(input)?;
        let expected = "[N, C, H, W] with at least one pixel";
        check::shape(height * width > 0, "input", input, expected)?;
        let [rows, columns] = self.output;
        check::elements("output [N, C, H, W]", &[batch, channels, rows, columns], 4)?;
        let x = &input.to_dtype(wide_on_cpu(input))?;
        let (image, output) = ([height, width], self.output);
        let y = if has_kernel(x) {
            for_element!(x, "input", |T| {
                let values = with_slice(x, |x: &[T]| kernel::forward(x, image, output))?;
                let shape = (batch, channels, rows, columns);
                autograd::unary("adaptive_avg_pool2d", x, values, shape, move |_, _, g| {
                    with_slice(g, |g: &[T]| kernel::backward(g, image, output))
                })
            })?
        } else {
            self.composite(x)?
        };
        Ok(y.to_dtype(input.dtype())?)
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        check::supported(
            self.output == [1, 1],
            "AdaptiveAvgPool2d",
            "a graph can only have an average over all pixels, output_size [1, 1]",
        )?;
        Ok(graph.node("GlobalAveragePool", &[input]))
    }
}

#[cfg(test)]
mod tests;
