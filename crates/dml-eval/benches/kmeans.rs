//! k-means on random unit vectors: `cargo bench -p dml-eval --bench kmeans`.
//!
//! Ids are `kmeans/START/N<rows>-D<dim>-C<clusters>-U<updates>`.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, rows};
use dml_eval::{KMeans, KMeansConfig, KMeansStart};

fn clusterings(c: &mut Criterion) {
    let count = 60_000;
    let rows = rows(count, 0).unwrap();
    for (clusters, niter, start) in [
        (10, 20, KMeansStart::PlusPlus),
        (1_000, 0, KMeansStart::PlusPlus),
        (1_000, 20, KMeansStart::PlusPlus),
        (1_000, 20, KMeansStart::Random),
    ] {
        let kmeans = KMeans::new(KMeansConfig {
            niter,
            start,
            ..Default::default()
        });
        let kmeans = kmeans.unwrap();
        let id = format!("kmeans/{start:?}/N{count}-D{DIM}-C{clusters}-U{niter}");
        c.bench_function(&id, |b| {
            b.iter(|| black_box(kmeans.fit(&rows, clusters)).unwrap());
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = clusterings
}
criterion_main!(benches);
