//! Matrix products on one thread, for kernels that share their blocks among threads themselves.

use crate::Real;
use gemm::Parallelism;

/// `out[j][i] = Σₖ left[k][i] · right[j][k]`, all row-major: `left` is `[depth, m]`, `right` `[n, depth]`, `out` `[n, m]`.
///
/// In this layout the product reads both sides where they lie: vectors run along `i`, and nothing is repacked.
///
/// # Panics
/// If a slice is not of the length that `m`, `n` and `depth` ask for.
pub(crate) fn columns_times_rows<T: Real>(
    left: &[T],
    right: &[T],
    out: &mut [T],
    m: usize,
    n: usize,
    depth: usize,
) {
    assert_eq!(left.len(), depth * m);
    assert_eq!(right.len(), n * depth);
    assert_eq!(out.len(), n * m);
    // SAFETY: the strides below reach exactly the elements of the three slices, whose lengths were just checked, and
    // `out` is borrowed mutably, so it overlaps neither input. `T` is f32 or f64, both of which gemm implements.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            depth,
            out.as_mut_ptr(),
            m as isize,
            1,
            false,
            left.as_ptr(),
            m as isize,
            1,
            right.as_ptr(),
            depth as isize,
            1,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::columns_times_rows;

    #[test]
    fn two_by_two() {
        // left: columns (1, 2) and (3, 4); right: rows (5, 6) and (7, 8).
        let mut out = [0f32; 4];
        columns_times_rows(&[1., 3., 2., 4.], &[5., 6., 7., 8.], &mut out, 2, 2, 2);
        assert_eq!(out, [17., 39., 23., 53.]);
    }

    #[test]
    fn every_shape_agrees_with_the_sum() {
        for (m, n, depth) in [(1, 1, 1), (1, 9, 5), (7, 1, 3), (33, 20, 17), (5, 3, 0)] {
            let left: Vec<f64> = (0..depth * m).map(|i| (i % 11) as f64 - 5.0).collect();
            let right: Vec<f64> = (0..n * depth).map(|i| (i % 7) as f64 - 3.0).collect();
            let mut out = vec![f64::NAN; n * m];
            columns_times_rows(&left, &right, &mut out, m, n, depth);
            for j in 0..n {
                for i in 0..m {
                    let sum: f64 = (0..depth)
                        .map(|k| left[k * m + i] * right[j * depth + k])
                        .sum();
                    assert_eq!(out[j * m + i], sum);
                }
            }
        }
    }
}
