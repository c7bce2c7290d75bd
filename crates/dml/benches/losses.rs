//! Every loss with its gradient, by name: `cargo bench -p dml --bench losses`.
//!
//! Ids are `loss/<name>/N<rows>`, of 8 classes and 128 columns, with the defaults of the configuration and what the registry gives for arguments without a default. 256 rows run by
//! default: set `DML_BENCH_ROWS=1024` for others.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dml::candle_core::{Device, Tensor, Var};
use dml::config::{BatchSizes, LossConfig, LossKind, from_value};
use dml::{Batch, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 8;
const DIM: usize = 128;

/// Rows of random classes in equal numbers, as SmoothAP asks for.
fn rows(count: usize) -> Result<Var> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let values: Vec<f32> = (0..count * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Ok(Var::from_tensor(&Tensor::from_vec(
        values,
        (count, DIM),
        &Device::Cpu,
    )?)?)
}

fn bench(c: &mut Criterion) {
    let sizes = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256".to_owned());
    for count in sizes.split(',').filter_map(|n| n.trim().parse().ok()) {
        let leaf = rows(count).expect("the rows are well formed");
        let labels: Vec<i64> = (0..count).map(|row| (row % CLASSES) as i64).collect();
        for name in LossKind::NAMES {
            let sizes = BatchSizes {
                rows: count,
                num_classes: CLASSES,
                embedding_size: DIM,
            };
            let mut config = LossKind::required(name, sizes);
            config.insert("name".to_owned(), (*name).into());
            let objective = from_value::<LossConfig>(config.into())
                .and_then(|config| config.build())
                .expect("the defaults are valid");
            // Some losses compare two views, whatever their labels.
            let batch = match objective.loss().reads_relation() {
                true => Batch::new(&leaf, &labels),
                false => {
                    Batch::unlabeled(&leaf).and_then(|batch| batch.with_unlabeled_reference(&leaf))
                }
            };
            let batch = batch.expect("the batch is well formed");
            c.bench_function(&format!("loss/{name}/N{count}"), |b| {
                b.iter(|| {
                    let loss = objective.forward(&batch).expect("the loss is defined");
                    black_box(loss.backward().expect("it has a gradient"))
                });
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
