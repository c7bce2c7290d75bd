//! k-means on random unit vectors: `cargo bench -p dml-kernels --bench kmeans`.
//!
//! Ids are `kmeans/START/N<rows>-D<dim>-C<clusters>-U<updates>`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_kernels::kmeans::{Start, kmeans};
use dml_kernels::normalize::normalize_rows;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;

/// Points on the unit sphere.
fn rows(count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // The sum of four uniform numbers is close enough to a normal one.
    let mut normal = || (0..4).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let values: Vec<f32> = (0..count * DIM).map(|_| normal()).collect();
    normalize_rows(&values, DIM, 2.0).0
}

fn clusterings(c: &mut Criterion) {
    let count = 60_000;
    let rows = rows(count);
    for (clusters, updates, start) in [
        (10, 20, Start::PlusPlus),
        (1_000, 0, Start::PlusPlus),
        (1_000, 20, Start::PlusPlus),
        (1_000, 20, Start::Random),
    ] {
        let id = format!("kmeans/{start:?}/N{count}-D{DIM}-C{clusters}-U{updates}");
        c.bench_function(&id, |b| {
            b.iter(|| {
                let mut rng = ChaCha8Rng::seed_from_u64(1);
                black_box(kmeans(&rows, DIM, clusters, updates, start, &mut rng))
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = clusterings
}
criterion_main!(benches);
