//! Every reducer over the pairs of a batch, with gradient: `cargo bench -p dml-reducers`.
//!
//! Ids are `reducer/NAME/N<rows>`; there is a value for every pair of different rows.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Batch, Indices, Over, Reducer, Result, Term, Terms};
use dml_reducers::{
    AvgNonZeroReducer, ClassWeightedReducer, ClassWeightedReducerConfig, DivisorReducer,
    MeanReducer, MultipleReducers, PerAnchorReducer, SumReducer, ThresholdReducer,
    ThresholdReducerConfig,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn reducers() -> Result<Vec<(&'static str, Arc<dyn Reducer>)>> {
    let threshold = ThresholdReducerConfig {
        low: Some(0.1),
        high: Some(0.9),
    };
    let weights = ClassWeightedReducerConfig {
        weights: vec![1.0, 2.0, 0.5],
    };
    let by_name = MultipleReducers::new(MeanReducer).with("loss", SumReducer);
    Ok(vec![
        ("MeanReducer", Arc::new(MeanReducer)),
        ("SumReducer", Arc::new(SumReducer)),
        (
            "ThresholdReducer",
            Arc::new(ThresholdReducer::new(threshold)?),
        ),
        ("AvgNonZeroReducer", Arc::new(AvgNonZeroReducer::default())),
        (
            "ClassWeightedReducer",
            Arc::new(ClassWeightedReducer::new(weights)?),
        ),
        ("DivisorReducer", Arc::new(DivisorReducer)),
        (
            "PerAnchorReducer",
            Arc::new(PerAnchorReducer::new(Default::default(), MeanReducer)),
        ),
        ("MultipleReducers", Arc::new(by_name)),
    ])
}

/// A value for every pair of different rows.
fn pairs(rows: usize) -> Result<(Batch, Var, Terms)> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let labels: Vec<i64> = (0..rows as i64).map(|i| i % 3).collect();
    let batch = Batch::new(&Tensor::zeros((rows, 2), DType::F32, &Device::Cpu)?, labels)?;
    let pairs = (0..rows as u32).flat_map(|i| {
        (0..rows as u32)
            .filter(move |j| *j != i)
            .map(move |j| (i, j))
    });
    let (anchors, others): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let values: Vec<f32> = anchors
        .iter()
        .map(|_| rng.random_range(-0.5..1.0))
        .collect();
    let values = Var::new(values, &Device::Cpu)?;
    let indices = Indices::Pairs { anchors, others };
    let term = Term::explicit(
        "loss",
        Over::NegativePairs,
        values.as_tensor().clone(),
        indices,
    )?;
    Ok((batch, values, term.with_divisor(3.0).into()))
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("reducer");
    group.sample_size(10);
    for rows in [256, 1024] {
        let (batch, values, terms) = pairs(rows).expect("pairs");
        for (name, reducer) in reducers().expect("reducers") {
            group.bench_function(format!("{name}/N{rows}"), |b| {
                b.iter(|| -> Result<Option<Tensor>> {
                    let loss = reducer.reduce(black_box(&terms), &batch)?.loss;
                    Ok(loss.backward()?.remove(&values))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
