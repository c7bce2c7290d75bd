//! Two-dimensional max pooling over channel planes, forward and backward.
//!
//! ```text
//! y[i,j] = max_(a,b) x[i·stride + a·dilation − padding, …]
//! ```
//!
//! The gradient of a window goes whole to its first maximum in row-major order. NaN counts as larger than anything.

use rayon::prelude::*;

use crate::kernels::conv2d::Pooling;
use dml_core::kernels::Real;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;

/// The maxima of planes, and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Maxima<T> {
    /// `[planes, height, width]` of the result.
    pub(crate) values: Vec<T>,
    /// For each value, the pixel of its plane that it is.
    pub(crate) pixels: Vec<u32>,
}

/// How many values of a plane are worth a thread.
const WORK: usize = 16_384;

/// Pools every plane of `input`, `[planes, height, width]`.
///
/// # Panics
/// If a length does not fit the shapes.
#[must_use]
pub(crate) fn max_pool2d<T: Real>(input: &[T], image: [usize; 2], pooling: &Pooling) -> Maxima<T> {
    let area = lengths::area("image", image[0], image[1]);
    let planes = lengths::rows("input", input.len(), area);
    let windows = pooling.windows(image);
    let count = windows.len();
    if area == 0 || count == 0 {
        return Maxima {
            values: Vec::new(),
            pixels: Vec::new(),
        };
    }
    let mut values = vec![T::ZERO; planes * count];
    let mut pixels = vec![0u32; planes * count];
    let run = (WORK / area).max(1);
    values
        .par_chunks_mut(run * count)
        .zip(pixels.par_chunks_mut(run * count))
        .zip(input.par_chunks(run * area))
        .for_each_in_place(|((values, pixels), input)| {
            let planes = values
                .chunks_exact_mut(count)
                .zip(pixels.chunks_exact_mut(count))
                .zip(input.chunks_exact(area));
            for ((values, pixels), plane) in planes {
                for ((value, pixel), window) in values.iter_mut().zip(pixels).zip(&windows) {
                    // Where nothing is larger than −∞, the first pixel is the maximum.
                    *value = T::from_f64(f64::NEG_INFINITY);
                    *pixel = window.first().map_or(0, |(_, at)| *at);
                    for (_, at) in window {
                        let x = plane[*at as usize];
                        if x > *value || x.is_nan() {
                            (*value, *pixel) = (x, *at);
                        }
                    }
                }
            }
        });
    Maxima { values, pixels }
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
    let mut out = vec![T::ZERO; gradient.len() / windows * area];
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
