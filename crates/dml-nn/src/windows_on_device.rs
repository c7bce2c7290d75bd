//! Windows of image batches by the kernels of a CUDA device, with the right gradients: Candle's own are wrong for
//! pooling, and a convolution's are slow.

use candle_core::Tensor;
use dml_core::Result;
use dml_core::autograd::cuda::run_for;
use dml_core::autograd::node;

use crate::kernels::conv2d::Convolution;
use crate::kernels::image_windows::Windows;
use crate::pixels;

/// `[N, C, H, W]` → `[N, C, kernel height · kernel width, H' · W']`: what each window holds.
pub(crate) fn columns(x: &Tensor, conv: &Convolution, output: [usize; 2]) -> Result<Tensor> {
    let size @ [batch, channels, ..] = pixels::image_batch(x)?;
    let windows = Windows::new(conv, size, output);
    let (places, count) = (conv.kernel[0] * conv.kernel[1], output[0] * output[1]);
    let [value] = run_for(&windows.columns(), &[x])?;
    let value = value.reshape((batch, channels, places, count))?;
    node("columns", [x], value, move |_, _, gradient| {
        let [gradient] = run_for(&windows.columns_backward(), &[gradient])?;
        Ok([Some(gradient.reshape(&size[..])?)])
    })
}

/// The largest value of every window, `[N, C, H', W']`; only the windows of `conv` are read.
pub(crate) fn max_pool2d(x: &Tensor, conv: &Convolution, output: [usize; 2]) -> Result<Tensor> {
    let size @ [batch, channels, ..] = pixels::image_batch(x)?;
    let windows = Windows::new(conv, size, output);
    let [value, pixels] = run_for(&windows.max_pool(), &[x])?;
    let value = value.reshape((batch, channels, output[0], output[1]))?;
    node("max_pool2d", [x], value, move |_, _, gradient| {
        let [gradient] = run_for(&windows.max_pool_backward(), &[&pixels, gradient])?;
        Ok([Some(gradient.reshape(&size[..])?)])
    })
}
