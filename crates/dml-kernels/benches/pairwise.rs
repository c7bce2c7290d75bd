//! All distances between rows, forward and backward.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_kernels::euclidean::{Form, euclidean_among, euclidean_backward};
use dml_kernels::pairwise_dot::{pairwise_dot_among, pairwise_dot_backward};
use dml_kernels::pairwise_lp::{pairwise_lp, pairwise_lp_among, pairwise_lp_backward};
use dml_kernels::{MatrixGradient, Side, normalize::normalize_rows};
use rand::{Rng, SeedableRng};

const DIM: usize = 128;

fn draw(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn pairwise(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernel");
    group.sample_size(10);
    for rows in [256, 1024, 4096] {
        let size = format!("N{rows}-D{DIM}");
        let x = normalize_rows(&draw(0, rows * DIM), DIM, 2.0).0;
        let g = draw(1, rows * rows);
        let g = MatrixGradient::written_out(&g, rows);
        group.bench_function(format!("dot/among/{size}"), |b| {
            b.iter(|| pairwise_dot_among(black_box(&x), DIM));
        });
        group.bench_function(format!("dot/backward/{size}"), |b| {
            b.iter(|| pairwise_dot_backward(black_box(&x), &g, DIM, Side::Both));
        });
        group.bench_function(format!("squared/among/{size}"), |b| {
            b.iter(|| euclidean_among(black_box(&x), DIM, Form::Squared));
        });
        let squares = euclidean_among(&x, DIM, Form::Squared);
        group.bench_function(format!("squared/backward/{size}"), |b| {
            b.iter(|| {
                let (form, side) = (Form::Squared, Side::Both);
                euclidean_backward(black_box(&x), &x, &squares, &g, DIM, form, side)
            });
        });
        for p in [1.0, 2.0, 3.0, f64::INFINITY] {
            if rows == 4096 && (p - 2.0).abs() > 0.5 {
                continue;
            }
            group.bench_function(format!("lp{p}/among/{size}"), |b| {
                b.iter(|| pairwise_lp_among(black_box(&x), DIM, p));
            });
            group.bench_function(format!("lp{p}/between/{size}"), |b| {
                b.iter(|| pairwise_lp(black_box(&x), &x, DIM, p));
            });
            let d = pairwise_lp_among(&x, DIM, p);
            for side in [Side::Query, Side::Reference, Side::Both] {
                group.bench_function(format!("lp{p}/backward-{side:?}/{size}"), |b| {
                    b.iter(|| pairwise_lp_backward(black_box(&x), &x, &d, &g, DIM, p, side));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, pairwise);
criterion_main!(benches);
