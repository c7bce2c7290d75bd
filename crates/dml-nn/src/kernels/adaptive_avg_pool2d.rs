//! Averages of planes over a grid of windows of nearly equal size, forward and backward.
//!
//! ```text
//! y[i,j] = mean of x over rows ⌊i H / H'⌋ .. ⌈(i + 1) H / H'⌉ and columns likewise
//! ```

use std::ops::Range;

use rayon::prelude::*;

use dml_core::kernels::Real;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::lengths;

/// Pixels that are worth a thread.
const WORK: usize = 16 * 1024;

/// The pixels that window `i` of `windows` covers, of `size`.
pub(crate) fn window(i: usize, windows: usize, size: usize) -> Range<usize> {
    i * size / windows..((i + 1) * size).div_ceil(windows)
}

/// The averages of `[planes, height, width]`.
#[must_use]
pub(crate) fn forward<T: Real>(input: &[T], image: [usize; 2], output: [usize; 2]) -> Vec<T> {
    let area = lengths::area("image", image[0], image[1]);
    let planes = lengths::rows("input", input.len(), area);
    let windows = output[0] * output[1];
    let mut out = vec![T::ZERO; planes * windows];
    if windows == 0 || area == 0 {
        return out;
    }
    out.par_chunks_mut(windows)
        .zip(input.par_chunks(area))
        .with_min_len(WORK.div_ceil(area))
        .for_each_in_place(|(out, plane)| {
            if let [out] = out {
                *out = T::from_f64(dml_core::kernels::sum(plane) / area as f64);
                return;
            }
            for (i, out) in out.chunks_exact_mut(output[1]).enumerate() {
                let rows = window(i, output[0], image[0]);
                for (j, out) in out.iter_mut().enumerate() {
                    let columns = window(j, output[1], image[1]);
                    let mut sum = 0.0;
                    for y in rows.clone() {
                        let line = &plane[y * image[1]..][..image[1]];
                        sum += line[columns.clone()]
                            .iter()
                            .map(|x| x.to_f64())
                            .sum::<f64>();
                    }
                    *out = T::from_f64(sum / (rows.len() * columns.len()) as f64);
                }
            }
        });
    out
}

/// The gradient of the input `[planes, height, width]`, given that of the averages.
#[must_use]
pub(crate) fn backward<T: Real>(gradient: &[T], image: [usize; 2], output: [usize; 2]) -> Vec<T> {
    let area = lengths::area("image", image[0], image[1]);
    let windows = output[0] * output[1];
    let planes = lengths::rows("gradient", gradient.len(), windows);
    let mut out = dml_core::kernels::zeros(planes * area);
    if windows == 0 || area == 0 {
        return out;
    }
    out.par_chunks_mut(area)
        .zip(gradient.par_chunks(windows))
        .with_min_len(WORK.div_ceil(area))
        .for_each_in_place(|(out, gradient)| {
            if let [gradient] = gradient {
                out.fill(*gradient / T::from_f64(area as f64));
                return;
            }
            for (i, gradient) in gradient.chunks_exact(output[1]).enumerate() {
                let rows = window(i, output[0], image[0]);
                for (j, gradient) in gradient.iter().enumerate() {
                    let columns = window(j, output[1], image[1]);
                    let share = *gradient / T::from_f64((rows.len() * columns.len()) as f64);
                    for y in rows.clone() {
                        for out in &mut out[y * image[1]..][columns.clone()] {
                            *out += share;
                        }
                    }
                }
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap_where_sizes_do_not_divide() {
        // Five columns in three windows: 0..2, 1..4, 3..5.
        let x = [1f64, 3., 5., 7., 9.];
        assert_eq!(forward(&x, [1, 5], [1, 3]), [2., 5., 8.]);
        let gradient = backward(&[2., 3., 4.], [1, 5], [1, 3]);
        assert_eq!(gradient, [1., 2., 1., 3., 2.]);
    }

    #[test]
    fn the_average_of_a_whole_plane() {
        assert_eq!(
            forward(&[1f32, 2., 3., 6., 0., 0., 0., 4.], [2, 2], [1, 1]),
            [3., 1.]
        );
        assert_eq!(backward(&[4f32], [2, 2], [1, 1]), [1.; 4]);
    }
}
