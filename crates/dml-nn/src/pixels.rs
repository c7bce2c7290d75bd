//! Windows over the pixels of an image batch, composed of Candle's operations.

use candle_core::{Device, Tensor};
use dml_core::{Error, Result, check};

use crate::Attribute;
use crate::kernels::conv2d::{Convolution, Pooling};

/// Upper bound on the window, stride, padding and dilation of a convolution or a pooling, in pixels.
pub(crate) const MAX_WINDOW: usize = 1 << 10;

/// The sizes of `[N, C, H, W]`.
pub(crate) fn image_batch(input: &Tensor) -> Result<[usize; 4]> {
    check::shape(input.rank() == 4, "input", input, "[N, C, H, W]")?;
    Ok(input.dims4()?.into())
}

/// The error for an image that is smaller than a pooling window.
pub(crate) fn no_room(image: &[usize]) -> Error {
    Error::Shape {
        arg: "input",
        expected: "[N, C, H, W] with room for a pooling window",
        got: image.to_vec(),
    }
}

/// The attributes of a pooling as an operator of a graph, with the one that only this operator has.
///
/// # Errors
/// [`Error::Unsupported`] with `ceil_mode`.
pub(crate) fn pooling_attributes(
    component: &'static str,
    pooling: &Pooling,
    own: (&'static str, Attribute),
) -> Result<[(&'static str, Attribute); 4]> {
    check::supported(
        !pooling.ceil_mode,
        component,
        "ceil_mode has another meaning in graphs, where windows may begin outside",
    )?;
    let [rows, columns] = pooling.padding;
    Ok([
        ("kernel_shape", pooling.kernel.into()),
        ("strides", pooling.stride.into()),
        ("pads", [rows, columns, rows, columns].into()),
        own,
    ])
}

/// A pooling whose sizes are in their ranges.
pub(crate) fn checked(pooling: Pooling) -> Result<Pooling> {
    for axis in [0, 1] {
        let kernel = check::count("kernel_size", pooling.kernel[axis], MAX_WINDOW)?;
        check::count("stride", pooling.stride[axis], MAX_WINDOW)?;
        check::count("dilation", pooling.dilation[axis], MAX_WINDOW)?;
        let (padding, expected) = (pooling.padding[axis], "at most half of kernel_size");
        check::whole(padding <= kernel / 2, "padding", padding, expected)?;
    }
    Ok(pooling)
}

/// The pixels that all windows have at one place of them, by row and column; negative before the edge.
pub(crate) struct Place {
    rows: Vec<i64>,
    columns: Vec<i64>,
}

/// The places of a window, row by row. Windows of `conv` lie `output` times down and across.
pub(crate) fn places(conv: &Convolution, output: [usize; 2]) -> impl Iterator<Item = Place> {
    let conv = *conv;
    let positions = move |axis: usize, place: usize| {
        let start = place * conv.dilation[axis];
        let position = |i| (start + i * conv.stride[axis]) as i64 - conv.padding[axis] as i64;
        (0..output[axis]).map(position).collect()
    };
    let places = (0..conv.kernel[0]).flat_map(move |a| (0..conv.kernel[1]).map(move |b| (a, b)));
    places.map(move |(a, b)| Place {
        rows: positions(0, a),
        columns: positions(1, b),
    })
}

impl Place {
    /// The pixels there, `[N, C, rows, columns]`, and `[1, 1, rows, columns]` with 1 where they lie inside; outside, the
    /// pixels are the nearest ones of the edge, and there is a 0.
    pub(crate) fn of(&self, input: &Tensor) -> Result<(Tensor, Tensor)> {
        let (_, _, height, width) = input.dims4()?;
        let clamped = |positions: &[i64], size: usize| {
            let at = positions
                .iter()
                .map(|at| (*at).clamp(0, size as i64 - 1) as u32);
            Tensor::from_iter(at, input.device())
        };
        let pixels = input
            .index_select(&clamped(&self.rows, height)?, 2)?
            .index_select(&clamped(&self.columns, width)?, 3)?;
        Ok((pixels, self.inside([height, width], input.device())?))
    }

    fn inside(&self, image: [usize; 2], device: &Device) -> Result<Tensor> {
        let within = |at: i64, size: usize| at >= 0 && at < size as i64;
        let (rows, columns) = (self.rows.iter(), &self.columns);
        let mask = rows.flat_map(|row| {
            let inside = move |column| within(*row, image[0]) && within(column, image[1]);
            columns.iter().map(move |column| u8::from(inside(*column)))
        });
        let shape = (1, 1, self.rows.len(), columns.len());
        Ok(Tensor::from_iter(mask, device)?.reshape(shape)?)
    }
}
