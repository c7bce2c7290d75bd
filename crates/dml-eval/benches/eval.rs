//! Exact searches, clusterings and verification on random unit vectors: `cargo bench -p dml-eval --bench eval`.
//!
//! Ids are `search/INDEX/k<neighbours>/Q<queries>-R<references>-D<dim>`,
//! `clustering/KMeans/START/N<rows>-D<dim>-C<clusters>`, `clustering/METRIC/N<rows>-C<classes and clusters>` and
//! `verification/AUC/N<pairs>`.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, rows};
use dml_core::candle_core::Tensor;
use dml_core::{Distance, Order, Result, TensorExt};
use dml_eval::{
    ClusterMetric, Contingency, CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, KMeans,
    KMeansConfig, KMeansStart, KnnIndex, Verification,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The cosine through its matrix.
#[derive(Debug)]
struct Cosine;

impl Distance for Cosine {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let query = query.normalize_rows(2.0)?;
        let reference = reference.map(|rows| rows.normalize_rows(2.0)).transpose()?;
        query.pairwise_dot(reference.as_ref().unwrap_or(&query))
    }

    fn order(&self) -> dml_core::Order {
        dml_core::Order::LargerIsCloser
    }
}

fn search(c: &mut Criterion, id: &str, index: &dyn KnnIndex, queries: &Tensor, k: usize) {
    let (q, r) = (queries.dims()[0], index.len());
    c.bench_function(&format!("search/{id}/k{k}/Q{q}-R{r}-D{DIM}"), |b| {
        b.iter(|| black_box(index.search(queries, k)).unwrap());
    });
}

fn searches(c: &mut Criterion) {
    let (references, queries) = (rows(60_000, 0).unwrap(), rows(1_000, 1).unwrap());
    for metric in [FlatMetric::SquaredEuclidean, FlatMetric::InnerProduct] {
        let mut index = FlatIndex::new(metric);
        index.add(&references).unwrap();
        for k in [1, 10, 100, 1_000] {
            search(c, &format!("FlatIndex-{metric:?}"), &index, &queries, k);
        }
        let one = queries.narrow(0, 0, 1).unwrap();
        search(c, &format!("FlatIndex-{metric:?}"), &index, &one, 10);
    }
    let mut index = CustomKNN::new(CustomKNNConfig::default(), Cosine).unwrap();
    index.add(&references).unwrap();
    search(c, "CustomKNN-Cosine", &index, &queries, 10);
}

fn clusterings(c: &mut Criterion) {
    let (count, clusters) = (20_000, 200);
    let rows = rows(count, 0).unwrap();
    for start in [KMeansStart::PlusPlus, KMeansStart::Random] {
        let kmeans = KMeans::new(KMeansConfig {
            start,
            ..Default::default()
        });
        let kmeans = kmeans.unwrap();
        c.bench_function(
            &format!("clustering/KMeans/{start:?}/N{count}-D{DIM}-C{clusters}"),
            |b| b.iter(|| black_box(kmeans.fit(&rows, clusters)).unwrap()),
        );
    }
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let count = 60_000;
    let mut labels = || -> Vec<i64> {
        // Classes of different sizes.
        let drawn = (0..count).map(|_| rng.random_range(0f64..1.0));
        drawn.map(|x| (x * x * 1_000.0) as i64).collect()
    };
    let (classes, clusters) = (labels(), labels());
    for metric in [ClusterMetric::AMI, ClusterMetric::NMI] {
        c.bench_function(
            &format!("clustering/{}/N{count}-C1000", metric.name()),
            |b| {
                b.iter(|| black_box(metric.of(&Contingency::new(&classes, &clusters).unwrap())));
            },
        );
    }
    let scores: Vec<f64> = (0..1_000_000).map(|_| rng.random_range(0.0..1.0)).collect();
    let same: Vec<bool> = scores
        .iter()
        .map(|x| rng.random_range(0.0..1.0) < *x)
        .collect();
    c.bench_function("verification/AUC/N1000000", |b| {
        b.iter(|| {
            let verification = Verification::new(&scores, &same, Order::LargerIsCloser);
            black_box(verification.unwrap().auc())
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = searches, clusterings
}
criterion_main!(benches);
