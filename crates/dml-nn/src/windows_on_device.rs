//! Windows of image batches by the kernels of a CUDA device, with the right gradients: Candle's own are wrong for
//! pooling, and a convolution's are slow.

use candle_core::Tensor;
use dml_core::autograd::cuda::run_for;
use dml_core::autograd::node;
use dml_core::{Error, Result};

use crate::kernels::conv2d::{Convolution, Pooling};
use crate::kernels::image_windows::Windows;
use crate::pixels;

fn no_room(image: [usize; 4]) -> Error {
    Error::Shape {
        arg: "input",
        expected: "[N, C, H, W] with room for a window",
        got: image.to_vec(),
    }
}

/// `[N, C, H, W]` → `[N, C, kernel height · kernel width, H' · W']`: what each window holds.
pub(crate) fn columns(x: &Tensor, convolution: &Convolution) -> Result<Tensor> {
    let size = pixels::image_batch(x)?;
    let [batch, channels, height, width] = size;
    let windows = Windows::of_convolution(convolution, batch * channels, [height, width])
        .ok_or_else(|| no_room(size))?;
    let [kernel_height, kernel_width] = convolution.kernel;
    let [rows, columns] = windows.output;
    let shape = (
        batch,
        channels,
        kernel_height * kernel_width,
        rows * columns,
    );
    let [value] = run_for(&windows.columns(), &[x])?;
    let value = value.reshape(shape)?;
    node("columns", [x], value, move |_, _, gradient| {
        let [gradient] = run_for(&windows.columns_backward(), &[gradient])?;
        Ok([Some(gradient.reshape(&size[..])?)])
    })
}

/// The largest value of every window.
pub(crate) fn max_pool2d(x: &Tensor, pooling: &Pooling) -> Result<Tensor> {
    let size = pixels::image_batch(x)?;
    let [batch, channels, height, width] = size;
    let windows = Windows::of_pooling(pooling, batch * channels, [height, width])
        .ok_or_else(|| no_room(size))?;
    let [rows, columns] = windows.output;
    let [value, pixels] = run_for(&windows.max_pool(), &[x])?;
    let value = value.reshape((batch, channels, rows, columns))?;
    node("max_pool2d", [x], value, move |_, _, gradient| {
        let [gradient] = run_for(&windows.max_pool_backward(), &[&pixels, gradient])?;
        Ok([Some(gradient.reshape(&size[..])?)])
    })
}
