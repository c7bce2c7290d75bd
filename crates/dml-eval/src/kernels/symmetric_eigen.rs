//! The eigenvalues of a symmetric matrix.
//!
//! Householder reflections bring it to three diagonals, `O(n³)`; each eigenvalue is then enclosed by bisection, counting how
//! many lie below a place by the signs of a factorisation (Sturm's theorem), `O(n²)` for all. Absolute error: a few units in
//! the last place of the largest one.

use rayon::prelude::*;

/// The eigenvalues in ascending order of the symmetric row-major `matrix` `[n, n]`, which is used up.
pub(super) fn symmetric_eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(&mut matrix, n);
    // Gershgorin: every eigenvalue is within the neighbours of a diagonal element.
    let radius = |i: usize| {
        let before = if i > 0 { beside[i - 1].abs() } else { 0.0 };
        before + beside.get(i).map_or(0.0, |x| x.abs())
    };
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, x) in diagonal.iter().enumerate() {
        low = low.min(x - radius(i));
        high = high.max(x + radius(i));
    }
    let exact_enough = f64::EPSILON * low.abs().max(high.abs());
    (0..n)
        .into_par_iter()
        .map(|index| {
            let (mut low, mut high) = (low, high);
            loop {
                let middle = low + (high - low) / 2.0;
                if high - low <= exact_enough {
                    return middle;
                }
                if count_below(&diagonal, &beside, middle) > index {
                    high = middle;
                } else {
                    low = middle;
                }
            }
        })
        .collect()
}

/// How many eigenvalues are smaller than `place`.
fn count_below(diagonal: &[f64], beside: &[f64], place: f64) -> usize {
    let (mut count, mut pivot) = (0, 1.0);
    for (i, x) in diagonal.iter().enumerate() {
        let coupling = if i > 0 {
            beside[i - 1] * (beside[i - 1] / pivot)
        } else {
            0.0
        };
        pivot = x - place - coupling;
        if pivot == 0.0 {
            // As if the place were a little lower.
            pivot = f64::MIN_POSITIVE;
        }
        count += usize::from(pivot < 0.0);
    }
    count
}

/// The diagonal and the diagonal beside it of a matrix with the same eigenvalues.
fn tridiagonal(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside) = (
        Vec::with_capacity(n),
        Vec::with_capacity(n.saturating_sub(1)),
    );
    for k in 0..n {
        diagonal.push(matrix[k * n + k]);
        if k + 1 == n {
            break;
        }
        // The reflection that leaves nothing of the column beyond its first element.
        let rest = k + 1..n;
        let mut v: Vec<f64> = matrix[k * n..][rest.clone()].to_vec();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if v[1..].iter().all(|x| *x == 0.0) {
            beside.push(v[0]);
            continue;
        }
        let turned = if v[0] > 0.0 { -norm } else { norm };
        beside.push(turned);
        v[0] -= turned;
        let factor = 2.0 / v.iter().map(|x| x * x).sum::<f64>();
        let mut w: Vec<f64> = rest
            .clone()
            .map(|i| factor * dot(&matrix[i * n..][rest.clone()], &v))
            .collect();
        let share = factor / 2.0 * dot(&w, &v);
        for (w, v) in w.iter_mut().zip(&v) {
            *w -= share * v;
        }
        for (i, row) in rest.clone().enumerate() {
            for (j, x) in matrix[row * n..][rest.clone()].iter_mut().enumerate() {
                *x -= v[i] * w[j] + w[i] * v[j];
            }
        }
    }
    (diagonal, beside)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-13, "{got} instead of {want}");
        }
    }

    #[test]
    fn small_matrices_by_hand() {
        assert_close(&symmetric_eigenvalues(vec![], 0), &[]);
        assert_close(&symmetric_eigenvalues(vec![-3.0], 1), &[-3.0]);
        assert_close(&symmetric_eigenvalues(vec![2., 1., 1., 2.], 2), &[1., 3.]);
        assert_close(&symmetric_eigenvalues(vec![0.; 9], 3), &[0.; 3]);
        let diagonal = vec![5., 0., 0., 0., -1., 0., 0., 0., 2.];
        assert_close(&symmetric_eigenvalues(diagonal, 3), &[-1., 2., 5.]);
        // All ones: 4 and three times 0.
        assert_close(&symmetric_eigenvalues(vec![1.; 16], 4), &[0., 0., 0., 4.]);
    }

    #[test]
    fn the_second_difference_has_eigenvalues_by_formula() {
        let n = 40;
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            matrix[i * n + i] = 2.0;
            if i + 1 < n {
                matrix[i * n + i + 1] = -1.0;
                matrix[(i + 1) * n + i] = -1.0;
            }
        }
        let want: Vec<f64> = (1..=n)
            .map(|k| 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (n + 1) as f64).cos())
            .collect();
        assert_close(&symmetric_eigenvalues(matrix, n), &want);
    }

    #[test]
    fn a_dense_matrix_keeps_its_trace_and_its_squares() {
        let n = 30;
        let entry = |i: usize, j: usize| ((i * j + i + j) % 11) as f64 - 5.0;
        let matrix: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let values = symmetric_eigenvalues(matrix.clone(), n);
        let trace: f64 = (0..n).map(|i| entry(i, i)).sum();
        let squares: f64 = matrix.iter().map(|x| x * x).sum();
        assert!((values.iter().sum::<f64>() - trace).abs() < 1e-10);
        assert!((values.iter().map(|x| x * x).sum::<f64>() - squares).abs() < 1e-9);
        assert!(values.is_sorted());
    }
}
