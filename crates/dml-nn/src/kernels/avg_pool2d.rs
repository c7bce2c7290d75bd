//! Two-dimensional average pooling over channel planes, forward and backward.
//!
//! ```text
//! y[i,j] = 1/n[i,j] Σ_(a,b) x[i·stride + a − padding, …]
//! ```

use rayon::prelude::*;

use crate::kernels::conv2d::Pooling;
use crate::kernels::plane_conv2d::{Problem, window_sums, window_sums_backward};
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{Real, SimdReal};

/// An average pooling of planes.
#[derive(Clone, Debug)]
pub(crate) struct AvgPooling {
    problem: Problem,
    /// n of the rows and columns of the result; the product of both counts.
    counts: [Vec<usize>; 2],
}

impl AvgPooling {
    /// The pooling of `planes` planes, or `None` if a window is larger than the padded image.
    pub(crate) fn new(
        pooling: &Pooling,
        count_include_pad: bool,
        planes: usize,
        image: [usize; 2],
    ) -> Option<Self> {
        let output = pooling
            .output(image)
            .filter(|output| !output.contains(&0))?;
        let counts = [0, 1].map(|axis| {
            let (size, padding) = (image[axis], pooling.padding[axis]);
            let window = |i: usize| {
                let start = i * pooling.stride[axis];
                // Beyond the padding at the far end, which a window reaches in ceil mode, nothing counts.
                let end = (start + pooling.kernel[axis]).min(size + 2 * padding);
                if count_include_pad {
                    end - start
                } else {
                    end.min(size + padding).saturating_sub(start.max(padding))
                }
            };
            (0..output[axis]).map(window).collect()
        });
        Some(Self {
            problem: Problem {
                conv: pooling.of_planes(planes),
                batch: 1,
                image,
                output,
            },
            counts,
        })
    }

    /// n of every window, in row-major order.
    pub(crate) fn divisors<T: Real>(&self) -> Vec<T> {
        let [rows, columns] = &self.counts;
        let count = |(row, column): (usize, usize)| T::from_f64((row * column) as f64);
        let windows = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (*row, *column)));
        windows.map(count).collect()
    }

    /// Height and width of the result.
    pub(crate) fn output(&self) -> [usize; 2] {
        self.problem.output
    }

    /// The averages of `[planes, height, width]`.
    pub(crate) fn forward<T: SimdReal>(&self, input: &[T]) -> Vec<T> {
        let mut out = window_sums(&self.problem, input);
        self.divide(&mut out);
        out
    }

    /// The gradient of the input, given that of the averages.
    pub(crate) fn backward<T: SimdReal>(&self, gradient: &[T]) -> Vec<T> {
        let mut gradient = gradient.to_vec();
        self.divide(&mut gradient);
        window_sums_backward(&self.problem, &gradient)
    }

    fn divide<T: SimdReal>(&self, values: &mut [T]) {
        let divisors = self.divisors::<T>();
        values
            .par_chunks_mut(divisors.len())
            .with_min_len((1 << 14) / divisors.len() + 1)
            .for_each_in_place(|plane| {
                for (value, divisor) in plane.iter_mut().zip(&divisors) {
                    *value = *value / *divisor;
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Pooling = Pooling {
        kernel: [1, 3],
        stride: [1, 2],
        padding: [0, 1],
        dilation: [1, 1],
        ceil_mode: true,
    };

    #[test]
    fn padding_counts_or_does_not() {
        let x = [2f64, 4., 6., 9.];
        // Windows: (0, 2, 4), (4, 6, 9), and (9, 0) with nothing beyond the padding.
        let with = AvgPooling::new(&THREE, true, 1, [1, 4]).unwrap();
        assert_eq!(with.forward(&x), [2., 19. / 3., 4.5]);
        let without = AvgPooling::new(&THREE, false, 1, [1, 4]).unwrap();
        assert_eq!(without.forward(&x), [3., 19. / 3., 9.]);
        assert_eq!(without.backward(&[2., 3., 5.]), [1., 2., 1., 6.]);
    }
}
