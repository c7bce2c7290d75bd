//! Every miner on clustered embeddings: `cargo bench -p dml-miners`.
//!
//! Ids are `miner/NAME/N<rows>-D<dim>`; the batch has 10 classes. Only sizes up to 1,024 run by default: set
//! `DML_BENCH_ROWS=256,4096` for others.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{Device, Tensor};
use dml_core::{Batch, Distance, Miner, Result};
use dml_distances::{CosineSimilarity, LpDistance};
use dml_miners::{
    AngularMiner, BatchEasyHardMiner, BatchHardMiner, DistanceWeightedMiner, HDCMiner,
    MultiSimilarityMiner, NHardTripletsMiner, PairMarginMiner, TripletMarginMiner,
    TripletMarginMinerConfig, TripletType, UniformHistogramMiner,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 128;
const CLASSES: usize = 10;

/// Rows around one random centre a class.
fn batch(rows: usize) -> Result<Batch> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // The sum of twelve uniform numbers is close enough to a normal one.
    let mut normal = || (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let centres: Vec<f32> = (0..CLASSES * DIM).map(|_| 0.6 * normal()).collect();
    let labels: Vec<i64> = (0..rows).map(|i| (i % CLASSES) as i64).collect();
    let values = (0..rows * DIM)
        .map(|i| centres[(i / DIM % CLASSES) * DIM + i % DIM] + normal())
        .collect::<Vec<f32>>();
    Batch::new(
        &Tensor::from_vec(values, (rows, DIM), &Device::Cpu)?,
        labels,
    )
}

fn miners() -> Result<Vec<(&'static str, Arc<dyn Miner>)>> {
    let lp = || -> Arc<dyn Distance> { Arc::new(LpDistance::default()) };
    let of_type = |type_of_triplets| TripletMarginMinerConfig {
        margin: 0.2,
        type_of_triplets,
    };
    Ok(vec![
        (
            "TripletMarginMiner-all",
            Arc::new(TripletMarginMiner::new(of_type(TripletType::All), lp())?),
        ),
        (
            "TripletMarginMiner-semihard",
            Arc::new(TripletMarginMiner::new(
                of_type(TripletType::Semihard),
                lp(),
            )?),
        ),
        (
            "PairMarginMiner",
            Arc::new(PairMarginMiner::new(Default::default(), lp())?),
        ),
        (
            "MultiSimilarityMiner",
            Arc::new(MultiSimilarityMiner::new(
                Default::default(),
                CosineSimilarity::default(),
            )?),
        ),
        (
            "BatchHardMiner",
            Arc::new(BatchHardMiner::new(Default::default(), lp())?),
        ),
        (
            "BatchEasyHardMiner",
            Arc::new(BatchEasyHardMiner::new(Default::default(), lp())?),
        ),
        (
            "HDCMiner",
            Arc::new(HDCMiner::new(Default::default(), lp())?),
        ),
        (
            "AngularMiner",
            Arc::new(AngularMiner::new(Default::default(), lp())?),
        ),
        (
            "DistanceWeightedMiner",
            Arc::new(DistanceWeightedMiner::new(Default::default(), lp())?),
        ),
        (
            "UniformHistogramMiner",
            Arc::new(UniformHistogramMiner::new(Default::default(), lp())?),
        ),
        (
            "NHardTripletsMiner",
            Arc::new(NHardTripletsMiner::new(Default::default(), lp())?),
        ),
    ])
}

fn bench(c: &mut Criterion) {
    let sizes = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256,1024".to_owned());
    for rows in sizes.split(',').filter_map(|size| size.trim().parse().ok()) {
        let batch = batch(rows).expect("the batch is well formed");
        let lp = LpDistance::default();
        c.bench_function(&format!("distance/LpDistance/N{rows}-D{DIM}"), |b| {
            b.iter(|| black_box(batch.distances(&lp)));
        });
        for (name, miner) in miners().expect("the defaults are valid") {
            c.bench_function(&format!("miner/{name}/N{rows}-D{DIM}"), |b| {
                b.iter(|| black_box(miner.mine(&batch)));
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
