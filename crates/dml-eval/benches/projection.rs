//! Rows in fewer dimensions: `cargo bench -p dml-eval --bench projection`.
//!
//! Ids are `projection/Pca-fit/N<rows>-D<dim>-K<components>`, the same for `Pca-transform`, and
//! `projection/TSne/N<rows>-D<dim>-I<iterations>`.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, clustered};
use dml_eval::{Pca, TSne, TSneConfig};

fn projections(c: &mut Criterion) {
    let (n, k) = (10_000, 2);
    let rows = clustered(n, 0).unwrap();
    c.bench_function(&format!("projection/Pca-fit/N{n}-D{DIM}-K{k}"), |b| {
        b.iter(|| black_box(Pca::fit(&rows, k, false)).unwrap());
    });
    let pca = Pca::fit(&rows, k, false).unwrap();
    c.bench_function(&format!("projection/Pca-transform/N{n}-D{DIM}-K{k}"), |b| {
        b.iter(|| black_box(pca.transform(&rows)).unwrap());
    });
    let (n, iterations) = (500, 50);
    let rows = rows.narrow(0, 0, n).unwrap();
    let config = TSneConfig {
        iterations,
        ..Default::default()
    };
    let tsne = TSne::new(config).unwrap();
    c.bench_function(&format!("projection/TSne/N{n}-D{DIM}-I{iterations}"), |b| {
        b.iter(|| black_box(tsne.fit(&rows)).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = projections
}
criterion_main!(benches);
