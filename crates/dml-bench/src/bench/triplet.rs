//! Semihard mining, triplet margin loss and backward on 128-dimensional embeddings of 10 classes.

use std::path::Path;

use dml::Batch;
use dml::candle_core::Device;
use dml::config::{LossConfig, MinerConfig};

use super::component::serve_steps;
use super::{Workload, data};

const CLASSES: usize = 10;
/// Beyond this many rows the peer runs out of memory or patience: it writes all triplets out.
const PEER_ROWS: usize = 1024;

/// One workload for each batch size.
pub(super) fn workloads(folder: &Path) -> anyhow::Result<Vec<Workload>> {
    [256usize, 1024, 4096, 8192, 16384]
        .into_iter()
        .map(|rows| {
            let mut told = vec!["triplet".to_owned()];
            told.extend(data::write(folder, rows, CLASSES)?);
            let id = format!("triplet/semihard/N{rows}");
            Ok(Workload::new(id, true, told, rows <= PEER_ROWS))
        })
        .collect()
}

/// The worker.
pub(super) fn serve(told: &[String], device: &Device) -> anyhow::Result<()> {
    let (x, y) = data::read(told, device)?;
    let miner = MinerConfig::from_json(
        r#"{"name": "TripletMarginMiner", "margin": 0.2, "type_of_triplets": "semihard"}"#,
    )?;
    let loss = LossConfig::from_json(r#"{"name": "TripletMarginLoss", "margin": 0.2}"#)?;
    let objective = loss.build()?.with_miner(miner.build()?);
    serve_steps(&objective, &x, |leaf| Batch::new(leaf, &y))
}
