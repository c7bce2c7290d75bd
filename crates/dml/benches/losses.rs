//! Every loss with its gradient, by name: `cargo bench -p dml --bench losses`.
//!
//! Ids are `loss/<name>/N<rows>`, of 8 classes and 128 columns, with the defaults of the configuration. 256 rows run by
//! default: set `DML_BENCH_ROWS=1024` for others.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dml::candle_core::{Device, Tensor, Var};
use dml::config::{LossConfig, LossKind};
use dml::{Batch, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

const CLASSES: usize = 8;
const DIM: usize = 128;

/// Losses around another loss, whose time it is.
const WRAPPERS: &[&str] = &["CrossBatchMemory", "MultipleLosses", "SelfSupervisedLoss"];

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

/// The configuration of a loss: its name, and what it can't do without.
fn config(name: &str) -> String {
    let mut config = Map::from_iter([("name".to_owned(), Value::from(name))]);
    config.extend(LossKind::sizes(name, CLASSES, DIM));
    if name == "RankedListLoss" {
        config.extend([
            ("margin".to_owned(), 1.into()),
            ("Tn".to_owned(), 10.into()),
        ]);
    }
    Value::Object(config).to_string()
}

fn bench(c: &mut Criterion) {
    let sizes = std::env::var("DML_BENCH_ROWS").unwrap_or_else(|_| "256".to_owned());
    for count in sizes.split(',').filter_map(|n| n.trim().parse().ok()) {
        let leaf = rows(count).expect("the rows are well formed");
        let labels: Vec<i64> = (0..count).map(|row| (row % CLASSES) as i64).collect();
        for name in LossKind::NAMES {
            if WRAPPERS.contains(name) {
                continue;
            }
            let objective = LossConfig::from_json(&config(name))
                .and_then(|config| config.build())
                .expect("the defaults are valid");
            // VICReg compares two views, whatever their labels.
            let batch = match *name {
                "VICRegLoss" => Batch::unlabeled(&leaf),
                _ => Batch::new(&leaf, &labels),
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
