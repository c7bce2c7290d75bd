//! Near-duplicates, far clouds and everything that the expansion alone would get wrong.

use super::*;
use crate::pairwise_lp::gradient;
use rand::{Rng, SeedableRng};

fn draw(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Rows in clusters of all tightnesses, from duplicates to spread out, `far` from the origin.
fn clusters(far: f32, dim: usize) -> Vec<f32> {
    let noise = draw(7, 48 * dim);
    let centers = draw(8, 6 * dim);
    let mut rows = Vec::new();
    for (i, row) in noise.chunks(dim).enumerate() {
        let tightness = [0.0, 1e-6, 1e-4, 1e-2, 0.1, 1.0][i % 6];
        let center = &centers[i % 6 * dim..][..dim];
        rows.extend(row.iter().zip(center).map(|(x, c)| c + tightness * x + far));
    }
    rows
}

#[test]
fn every_pair_has_its_digits_however_close_and_however_far_from_the_origin() {
    for far in [0.0, 100.0] {
        let dim = 33;
        let rows = clusters(far, dim);
        let exact = direct::euclidean_among(&wide(&rows), dim, Form::Distance);
        for (form, tolerance) in [(Form::Distance, 1e-5), (Form::Squared, 2e-5)] {
            for values in [
                euclidean(&rows, &rows, dim, form),
                euclidean_among(&rows, dim, form),
            ] {
                for (value, exact) in values.iter().zip(&exact) {
                    let exact = match form {
                        Form::Distance => *exact,
                        Form::Squared => exact * exact,
                    };
                    let error = (f64::from(*value) - exact).abs();
                    assert!(error <= tolerance * exact, "{far}: {value} {exact}");
                }
            }
        }
    }
}

#[test]
fn gradients_of_near_duplicates_are_those_of_the_differences() {
    for far in [0.0, 100.0] {
        let dim = 33;
        let rows = clusters(far, dim);
        let count = rows.len() / dim;
        let g = draw(9, count * count);
        for form in [Form::Distance, Form::Squared] {
            let values = euclidean_among(&rows, dim, form);
            let exact = direct::euclidean_among(&wide(&rows), dim, form);
            for side in [Side::Query, Side::Reference, Side::Both] {
                let given = MatrixGradient::written_out(&g, count);
                let got = euclidean_backward(&rows, &rows, &values, &given, dim, form, side);
                let (rows, g) = (wide(&rows), wide(&g));
                let g = MatrixGradient::written_out(&g, count);
                let expected =
                    gradient::euclidean_backward(&rows, &rows, &exact, &g, dim, form, side);
                let size = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                for (got, expected) in got.iter().zip(expected) {
                    let error = (f64::from(*got) - expected).abs();
                    assert!(error < 1e-5 * size, "{form:?} {side:?}: {got} {expected}");
                }
            }
        }
    }
}

#[test]
fn a_single_close_pair_is_not_drowned_by_far_ones() {
    // All rows in two far points, but two rows that differ by 2⁻¹⁰ in one coordinate: only this pair has a gradient.
    let dim = 16;
    let mut rows = vec![0f32; 20 * dim];
    for row in rows.chunks_mut(dim).skip(10) {
        row.fill(64.0);
    }
    rows[0] = 0.000_976_562_5;
    let d = euclidean_among(&rows, dim, Form::Distance);
    assert_eq!(d[1], 0.000_976_562_5);
    let mut g = vec![0f32; 400];
    g[1] = 3.0;
    let g = MatrixGradient::written_out(&g, 20);
    let gradient = euclidean_backward(&rows, &rows, &d, &g, dim, Form::Distance, Side::Both);
    assert_eq!((gradient[0], gradient[dim]), (3.0, -3.0));
    assert!(gradient.iter().filter(|g| **g != 0.0).count() == 2);
}

#[test]
fn all_rows_equal_have_distance_zero_and_no_gradient() {
    let rows = [0.1f32; 20 * 32];
    let g = [1f32; 400];
    for form in [Form::Distance, Form::Squared] {
        let d = euclidean_among(&rows, 32, form);
        assert_eq!(d, [0.0; 400]);
        let g = MatrixGradient::written_out(&g, 20);
        let gradient = euclidean_backward(&rows, &rows, &d, &g, 32, form, Side::Both);
        assert_eq!(gradient, [0.0; 640]);
    }
}

#[test]
fn rows_that_are_not_finite_spoil_their_own_distances_only() {
    let dim = 16;
    let mut rows = draw(3, 20 * dim);
    rows[5 * dim] = f32::INFINITY;
    let d = euclidean_among(&rows, dim, Form::Distance);
    for i in 0..20 {
        for j in 0..20 {
            assert_eq!(d[i * 20 + j].is_finite(), i != 5 && j != 5);
        }
    }
    let mut g = vec![0f32; 400];
    g[1] = 1.0;
    let g = MatrixGradient::written_out(&g, 20);
    let gradient = euclidean_backward(&rows, &rows, &d, &g, dim, Form::Distance, Side::Both);
    assert!(gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn tiny_and_huge_rows_have_distances() {
    for scale in [1e-22f32, 1e-12, 1e12, 1e22] {
        let dim = 16;
        let rows: Vec<f32> = draw(4, 20 * dim).iter().map(|x| x * scale).collect();
        let exact = direct::euclidean_among(&wide(&rows), dim, Form::Distance);
        let got = euclidean_among(&rows, dim, Form::Distance);
        for (got, exact) in got.iter().zip(exact) {
            assert!(
                (f64::from(*got) - exact).abs() <= 1e-5 * exact,
                "{got} {exact}"
            );
        }
    }
}
