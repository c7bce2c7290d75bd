//! Bicubic resizing of images and of position embeddings.
//!
//! ```text
//! y = A_h x A_wᵀ       for each plane; row i of A holds the weights of the inputs around s (i + 1/2) − 1/2
//! s = inputs / outputs, or 1 / scale factor
//! without antialiasing: 4 weights of Keys' kernel with a = −0.75, inputs beyond the edge repeat the edge
//! with antialiasing:    a = −0.5; where s > 1 the kernel is stretched by s; inputs beyond the edge are left out, the
//!                       weights divided by their sum
//! ```
//!
//! Keys 1981, "Cubic convolution interpolation for digital image processing" (doi 10.1109/TASSP.1981.1163711). The result is
//! that of PyTorch's `interpolate` with `mode="bicubic", align_corners=False`. A is constant, so the gradient is `A_hᵀ g A_w`,
//! on every device.

use candle_core::{Device, Tensor};
use dml_core::{Result, check};

use crate::{pixels, wide};

dml_core::config! {
    /// Configuration of [`resize_bicubic`] and [`resize_position_embedding`].
    #[derive(Copy)]
    pub struct BicubicConfig {
        /// Whether a smaller result averages over all pixels that it covers: true as in timm's `resample_abs_pos_embed`, false
        /// as in transformers' `interpolate_pos_encoding`. Default false.
        pub antialias: bool = false,
        /// Factors of height and width that replace outputs / inputs; each in `[1e-30, 1e30]`. DINOv2 takes
        /// `(outputs + 0.1) / inputs`. Default `None`.
        pub scale_factor: Option<[f64; 2]> = None,
    }
}

/// Upper bound on height and width.
const MAX_SIZE: usize = 1 << 14;

/// `[N, C, H, W]` resized to `[N, C, height, width]` ([formula](self)). Half precision is computed in single.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use dml_nn::bicubic::{BicubicConfig, resize_bicubic};
///
/// let x = Tensor::new(&[[[[0f64, 1., 2., 3.]]]], &Device::Cpu)?;
/// let y = resize_bicubic(&x, [1, 2], &BicubicConfig::default())?.flatten_all()?.to_vec1::<f64>()?;
/// assert!((y[0] - 0.40625).abs() < 1e-12 && (y[1] - 2.59375).abs() < 1e-12);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) for an input that is not `[N, C, H, W]` or has no pixels,
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) and [`Error::Count`](dml_core::Error::Count) for a height,
/// width or factor out of its range.
pub fn resize_bicubic(input: &Tensor, size: [usize; 2], config: &BicubicConfig) -> Result<Tensor> {
    let [batch, channels, height, width] = pixels::image_batch(input)?;
    let image = [height, width];
    let fits = image.iter().all(|size| (1..=MAX_SIZE).contains(size));
    let expected = "[N, C, H, W] with 1 to 16384 pixels a side";
    check::shape(fits, "input", input, expected)?;
    for size in size {
        check::count("size", size, MAX_SIZE)?;
    }
    let x = input.to_dtype(wide(input.dtype()))?;
    let matrix = |axis: usize| -> Result<Tensor> {
        let step = match config.scale_factor {
            None => image[axis] as f64 / size[axis] as f64,
            Some(factors) => 1.0 / check::positive("scale_factor", factors[axis])?,
        };
        let (inputs, outputs) = (image[axis], size[axis]);
        check::elements("size", &[outputs, inputs], 2 * size_of::<f64>())?;
        let rows = (0..outputs).flat_map(|i| match config.antialias {
            true => antialiased(i, inputs, step),
            false => interpolated(i, inputs, step),
        });
        let matrix = Tensor::from_iter(rows, &Device::Cpu)?.reshape((outputs, inputs))?;
        Ok(matrix.to_dtype(x.dtype())?.to_device(x.device())?)
    };
    let planes = batch * channels;
    let rows = x
        .reshape((planes * height, width))?
        .matmul(&matrix(1)?.t()?)?;
    let rows = rows.reshape((planes, height, size[1]))?;
    let y = matrix(0)?.broadcast_matmul(&rows)?;
    let y = y.reshape((batch, channels, size[0], size[1]))?;
    Ok(y.to_dtype(input.dtype())?)
}

/// Position embeddings `[1, prefix + H · W, dim]` of a grid `old` = [H, W], resized to those of a grid `new`; the first
/// `prefix` embeddings, such as that of a class token, stay as they are.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_nn::bicubic::{BicubicConfig, resize_position_embedding};
///
/// // ViT-S/16 of images of 224 pixels, for images of 160 × 192.
/// let positions = Tensor::zeros((1, 1 + 14 * 14, 384), DType::F32, &Device::Cpu)?;
/// let config = BicubicConfig { antialias: true, ..Default::default() };
/// let resized = resize_position_embedding(&positions, 1, [14, 14], [10, 12], &config)?;
/// assert_eq!(resized.dims(), [1, 1 + 10 * 12, 384]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) unless the embedding is `[1, prefix + H · W, dim]`, others as
/// [`resize_bicubic`].
pub fn resize_position_embedding(
    embedding: &Tensor,
    prefix: usize,
    old: [usize; 2],
    new: [usize; 2],
    config: &BicubicConfig,
) -> Result<Tensor> {
    let count = old[0].checked_mul(old[1]);
    let fits = match *embedding.dims() {
        [1, rows, _] => rows.checked_sub(prefix) == count && count > Some(0),
        _ => false,
    };
    check::shape(fits, "embedding", embedding, "[1, prefix + H · W, dim]")?;
    let dim = embedding.dims()[2];
    let grid = embedding.narrow(1, prefix, old[0] * old[1])?;
    let grid = grid.transpose(1, 2)?.reshape((1, dim, old[0], old[1]))?;
    let grid = resize_bicubic(&grid, new, config)?;
    let grid = grid.reshape((1, dim, new[0] * new[1]))?.transpose(1, 2)?;
    if prefix == 0 {
        return Ok(grid.contiguous()?);
    }
    Ok(Tensor::cat(
        &[&embedding.narrow(1, 0, prefix)?, &grid.contiguous()?],
        1,
    )?)
}

/// Keys' kernel.
fn kernel(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * a - 4.0 * a
    } else {
        0.0
    }
}

/// The weights of all inputs for output i.
fn interpolated(i: usize, inputs: usize, step: f64) -> Vec<f64> {
    let at = step * (i as f64 + 0.5) - 0.5;
    let (first, rest) = (at.floor(), at - at.floor());
    let mut weights = vec![0.0; inputs];
    for j in -1..=2 {
        let place = (first + f64::from(j)).clamp(0.0, (inputs - 1) as f64);
        weights[place as usize] += kernel(rest - f64::from(j), -0.75);
    }
    weights
}

/// The weights of all inputs for output i.
fn antialiased(i: usize, inputs: usize, step: f64) -> Vec<f64> {
    let stretch = step.max(1.0);
    let centre = step * (i as f64 + 0.5);
    // Casts of numbers below 0 give 0.
    let first = (centre - 2.0 * stretch + 0.5) as usize;
    let end = ((centre + 2.0 * stretch + 0.5) as usize).min(inputs);
    let mut weights = vec![0.0; inputs];
    let mut sum = 0.0;
    for (j, weight) in weights.iter_mut().enumerate().take(end).skip(first) {
        *weight = kernel((j as f64 - centre + 0.5) / stretch, -0.5);
        sum += *weight;
    }
    if sum != 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    weights
}

#[cfg(test)]
mod tests;
