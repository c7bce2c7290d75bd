//! Two-dimensional max pooling over channel planes, forward and backward.
//!
//! ```text
//! y[i,j] = max_(a,b) x[i·stride + a·dilation − padding, …]
//! ```
//!
//! The gradient of a window goes whole to its first maximum in row-major order. NaN counts as larger than anything.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::kernels::conv2d::{Pooling, better};
use crate::kernels::plane_conv2d::columns::copy;
use crate::kernels::plane_conv2d::phase_planes::PhasePlanes;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{Real, SimdReal, lengths, zeros};

/// The maxima of planes, and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Maxima<T> {
    /// `[planes, height, width]` of the result.
    pub(crate) values: Vec<T>,
    /// For each value, the pixel of its plane that it is.
    pub(crate) pixels: Vec<u32>,
}

/// Pixels that are worth a thread.
const WORK: usize = 16_384;
/// Elements after a plane, because whole registers are read: two of sixteen.
const SLACK: usize = 32;

/// Pools every plane of `input`, `[planes, height, width]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub(crate) fn max_pool2d<T: SimdReal>(
    input: &[T],
    image: [usize; 2],
    pooling: &Pooling,
) -> Maxima<T> {
    let area = lengths::area("image", image[0], image[1]);
    let planes = lengths::rows("input", input.len(), area);
    let output = pooling.output(image).unwrap_or([0, 0]);
    let count = output[0] * output[1];
    if area == 0 || count == 0 {
        return Maxima {
            values: Vec::new(),
            pixels: Vec::new(),
        };
    }
    let windows = Windows::new(pooling, image, output);
    let mut values = zeros(planes * count);
    let mut pixels = vec![0u32; planes * count];
    let arch = Arch::new();
    values
        .par_chunks_mut(count)
        .zip(pixels.par_chunks_mut(count))
        .zip(input.par_chunks(area))
        .with_min_len(WORK.div_ceil(area))
        .for_each_init_in_place(
            || windows.scratch(),
            |scratch, ((values, pixels), plane)| {
                arch.dispatch(Plane {
                    windows: &windows,
                    plane,
                    scratch,
                    values,
                    pixels,
                });
            },
        );
    Maxima { values, pixels }
}

/// The windows of a plane.
struct Windows {
    /// The plane with a border of −∞.
    planes: PhasePlanes,
    output: [usize; 2],
    /// For each place of the window, where it lies in the bordered plane, and how far from the first pixel of the window it is in
    /// the image.
    places: Vec<(usize, usize)>,
    /// For each row and column of the result, the pixel of its first place, of the image with its border, whose rows are
    /// as long as those of the image; and that of its first place in the image.
    rows: Vec<[usize; 2]>,
    columns: Vec<[usize; 2]>,
    /// What the border adds to the numbers of pixels.
    border: usize,
}

struct Scratch<T> {
    padded: Aligned<T>,
    /// Places of a row of the result.
    places: Aligned<T>,
}

impl Windows {
    fn new(pooling: &Pooling, image: [usize; 2], output: [usize; 2]) -> Self {
        let conv = pooling.of_planes(1);
        let (stride, padding, dilation) = (conv.stride, conv.padding, conv.dilation);
        let planes = PhasePlanes::new(&conv, image, output);
        let places = (0..conv.kernel[0])
            .flat_map(|a| (0..conv.kernel[1]).map(move |b| (a, b)))
            .map(|(a, b)| {
                let pixel = a * dilation[0] * image[1] + b * dilation[1];
                (planes.place(a, b), pixel)
            })
            .collect();
        let [rows, columns] = [0, 1].map(|axis| {
            let step = if axis == 0 { image[1] } else { 1 };
            let first = |i: usize| {
                let start = i * stride[axis];
                let missing = padding[axis].saturating_sub(start);
                let inside = start + missing.div_ceil(dilation[axis]) * dilation[axis];
                // A dilated window may lie around the image; any pixel stands for its maximum, −∞.
                let inside = inside.min(padding[axis] + image[axis] - 1);
                [start * step, inside * step]
            };
            (0..output[axis]).map(first).collect()
        });
        Self {
            planes,
            output,
            places,
            rows,
            columns,
            border: padding[0] * image[1] + padding[1],
        }
    }

    fn scratch<T: SimdReal>(&self) -> Scratch<T> {
        let mut padded = Aligned::zeros(self.planes.len() + SLACK);
        padded.fill(T::from_f64(f64::NEG_INFINITY));
        Scratch {
            padded,
            places: Aligned::zeros(self.output[1] + SLACK),
        }
    }
}

struct Plane<'a, T> {
    windows: &'a Windows,
    plane: &'a [T],
    scratch: &'a mut Scratch<T>,
    values: &'a mut [T],
    pixels: &'a mut [u32],
}

impl<T: SimdReal> WithSimd for Plane<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Windows { planes, output, .. } = self.windows;
        let Scratch { padded, places } = self.scratch;
        planes.fill(self.plane, padded);
        let width = output[1];
        let lanes = T::lanes::<S>();
        let lowest = T::splat(simd, T::from_f64(f64::NEG_INFINITY));
        let (nowhere, one) = (T::splat(simd, T::from_f64(-1.0)), T::splat(simd, T::ONE));
        let lines = self.values.chunks_exact_mut(width);
        for ((y, values), pixels) in lines.enumerate().zip(self.pixels.chunks_exact_mut(width)) {
            let line = &padded[planes.window(y, 0)..];
            for x in (0..width).step_by(2 * lanes) {
                let mut best = [(lowest, nowhere); 2];
                let mut place = T::splat(simd, T::ZERO);
                for (offset, _) in &self.windows.places {
                    let (line, _) = T::as_lanes::<S>(&line[x + offset..][..2 * lanes]);
                    for (best, value) in best.iter_mut().zip(line) {
                        *best = better::<T, S>(simd, *best, (*value, place));
                    }
                    place = T::plus(simd, place, one);
                }
                let (out, _) = T::as_lanes_mut::<S>(&mut places[x..][..2 * lanes]);
                (out[0], out[1]) = (best[0].1, best[1].1);
                let mut spill = [T::ZERO; SLACK];
                let (out, _) = T::as_lanes_mut::<S>(&mut spill);
                (out[0], out[1]) = (best[0].0, best[1].0);
                let columns = (width - x).min(2 * lanes);
                copy(&spill, &mut values[x..][..columns]);
            }
            let columns = self.windows.columns.iter();
            let row = &self.windows.rows[y];
            for ((place, pixel), column) in places.iter().zip(pixels).zip(columns) {
                // Where nothing is larger than −∞, the first pixel is the maximum.
                let at = match self.windows.places.get(place.to_f64() as usize) {
                    Some((_, at)) if *place >= T::ZERO => row[0] + column[0] + at,
                    _ => row[1] + column[1],
                };
                *pixel = (at - self.windows.border) as u32;
            }
        }
    }
}

/// The gradient of the input `[planes, height, width]`, given that of the maxima.
///
/// # Panics
/// If a length does not fit the shapes, or a pixel lies outside of the image.
#[must_use]
pub(crate) fn max_pool2d_backward<T: Real>(
    pixels: &[u32],
    gradient: &[T],
    image: [usize; 2],
    windows: usize,
) -> Vec<T> {
    let area = lengths::area("image", image[0], image[1]);
    lengths::rows("gradient", gradient.len(), windows);
    lengths::length("pixels", pixels.len(), gradient.len());
    if windows == 0 || area == 0 {
        return Vec::new();
    }
    let mut out = zeros(gradient.len() / windows * area);
    let run = (WORK / area).max(1);
    out.par_chunks_mut(run * area)
        .zip(pixels.par_chunks(run * windows))
        .zip(gradient.par_chunks(run * windows))
        .for_each_in_place(|((out, pixels), gradient)| {
            let planes = out
                .chunks_exact_mut(area)
                .zip(pixels.chunks_exact(windows))
                .zip(gradient.chunks_exact(windows));
            for ((out, pixels), gradient) in planes {
                for (pixel, gradient) in pixels.iter().zip(gradient) {
                    out[*pixel as usize] += *gradient;
                }
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Pooling = Pooling {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
        dilation: [1, 1],
        ceil_mode: false,
    };

    #[test]
    fn the_first_of_equals_takes_the_whole_gradient() {
        let input = [1f32, 3., 7., 7., 0., 2., 7., 7.];
        let maxima = max_pool2d(&input, [2, 4], &TWO);
        assert_eq!(maxima.values, [3., 7.]);
        let gradient = max_pool2d_backward(&maxima.pixels, &[10., 20.], [2, 4], 2);
        assert_eq!(gradient, [0., 10., 20., 0., 0., 0., 0., 0.]);
    }

    #[test]
    fn overlapping_windows_add_up_and_padding_is_never_chosen() {
        let pooling = Pooling {
            kernel: [1, 3],
            stride: [1, 1],
            padding: [0, 1],
            ..TWO
        };
        let maxima = max_pool2d(&[-1f64, -5., -3.], [1, 3], &pooling);
        assert_eq!(maxima.values, [-1., -1., -3.]);
        let gradient = max_pool2d_backward(&maxima.pixels, &[1., 2., 4.], [1, 3], 3);
        assert_eq!(gradient, [3., 0., 4.]);
    }

    #[test]
    fn not_a_number_is_the_maximum_and_infinity_below_is_found() {
        let maxima = max_pool2d(&[1., f64::NAN, 9., 2.], [2, 2], &TWO);
        assert!(maxima.values[0].is_nan() && maxima.pixels == [1]);
        let maxima = max_pool2d(&[f64::NEG_INFINITY; 4], [2, 2], &TWO);
        assert_eq!(maxima.pixels, [0]);
    }

    #[test]
    fn many_planes_are_pooled_each_for_itself() {
        let planes = 1000;
        let input: Vec<f32> = (0..planes * 36).map(|i| (i * 7 % 31) as f32).collect();
        let maxima = max_pool2d(&input, [6, 6], &TWO);
        for plane in 0..planes {
            let alone = max_pool2d(&input[plane * 36..][..36], [6, 6], &TWO);
            assert_eq!(alone.values, maxima.values[plane * 9..][..9]);
        }
    }
}
