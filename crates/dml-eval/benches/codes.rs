//! Search by codes of a byte or a bit a coordinate, beside the rows themselves: `cargo bench -p dml-eval --bench codes`.
//!
//! Ids are `codes/INDEX/k<neighbours>/Q<queries>-R<references>-D<dim>`. Codes save memory traffic, those of a byte
//! arithmetic, too.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, clustered};
use dml_eval::{Codes, FlatIndex, KnnIndex, QuantizedIndex, QuantizedIndexConfig};

fn searches(c: &mut Criterion) {
    let (references, k) = (200_000, 10);
    let gallery = clustered(references, 0).unwrap();
    let quantized = |codes| {
        let config = QuantizedIndexConfig {
            codes,
            ..Default::default()
        };
        QuantizedIndex::new(config).unwrap()
    };
    let indexes: [(&str, Box<dyn KnnIndex>); 3] = [
        ("Float32", Box::new(FlatIndex::default())),
        ("Int8", Box::new(quantized(Codes::Int8))),
        ("Binary", Box::new(quantized(Codes::Binary))),
    ];
    for (id, mut index) in indexes {
        index.add(&gallery).unwrap();
        for q in [1, 100, 1_000] {
            let queries = clustered(q, 1).unwrap();
            c.bench_function(&format!("codes/{id}/k{k}/Q{q}-R{references}-D{DIM}"), |b| {
                b.iter(|| black_box(index.search(&queries, k)).unwrap());
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = searches
}
criterion_main!(benches);
