//! Search in a graph of neighbours, beside the exact search: `cargo bench -p dml-eval --features usearch --bench approximate`.
//!
//! Ids are `approximate/INDEX/k<neighbours>/Q<queries>-R<references>-D<dim>`. The example `approximate_search` measures more
//! rows, and how many of the nearest are found.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use criterion::{Criterion, criterion_group, criterion_main};

#[cfg(feature = "usearch")]
fn searches(c: &mut Criterion) {
    use std::hint::black_box;

    use data::{DIM, clustered};
    use dml_eval::{KnnIndex, UsearchIndex, UsearchIndexConfig};

    let (q, r, k) = (100, 5_000, 10);
    let (references, queries) = (clustered(r, 0).unwrap(), clustered(q, 1).unwrap());
    let mut index = UsearchIndex::new(UsearchIndexConfig::default()).unwrap();
    index.add(&references).unwrap();
    let indexes: [(&str, &dyn KnnIndex); 2] =
        [("UsearchIndex", &index), ("FlatIndex", index.rows())];
    for (id, index) in indexes {
        c.bench_function(&format!("approximate/{id}/k{k}/Q{q}-R{r}-D{DIM}"), |b| {
            b.iter(|| black_box(index.search(&queries, k)).unwrap());
        });
    }
}

// A bench of `cargo test --bench '*'` must be there without its feature, too.
#[cfg(not(feature = "usearch"))]
fn searches(_: &mut Criterion) {}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = searches
}
criterion_main!(benches);
