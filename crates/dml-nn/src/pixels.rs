//! Selection of the pixels of an image batch by row and column, composed of Candle's operations.

use candle_core::{Device, Tensor};
use dml_core::{Error, Result};

/// Upper bound on the window, stride, padding and dilation of a convolution or a pooling, in pixels.
pub(crate) const MAX_WINDOW: usize = 1 << 10;

/// The sizes of `[N, C, H, W]`.
pub(crate) fn image_batch(input: &Tensor) -> Result<[usize; 4]> {
    match *input.dims() {
        [batch, channels, height, width] => Ok([batch, channels, height, width]),
        _ => Err(Error::Shape {
            arg: "input",
            expected: "[N, C, H, W]",
            got: input.dims().to_vec(),
        }),
    }
}

/// `start + i·stride − padding` for `i < count`: negative before the edge.
pub(crate) fn positions(start: usize, stride: usize, count: usize, padding: usize) -> Vec<i64> {
    (0..count)
        .map(|i| (start + i * stride) as i64 - padding as i64)
        .collect()
}

/// `[N, C, rows, columns]` of the pixels there; positions outside read the nearest pixel of the edge.
pub(crate) fn select(input: &Tensor, rows: &[i64], columns: &[i64]) -> Result<Tensor> {
    let (_, _, height, width) = input.dims4()?;
    let clamped = |positions: &[i64], size: usize| {
        let positions: Vec<u32> = positions
            .iter()
            .map(|at| (*at).clamp(0, size as i64 - 1) as u32)
            .collect();
        Tensor::new(positions, input.device())
    };
    Ok(input
        .index_select(&clamped(rows, height)?, 2)?
        .index_select(&clamped(columns, width)?, 3)?)
}

/// `[1, 1, rows, columns]`: 1 where the pixel lies inside, 0 outside.
pub(crate) fn inside(
    rows: &[i64],
    columns: &[i64],
    image: [usize; 2],
    device: &Device,
) -> Result<Tensor> {
    let within = |at: i64, size: usize| at >= 0 && at < size as i64;
    let mask: Vec<u8> = rows
        .iter()
        .flat_map(|row| {
            columns
                .iter()
                .map(move |column| u8::from(within(*row, image[0]) && within(*column, image[1])))
        })
        .collect();
    Ok(Tensor::from_vec(
        mask,
        (1, 1, rows.len(), columns.len()),
        device,
    )?)
}
