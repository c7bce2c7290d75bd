//! Metrics of rankings and of clusters: `cargo bench -p dml-eval --bench accuracy`.
//!
//! Ids are `accuracy/METRICS/Q<queries>-R<references>-D<dim>`.

// A bench can't return an error.
#![allow(clippy::unwrap_used)]

mod data;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use data::{DIM, rows};
use dml_core::Batch;
use dml_eval::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex};

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
        let calculator = AccuracyCalculator::new(config, FlatIndex::default()).unwrap();
        c.bench_function(&format!("accuracy/{id}/Q{q}-R{r}-D{DIM}"), |b| {
            b.iter(|| black_box(calculator.get_accuracy(&batch)).unwrap());
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = accuracies
}
criterion_main!(benches);
