//! Searches, accuracies and clusterings on random unit vectors: `cargo bench -p dml-eval`.
//!
//! Ids are `search/INDEX/k<neighbours>/Q<queries>-R<references>-D<dim>`, `accuracy/METRICS/Q<queries>-R<references>-D<dim>`,
//! `clustering/KMeans/START/N<rows>-D<dim>-C<clusters>`, `clustering/METRIC/N<rows>-C<classes and clusters>` and
//! `verification/AUC/N<pairs>`.

// A bench has nobody to hand an error to, and says what it has found on the way.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{Device, Tensor};
use dml_core::{Batch, Distance, Order, Result, TensorExt};
use dml_eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, ClusterMetric, Contingency,
    CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, KMeans, KMeansConfig, KMeansStart, KnnIndex,
    Verification,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;

/// Points on the unit sphere.
fn rows(count: usize, seed: u64) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // The sum of four uniform numbers is close enough to a normal one.
    let mut normal = || (0..4).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let values: Vec<f32> = (0..count * DIM).map(|_| normal()).collect();
    Tensor::from_vec(values, (count, DIM), &Device::Cpu)?.normalize(2.0)
}

/// The cosine through its matrix.
#[derive(Debug)]
struct Cosine;

impl Distance for Cosine {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        let query = query.normalize(2.0)?;
        let reference = reference.map(|rows| rows.normalize(2.0)).transpose()?;
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
    let mut index = CustomKNN::new(CustomKNNConfig::default(), Arc::new(Cosine)).unwrap();
    index.add(&references).unwrap();
    search(c, "CustomKNN-Cosine", &index, &queries, 10);
}

fn accuracies(c: &mut Criterion) {
    let (q, r, classes) = (1_000, 10_000, 100);
    let labels = |count: usize| -> Vec<i64> { (0..count).map(|i| (i % classes) as i64).collect() };
    let batch = Batch::new(&rows(q, 1).unwrap(), labels(q)).unwrap();
    let batch = batch
        .with_reference(&rows(r, 0).unwrap(), labels(r))
        .unwrap();
    for (id, include) in [
        ("precision_at_1", vec![AccuracyMetric::PrecisionAt1]),
        (
            "mean_average_precision_at_r",
            vec![AccuracyMetric::MeanAveragePrecisionAtR],
        ),
        ("all", Vec::new()),
    ] {
        let config = AccuracyCalculatorConfig {
            include,
            ..Default::default()
        };
        let index = Arc::new(FlatIndex::default());
        let calculator = AccuracyCalculator::new(config, index).unwrap();
        c.bench_function(&format!("accuracy/{id}/Q{q}-R{r}-D{DIM}"), |b| {
            b.iter(|| black_box(calculator.get_accuracy(&batch)).unwrap());
        });
    }
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

/// Rows around a centre each, of a thousand.
#[cfg(feature = "usearch")]
fn clustered(count: usize, seed: u64) -> Tensor {
    let centres = rows(1_000, 7).unwrap();
    let which: Vec<u32> = (0..count as u32).map(|i| i % 1_000).collect();
    let centres = centres.index_select(&Tensor::new(which, &Device::Cpu).unwrap(), 0);
    (centres.unwrap() + (rows(count, seed).unwrap() * 0.7).unwrap()).unwrap()
}

/// Search in a graph of 200,000 rows; what it finds is compared with the exact search.
#[cfg(feature = "usearch")]
fn graphs(c: &mut Criterion) {
    use dml_eval::{UsearchIndex, UsearchIndexConfig};
    let (references, queries) = (clustered(200_000, 0), clustered(1_000, 1));
    let mut index = UsearchIndex::new(UsearchIndexConfig {
        parallel_build: true,
        ..Default::default()
    })
    .unwrap();
    let start = std::time::Instant::now();
    index.add(&references).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let found = index.search(&queries, 10).unwrap();
    let exact = index.rows().search(&queries, 10).unwrap();
    let pairs = found.iter().zip(exact.iter());
    let common: usize = pairs
        .map(|((found, _), (exact, _))| exact.iter().filter(|row| found.contains(row)).count())
        .sum();
    let recall = common as f64 / exact.indices.len() as f64;
    eprintln!("graph of 200,000 rows in {seconds:.1} s; recall@10 {recall:.4}");
    assert!(recall >= 0.95);
    search(c, "UsearchIndex", &index, &queries, 10);
    search(c, "UsearchIndex-rows", index.rows(), &queries, 10);
}

#[cfg(not(feature = "usearch"))]
fn graphs(_: &mut Criterion) {}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = searches, graphs, accuracies, clusterings
}
criterion_main!(benches);
