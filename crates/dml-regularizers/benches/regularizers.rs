//! Every regularizer of class weights, with gradient: `cargo bench -p dml-regularizers`.
//!
//! Ids are `regularizer/NAME/N<rows>-D<dim>`. Set `DML_BENCH_ROWS=10000` for other numbers of rows.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{Device, Tensor, Var};
use dml_core::{Distance, Regularizer, Result};
use dml_distances::{CosineSimilarity, LpDistance, LpDistanceConfig};
use dml_reducers::{DivisorReducer, MeanReducer};
use dml_regularizers::{
    CenterInvariantRegularizer, KoLeoRegularizer, LpRegularizer, RegularFaceRegularizer,
    SparseCentersRegularizer, SparseCentersRegularizerConfig, UniformityRegularizer,
    ZeroMeanRegularizer,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;
const CENTERS: usize = 4;

fn regularizers(rows: usize) -> Result<Vec<(&'static str, Arc<dyn Regularizer>)>> {
    let cosine = || -> Arc<dyn Distance> { Arc::new(CosineSimilarity::default()) };
    let lp = || -> Arc<dyn Distance> { Arc::new(LpDistance::default()) };
    let mean = || Arc::new(MeanReducer);
    let squared = LpDistance::new(LpDistanceConfig {
        power: 2.0,
        ..Default::default()
    })?;
    let centers = SparseCentersRegularizerConfig {
        num_classes: rows / CENTERS,
        centers_per_class: CENTERS,
    };
    Ok(vec![
        (
            "LpRegularizer",
            Arc::new(LpRegularizer::new(Default::default(), mean())?),
        ),
        (
            "ZeroMeanRegularizer",
            Arc::new(ZeroMeanRegularizer::new(mean())),
        ),
        (
            "CenterInvariantRegularizer",
            Arc::new(CenterInvariantRegularizer::new(
                LpDistance::unnormalized(),
                mean(),
            )?),
        ),
        (
            "RegularFaceRegularizer",
            Arc::new(RegularFaceRegularizer::new(cosine(), mean())?),
        ),
        (
            "SparseCentersRegularizer",
            Arc::new(SparseCentersRegularizer::new(
                centers,
                cosine(),
                DivisorReducer,
            )?),
        ),
        (
            "KoLeoRegularizer",
            Arc::new(KoLeoRegularizer::new(lp(), mean())?),
        ),
        (
            "UniformityRegularizer",
            Arc::new(UniformityRegularizer::new(Default::default(), squared)?),
        ),
    ])
}

fn sizes() -> Vec<usize> {
    let chosen = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256,1024".to_owned());
    chosen.split(',').filter_map(|n| n.parse().ok()).collect()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("regularizer");
    group.sample_size(10);
    for rows in sizes() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let values: Vec<f32> = (0..rows * DIM)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let weights = Tensor::from_vec(values, (rows, DIM), &Device::Cpu).expect("weights");
        let weights = Var::from_tensor(&weights).expect("a variable");
        for (name, regularizer) in regularizers(rows).expect("regularizers") {
            group.bench_function(format!("{name}/N{rows}-D{DIM}"), |b| {
                b.iter(|| -> Result<Option<Tensor>> {
                    let penalty = regularizer.penalty(black_box(&weights))?;
                    Ok(penalty.backward()?.remove(&weights))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
