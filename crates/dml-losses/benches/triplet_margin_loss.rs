//! The triplet margin loss with its gradient: `cargo bench -p dml-losses`.
//!
//! Ids are `loss/TripletMarginLoss/<kind>/N<rows>-D<dim>`; the batch has 10 classes. Only sizes up to 1,024 run by
//! default: set `DML_BENCH_ROWS=256,4096` for others.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dml_core::candle_core::{Device, Tensor, Var};
use dml_core::{Batch, Objective, Result};
use dml_distances::LpDistance;
use dml_losses::{TripletMarginLoss, TripletMarginLossConfig};
use dml_reducers::AvgNonZeroReducer;
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
    let leaf = Var::from_tensor(&Tensor::from_vec(values, (rows, DIM), &Device::Cpu)?)?;
    Batch::new(&leaf, labels)
}

fn objective(smooth_loss: bool, swap: bool) -> Result<Objective> {
    let config = TripletMarginLossConfig {
        margin: 0.2,
        smooth_loss,
        swap,
        ..Default::default()
    };
    let loss = TripletMarginLoss::new(config, Arc::new(LpDistance::default()))?;
    Ok(Objective::new(
        Arc::new(loss),
        Arc::new(AvgNonZeroReducer::new(Default::default())?),
    ))
}

fn bench(c: &mut Criterion) {
    let sizes = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256,1024".to_owned());
    for rows in sizes.split(',').filter_map(|size| size.trim().parse().ok()) {
        let batch = batch(rows).expect("the batch is well formed");
        for (kind, smooth_loss, swap) in [
            ("all", false, false),
            ("smooth", true, false),
            ("swap", false, true),
        ] {
            let objective = objective(smooth_loss, swap).expect("the arguments are valid");
            c.bench_function(
                &format!("loss/TripletMarginLoss/{kind}/N{rows}-D{DIM}"),
                |b| {
                    b.iter(|| {
                        black_box(
                            objective
                                .forward(&batch)
                                .and_then(|loss| Ok(loss.backward()?)),
                        )
                    });
                },
            );
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
