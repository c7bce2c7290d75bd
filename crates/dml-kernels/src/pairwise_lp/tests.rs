//! By hand, at the edges, and against central differences, on both sides of the matrix-product path.

use super::*;
use rand::{Rng, SeedableRng};

fn written_out<T: Real>(gradient: &[T], width: usize) -> MatrixGradient<'_, T> {
    MatrixGradient::written_out(gradient, width)
}

const EVERY_P: [f64; 7] = [1.0, 1.5, 2.0, 3.0, 4.0, 7.0, f64::INFINITY];

fn draw(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn definition(x: &[f64], r: &[f64], p: f64) -> f64 {
    let differences = x.iter().zip(r).map(|(x, r)| (x - r).abs());
    if p.is_infinite() {
        differences.fold(0.0, f64::max)
    } else {
        differences.map(|d| d.powf(p)).sum::<f64>().powf(1.0 / p)
    }
}

#[test]
fn three_four_five() {
    let x = [0f32, 0.];
    let r = [3f32, -4., 0., 0.];
    assert_eq!(pairwise_lp(&x, &r, 2, 2.0), [5., 0.]);
    assert_eq!(pairwise_lp(&x, &r, 2, 1.0), [7., 0.]);
    assert_eq!(pairwise_lp(&x, &r, 2, f64::INFINITY), [4., 0.]);
    assert_eq!(pairwise_lp_among(&r, 2, 2.0), [0., 5., 5., 0.]);
}

#[test]
fn the_definition_on_every_side_of_every_block() {
    for (queries, references, dim) in [(1, 1, 1), (3, 130, 70), (40, 33, 16), (150, 210, 17)] {
        let (x, r) = (draw(1, queries * dim), draw(2, references * dim));
        for p in EVERY_P {
            let (all, among) = (pairwise_lp(&x, &r, dim, p), pairwise_lp_among(&x, dim, p));
            for (i, a) in x.chunks(dim).enumerate() {
                for (j, b) in r.chunks(dim).enumerate() {
                    let expected = definition(a, b, p);
                    let got = all[i * references + j];
                    assert!(
                        (got - expected).abs() < 1e-11 * expected,
                        "p {p} {got} {expected}"
                    );
                }
                for (j, b) in x.chunks(dim).enumerate() {
                    let got = among[i * queries + j];
                    assert!((got - definition(a, b, p)).abs() < 1e-11, "p {p}");
                    assert_eq!(got, among[j * queries + i]);
                }
            }
        }
    }
}

#[test]
fn near_duplicates_keep_their_digits() {
    let x = [1000f32, 1000.];
    let r = [1000.0625f32, 1000.];
    assert_eq!(pairwise_lp(&x, &r, 2, 2.0), [0.0625]);
}

/// Distances and gradients of rows whose differences are `length · (3, −4, 1)`, against those of (3, −4, 1).
fn scales_with_its_rows<T: Real>(length: f64, digits: f64) {
    let zeros = [T::ZERO; 3];
    for p in EVERY_P {
        let of_unit = pairwise_lp(&[3f64, -4., 1.], &[0.; 3], 3, p);
        let slopes = |rows: &[f64], d: &[f64]| {
            let g = written_out(&[2.], 1);
            pairwise_lp_backward(rows, &[0f64; 3], d, &g, 3, p, Side::Query)
        };
        let wanted = slopes(&[3., -4., 1.], &of_unit);
        let row = [3.0, -4.0, 1.0].map(|x| T::from_f64(x * length));
        let d = pairwise_lp(&row, &zeros, 3, p);
        let ratio = d[0].to_f64() / (of_unit[0] * length);
        assert!((ratio - 1.0).abs() < digits, "p {p} at {length:e}: {d:?}");
        let two = [T::from_f64(2.0)];
        let gradient =
            pairwise_lp_backward(&row, &zeros, &d, &written_out(&two, 1), 3, p, Side::Query);
        for (got, want) in gradient.iter().zip(&wanted) {
            assert!(
                (got.to_f64() - want).abs() < digits * 10.0,
                "p {p} at {length:e}: {gradient:?}, expected {wanted:?}"
            );
        }
        // Among themselves, where one of the rows is near the other end.
        let both = [row, zeros].concat();
        let among = pairwise_lp_among(&both, 3, p);
        assert_eq!([among[0], among[3]], [T::ZERO; 2]);
        assert!((among[1].to_f64() / d[0].to_f64() - 1.0).abs() < digits);
    }
}

#[test]
fn differences_of_any_size_have_a_distance_and_a_gradient() {
    for length in [1e-37, 1e-30, 1e-20, 1e-3, 1e12, 1e18, 1e30] {
        scales_with_its_rows::<f32>(length, 1e-5);
    }
    // Subnormal numbers have few digits.
    scales_with_its_rows::<f32>(1e-39, 1e-3);
    scales_with_its_rows::<f32>(2.8e-43, 0.1);
    for length in [1e-306, 1e-300, 1e-200, 1e-160, 1e100, 1e160, 1e300] {
        scales_with_its_rows::<f64>(length, 1e-10);
    }
    scales_with_its_rows::<f64>(1e-310, 1e-4);
}

#[test]
fn a_nan_shows_in_the_distance_and_in_the_gradient() {
    for p in EVERY_P {
        for (width, column) in [(2, 0), (2, 1), (40, 33)] {
            let mut x = vec![0f32; 3 * width];
            x[width + column] = f32::NAN;
            let others = vec![0.5f32; 2 * width];
            let d = pairwise_lp(&x, &others, width, p);
            let nan: Vec<bool> = d.iter().map(|d| d.is_nan()).collect();
            assert_eq!(
                nan,
                [false, false, true, true, false, false],
                "p {p}: {d:?}"
            );
            let among = pairwise_lp_among(&x, width, p);
            assert!(among[1].is_nan() && among[3].is_nan() && among[7].is_nan());
            assert_eq!((among[0], among[2]), (0.0, 0.0));
            let g = [1f32; 6];
            let gradient =
                pairwise_lp_backward(&x, &others, &d, &written_out(&g, 2), width, p, Side::Query);
            assert!(gradient[width + column].is_nan(), "p {p}: {gradient:?}");
            assert!(gradient[..width].iter().all(|g| g.is_finite()));
        }
    }
}

#[test]
fn duplicates_have_distance_zero_and_no_gradient() {
    let x = [0.1f32, 0.2, 0.3];
    for p in EVERY_P {
        for side in [Side::Query, Side::Reference, Side::Both] {
            let d = pairwise_lp(&x, &x, 3, p);
            assert_eq!(d, [0.]);
            let gradient = pairwise_lp_backward(&x, &x, &d, &written_out(&[1.], 1), 3, p, side);
            assert_eq!(gradient, [0.; 3]);
        }
    }
}

#[test]
fn tied_maxima_share_the_gradient() {
    let (x, r) = ([0f64, 5., 1.], [2f64, 3., 1.]);
    let d = pairwise_lp(&x, &r, 3, f64::INFINITY);
    let gradient = pairwise_lp_backward(
        &x,
        &r,
        &d,
        &written_out(&[1.], 1),
        3,
        f64::INFINITY,
        Side::Query,
    );
    assert_eq!(gradient, [-0.5, 0.5, 0.]);
}

#[test]
fn powers_neither_overflow_nor_vanish() {
    for p in [2.0, 3.0, 7.5] {
        for scale in [1e-25f32, 1e25] {
            let (x, r) = ([0f32, 0.], [3.0 * scale, 4.0 * scale]);
            let d = pairwise_lp(&x, &r, 2, p)[0];
            let expected = definition(&[0., 0.], &[3., 4.], p) as f32;
            assert!((d / scale - expected).abs() < 1e-5, "p {p}: {d}");
            let g = pairwise_lp_backward(&x, &r, &[d], &written_out(&[1.], 1), 2, p, Side::Query);
            assert!(g.iter().all(|g| g.is_finite() && *g < 0.0), "p {p}: {g:?}");
        }
    }
}

type Value<'a> = &'a dyn Fn(&[f64]) -> f64;

#[test]
fn gradients_agree_with_central_differences_on_every_side() {
    // 70 coordinates and 130 references: neither is a multiple of a block. 3 queries go without matrix products.
    let dim = 70;
    let r = draw(2, 130 * dim);
    for queries in [3, 20] {
        let (x, g) = (draw(1, queries * dim), draw(3, queries * 130));
        let own = draw(4, queries * queries);
        for p in [1.0, 1.5, 2.0, 4.0, f64::INFINITY] {
            let d = pairwise_lp(&x, &r, dim, p);
            let turned = pairwise_lp(&r, &x, dim, p);
            let among = pairwise_lp_among(&x, dim, p);
            let sum = |d: &[f64], g: &[f64]| d.iter().zip(g).map(|(d, g)| d * g).sum::<f64>();
            let sides: [(Vec<f64>, Value<'_>); 3] = [
                (
                    pairwise_lp_backward(&x, &r, &d, &written_out(&g, 130), dim, p, Side::Query),
                    &|x| sum(&pairwise_lp(x, &r, dim, p), &g),
                ),
                (
                    pairwise_lp_backward(
                        &x,
                        &r,
                        &turned,
                        &written_out(&g, queries),
                        dim,
                        p,
                        Side::Reference,
                    ),
                    &|x| sum(&pairwise_lp(&r, x, dim, p), &g),
                ),
                (
                    pairwise_lp_backward(
                        &x,
                        &x,
                        &among,
                        &written_out(&own, queries),
                        dim,
                        p,
                        Side::Both,
                    ),
                    &|x| sum(&pairwise_lp_among(x, dim, p), &own),
                ),
            ];
            for (gradient, value) in sides {
                for k in [0, 63, 64, 69, 100, 209] {
                    let (mut up, mut down) = (x.clone(), x.clone());
                    up[k] += 1e-6;
                    down[k] -= 1e-6;
                    let slope = (value(&up) - value(&down)) / 2e-6;
                    assert!(
                        (slope - gradient[k]).abs() < 1e-6,
                        "p {p}, entry {k}: {slope} {}",
                        gradient[k]
                    );
                }
            }
        }
    }
}

#[test]
fn nothing_is_nothing() {
    for p in EVERY_P {
        assert!(pairwise_lp::<f32>(&[], &[1.], 1, p).is_empty());
        assert!(pairwise_lp_among::<f32>(&[], 1, p).is_empty());
    }
}
