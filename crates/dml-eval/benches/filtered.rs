//! Search among some of the rows: `cargo bench -p dml-eval --bench filtered`.
//!
//! Ids are `filtered/INDEX/1 in <every>/k<neighbours>/Q<queries>-R<references>-D<dim>`; `filtered/select` evaluates a filter over
//! as many items. `cargo xtask bench --only eval --filter filtered --peer PYTHON` measures beside faiss' `IDSelector`.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, clustered};
use dml_eval::{
    Codes, Collection, Filter, FlatIndex, Items, KnnIndex, QuantizedIndex, QuantizedIndexConfig,
    RowSet, Search,
};

fn searches(c: &mut Criterion) {
    let (references, k) = (200_000, 10);
    let gallery = clustered(references, 0).unwrap();
    let int8 = QuantizedIndexConfig {
        codes: Codes::Int8,
        ..Default::default()
    };
    let indexes: Vec<(&str, Box<dyn KnnIndex>)> = vec![
        ("FlatIndex", Box::new(FlatIndex::default())),
        ("Int8", Box::new(QuantizedIndex::new(int8).unwrap())),
    ];
    for (id, mut index) in indexes {
        index.add(&gallery).unwrap();
        for q in [1, 100] {
            let queries = clustered(q, 1).unwrap();
            for every in [2, 20, 1000] {
                let some = RowSet::from_fn(references, |row| row % every == 0);
                let name = format!("filtered/{id}/1 in {every}/k{k}/Q{q}-R{references}-D{DIM}");
                c.bench_function(&name, |b| {
                    b.iter(|| black_box(index.search_among(&queries, k, &some)).unwrap());
                });
            }
        }
    }
    let mut collection = Collection::new(FlatIndex::default());
    let ids: Vec<u64> = (0..references as u64).collect();
    let shelf: Vec<i64> = (0..references as i64).map(|i| i % 20).collect();
    let color: Vec<String> = shelf.iter().map(|i| format!("color {i}")).collect();
    let items = Items::new(ids, &gallery).unwrap();
    let items = items.with_column("shelf", shelf).unwrap();
    collection
        .add(items.with_column("color", color).unwrap())
        .unwrap();
    let query = clustered(1, 1).unwrap();
    for (id, filter) in [
        ("number", Filter::eq("shelf", 7)),
        ("text", Filter::eq("color", "color 7")),
    ] {
        c.bench_function(&format!("filtered/select/{id}/R{references}"), |b| {
            b.iter(|| black_box(collection.select(&filter)).unwrap());
        });
        let name = format!("filtered/Collection/{id}/k{k}/Q1-R{references}-D{DIM}");
        c.bench_function(&name, |b| {
            let search = Search::nearest(k).with_filter(&filter);
            b.iter(|| black_box(collection.search_with(&query, &search).unwrap().len()));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = searches
}
criterion_main!(benches);
