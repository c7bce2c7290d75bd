//! Second rankings: `cargo bench -p dml-eval --bench rerank`.
//!
//! Ids are `rerank/WHAT/k<neighbours>/Q<queries>-R<references>-D<dim>`; query expansion is timed with the search for the moved
//! queries.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, clustered};
use dml_eval::{FlatIndex, FlatMetric, KReciprocal, KnnIndex, QueryExpansion};

fn rerankings(c: &mut Criterion) {
    let (q, r, k) = (100, 2_000, 10);
    let (queries, gallery) = (clustered(q, 1).unwrap(), clustered(r, 0).unwrap());
    let sizes = format!("k{k}/Q{q}-R{r}-D{DIM}");
    let reciprocal = KReciprocal::default();
    c.bench_function(&format!("rerank/KReciprocal/{sizes}"), |b| {
        b.iter(|| black_box(reciprocal.search(&queries, &gallery, k)).unwrap());
    });
    let expansion = QueryExpansion::default();
    let mut index = FlatIndex::new(FlatMetric::Cosine);
    index.add(&gallery).unwrap();
    c.bench_function(&format!("rerank/QueryExpansion/{sizes}"), |b| {
        b.iter(|| {
            let moved = expansion.expand(&queries, &gallery).unwrap();
            black_box(index.search(&moved, k)).unwrap()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = rerankings
}
criterion_main!(benches);
