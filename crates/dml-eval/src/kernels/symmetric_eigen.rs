//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Householder reflections reduce it to three diagonals, `O(n³)`. QL steps with implicit shifts then remove the two beside
//! the middle one, `O(n²)`, or `O(n³)` with eigenvectors. Absolute error of an eigenvalue: a few units in the last place
//! of the largest one. Wilkinson and Reinsch, "Handbook for Automatic Computation II" (1971), `tred2` and `tql2`.

use rayon::prelude::*;

/// QL steps for one eigenvalue at most; matrices of finite numbers need two on average.
const STEPS: usize = 60;

/// The eigenvalues of the symmetric row-major `matrix` `[n, n]`, largest first.
pub(crate) fn eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let (mut diagonal, mut beside, _) = tridiagonal(&mut matrix, n);
    ql(&mut diagonal, &mut beside, |_, _, _| {});
    diagonal.sort_by(|a, b| b.total_cmp(a));
    diagonal
}

/// The eigenvalues of the symmetric row-major `matrix` `[n, n]`, largest first, and their eigenvectors, of length 1 and one
/// a row.
pub(crate) fn eigenvectors(mut matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside, factors) = tridiagonal(&mut matrix, n);
    let mut rows = reflections(&matrix, &factors, n);
    ql(&mut diagonal, &mut beside, |i, cosine, sine| {
        let (before, after) = rows[i * n..].split_at_mut(n);
        for (a, b) in before.iter_mut().zip(&mut after[..n]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    });
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| diagonal[*b].total_cmp(&diagonal[*a]));
    let values = order.iter().map(|i| diagonal[*i]).collect();
    let vectors = order.iter().flat_map(|i| &rows[i * n..][..n]);
    (values, vectors.copied().collect())
}

/// The diagonal and the diagonal beside it of a matrix with the same eigenvalues, and the factor of each reflection
/// `I − factor · v vᵀ`. Vector `v` of reflection k replaces row k of the matrix from column k + 1 on.
fn tridiagonal(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let mut factors = Vec::with_capacity(n);
    // Once the rank is used up, rounding is all that is left. Reflections of it would go on until its squares vanish.
    let largest = matrix.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let negligible = f64::EPSILON * largest;
    for k in 0..n {
        diagonal.push(matrix[k * n + k]);
        if k + 1 == n {
            break;
        }
        // The reflection that leaves nothing of the column beyond its first element.
        let rest = k + 1..n;
        let mut v: Vec<f64> = matrix[k * n..][rest.clone()].to_vec();
        if v[1..].iter().all(|x| x.abs() <= negligible) {
            beside.push(v[0]);
            factors.push(0.0);
            continue;
        }
        // In units of the largest entry: its square could vanish or overflow.
        let size = v.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        v.iter_mut().for_each(|x| *x /= size);
        let norm = dot(&v, &v).sqrt();
        let turned = if v[0] > 0.0 { -norm } else { norm };
        beside.push(turned * size);
        v[0] -= turned;
        let factor = 2.0 / dot(&v, &v);
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
        matrix[k * n..][rest].copy_from_slice(&v);
        factors.push(factor);
    }
    (diagonal, beside, factors)
}

/// The product of all reflections of [`tridiagonal`], the last one first: the rows into which it turned the coordinates.
fn reflections(matrix: &[f64], factors: &[f64], n: usize) -> Vec<f64> {
    let mut rows = vec![0.0; n * n];
    rows.iter_mut().step_by(n + 1).for_each(|x| *x = 1.0);
    for (k, factor) in factors.iter().enumerate().rev() {
        let v = &matrix[k * n..][k + 1..n];
        let changed = rows[(k + 1) * n..].par_chunks_exact_mut(n).with_min_len(16);
        changed.for_each(|row| {
            let row = &mut row[k + 1..];
            let share = factor * dot(row, v);
            row.iter_mut().zip(v).for_each(|(x, v)| *x -= share * v);
        });
    }
    rows
}

/// Turns the diagonal into the eigenvalues. `rotate` gets the row, cosine and sine of every rotation of a row and the next.
fn ql(diagonal: &mut [f64], beside: &mut Vec<f64>, mut rotate: impl FnMut(usize, f64, f64)) {
    let n = diagonal.len();
    beside.resize(n, 0.0);
    let sizes = diagonal
        .iter()
        .zip(&*beside)
        .map(|(d, e)| d.abs() + e.abs());
    let negligible = f64::EPSILON * sizes.fold(0.0, f64::max);
    for first in 0..n {
        for _ in 0..STEPS {
            let rest = beside[first..n - 1].iter();
            let last = first + rest.take_while(|x| x.abs() > negligible).count();
            if last == first {
                break;
            }
            // The shift is the eigenvalue of the first two rows that is closer to the first.
            let half = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
            let tangent = half + half.hypot(1.0).copysign(half);
            let mut bulge = diagonal[last] - diagonal[first] + beside[first] / tangent;
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (first..last).rev() {
                let (along, across) = (sine * beside[i], cosine * beside[i]);
                let length = f64::hypot(along, bulge);
                beside[i + 1] = length;
                if length == 0.0 {
                    // The matrix falls into two here.
                    diagonal[i + 1] -= shift;
                    split = true;
                    break;
                }
                (sine, cosine) = (along / length, bulge / length);
                let before = diagonal[i + 1] - shift;
                let moved = (diagonal[i] - before) * sine + 2.0 * cosine * across;
                shift = sine * moved;
                diagonal[i + 1] = before + shift;
                bulge = cosine * moved - across;
                rotate(i, cosine, sine);
            }
            if !split {
                diagonal[first] -= shift;
                beside[first] = bulge;
            }
            beside[last] = 0.0;
        }
    }
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
        assert_close(&eigenvalues(vec![], 0), &[]);
        assert_close(&eigenvalues(vec![-3.0], 1), &[-3.0]);
        assert_close(&eigenvalues(vec![2., 1., 1., 2.], 2), &[3., 1.]);
        assert_close(&eigenvalues(vec![0.; 9], 3), &[0.; 3]);
        let diagonal = vec![5., 0., 0., 0., -1., 0., 0., 0., 2.];
        assert_close(&eigenvalues(diagonal, 3), &[5., 2., -1.]);
        // All ones: 4 and three times 0.
        assert_close(&eigenvalues(vec![1.; 16], 4), &[4., 0., 0., 0.]);
    }

    /// What is left of a matrix after its rank is rounding, the reflections of which once ended in 0 / 0.
    #[test]
    fn matrices_of_low_rank_and_repeated_blocks_stay_finite() {
        for (distinct, n) in [(2, 64), (2, 128), (4, 64), (10, 128)] {
            for scale in [1.0, 1e-170, 1e150] {
                // Row i of the data is one of a few patterns of signs; the matrix is their second moment.
                let sign = |pattern: usize, j: usize| {
                    if (j * (pattern + 3) / 7 + pattern).is_multiple_of(2) {
                        1.0
                    } else {
                        -0.25
                    }
                };
                let entry = |i: usize, j: usize| {
                    scale * (0..distinct).map(|k| sign(k, i) * sign(k, j)).sum::<f64>()
                };
                let matrix: Vec<f64> = (0..n * n)
                    .map(|place| entry(place / n, place % n))
                    .collect();
                let trace: f64 = (0..n).map(|i| matrix[i * n + i]).sum();
                let (values, vectors) = eigenvectors(matrix.clone(), n);
                assert!(values.iter().chain(&vectors).all(|x| x.is_finite()));
                assert!((values.iter().sum::<f64>() - trace).abs() < 1e-12 * trace);
                assert!(values[distinct..].iter().all(|x| x.abs() < 1e-12 * trace));
                let alone = eigenvalues(matrix, n);
                assert!(
                    alone
                        .iter()
                        .zip(&values)
                        .all(|(a, b)| (a - b).abs() < 1e-12 * trace)
                );
            }
        }
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
            .rev()
            .map(|k| 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (n + 1) as f64).cos())
            .collect();
        assert_close(&eigenvalues(matrix, n), &want);
    }

    #[test]
    fn a_dense_matrix_keeps_its_trace_and_its_squares() {
        let n = 30;
        let entry = |i: usize, j: usize| ((i * j + i + j) % 11) as f64 - 5.0;
        let matrix: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let values = eigenvalues(matrix.clone(), n);
        let trace: f64 = (0..n).map(|i| entry(i, i)).sum();
        let squares: f64 = matrix.iter().map(|x| x * x).sum();
        assert!((values.iter().sum::<f64>() - trace).abs() < 1e-10);
        assert!((values.iter().map(|x| x * x).sum::<f64>() - squares).abs() < 1e-9);
        assert!(values.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_give_the_matrix_back() {
        // Full rank, rank 1, graded, and of two separate blocks.
        let entries: [fn(usize, usize) -> f64; 4] = [
            |i, j| ((i * j + i + j) % 11) as f64 - 5.0,
            |i, j| ((i + 1) * (j + 1)) as f64,
            |i, j| 0.1f64.powi((i + j) as i32) + if i == j { 1e-9 } else { 0.0 },
            |i, j| f64::from(u8::from((i < 9) == (j < 9))) * (1.0 + i.min(j) as f64),
        ];
        for (n, entry) in [1, 2, 3, 23]
            .into_iter()
            .flat_map(|n| entries.map(|entry| (n, entry)))
        {
            let matrix: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
            let (values, vectors) = eigenvectors(matrix.clone(), n);
            let size = values.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
            let alone = eigenvalues(matrix.clone(), n);
            for (value, alone) in values.iter().zip(&alone) {
                assert!((value - alone).abs() <= 1e-13 * size);
            }
            for i in 0..n {
                for j in 0..n {
                    let product = dot(&vectors[i * n..][..n], &vectors[j * n..][..n]);
                    assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
                    let back: f64 = (0..n)
                        .map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j])
                        .sum();
                    assert!(
                        (back - matrix[i * n + j]).abs() <= 1e-12 * size,
                        "{n} {i} {j}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_ends() {
        assert!(eigenvalues(vec![f64::NAN; 16], 4)[0].is_nan());
    }
}
