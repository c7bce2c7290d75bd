//! Every distance of a batch among itself, alone and with its gradient: `cargo bench -p dml-distances`.
//!
//! Ids are `distance/NAME/forward|backward/N<rows>-D<dim>`; `backward` includes the forward pass. Only sizes up to 1,024
//! run by default: set `DML_BENCH_ROWS=256,4096` for others.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Distance, Result};
use dml_distances::{
    CosineSimilarity, DotProductSimilarity, DotProductSimilarityConfig, HammingDistance,
    LpDistance, LpDistanceConfig, MahalanobisDistance, MahalanobisDistanceConfig, SNRDistance,
    SNRDistanceConfig,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;

fn uniform(seed: u64, shape: (usize, usize)) -> Result<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.0 * shape.1)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn lp(p: f64, power: f64) -> Result<Arc<dyn Distance>> {
    Ok(Arc::new(LpDistance::new(LpDistanceConfig {
        p,
        power,
        ..Default::default()
    })?))
}

fn distances() -> Result<Vec<(&'static str, Arc<dyn Distance>)>> {
    let raw = DotProductSimilarityConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    let mahalanobis = MahalanobisDistanceConfig::new(DIM);
    Ok(vec![
        ("CosineSimilarity", Arc::new(CosineSimilarity::default())),
        (
            "DotProductSimilarity-raw",
            Arc::new(DotProductSimilarity::new(raw)?),
        ),
        ("LpDistance", lp(2.0, 1.0)?),
        ("LpDistance-squared", lp(2.0, 2.0)?),
        ("LpDistance-p1", lp(1.0, 1.0)?),
        ("LpDistance-p3", lp(3.0, 1.0)?),
        ("LpDistance-pinf", lp(f64::INFINITY, 1.0)?),
        (
            "SNRDistance",
            Arc::new(SNRDistance::new(SNRDistanceConfig::default())?),
        ),
        (
            "MahalanobisDistance",
            Arc::new(MahalanobisDistance::new(
                mahalanobis,
                DType::F32,
                &Device::Cpu,
            )?),
        ),
    ])
}

fn sizes() -> Vec<usize> {
    let chosen = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256,1024".to_owned());
    chosen.split(',').filter_map(|n| n.parse().ok()).collect()
}

fn gradient(distance: &dyn Distance, x: &Var, weights: &Tensor) -> Result<Tensor> {
    let loss = (distance.matrix(x, None)? * weights)?.sum_all()?;
    let mut gradients = loss.backward()?;
    Ok(gradients.remove(x).expect("a gradient"))
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("distance");
    group.sample_size(10);
    for rows in sizes() {
        let size = format!("N{rows}-D{DIM}");
        let x = uniform(0, (rows, DIM)).expect("rows");
        let weights = uniform(1, (rows, rows)).expect("weights");
        let learned = Var::from_tensor(&x).expect("a variable");
        for (name, distance) in distances().expect("distances") {
            group.bench_function(format!("{name}/forward/{size}"), |b| {
                b.iter(|| distance.matrix(black_box(&x), None));
            });
            group.bench_function(format!("{name}/backward/{size}"), |b| {
                b.iter(|| gradient(&distance, black_box(&learned), &weights));
            });
        }
        let codes = HammingDistance::pack(&x).expect("codes");
        group.bench_function(format!("HammingDistance/forward/{size}"), |b| {
            b.iter(|| HammingDistance.matrix(black_box(&codes), None));
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
