//! Semihard mining, triplet margin loss and backward on 128-dimensional embeddings of 10 classes.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::{Device, Var};
use dml::config::{LossConfig, MinerConfig};
use dml::{Batch, TupleCount};
use dml_program::peak_mb;

use super::data::{self, Data};
use super::worker::{self, Sample};
use super::{Peer, Workload};

const CLASSES: usize = 10;
/// Beyond this many rows the peer runs out of memory or patience: it writes all triplets out.
const PEER_ROWS: usize = 1024;

/// One workload for each batch size.
pub(super) fn workloads(folder: &Path) -> anyhow::Result<Vec<Workload>> {
    [256usize, 1024, 4096, 8192, 16384]
        .into_iter()
        .map(|rows| {
            let mut told = vec!["triplet".to_owned()];
            told.extend(Data::write(folder, rows, CLASSES)?.told());
            Ok(Workload {
                id: format!("triplet/semihard/N{rows}"),
                same_work: true,
                ours: told.clone(),
                peer: (rows <= PEER_ROWS).then_some(Peer::Python(told)),
            })
        })
        .collect()
}

/// The worker.
pub(super) fn serve(told: &[String], device: &Device) -> anyhow::Result<()> {
    let Ok(told) = <&[String; 4]>::try_from(told) else {
        bail!("triplet: expected EMBEDDINGS LABELS ROWS DIM, got {told:?}");
    };
    let (x, y) = data::read(told, device)?;
    let miner = MinerConfig::from_json(
        r#"{"name": "TripletMarginMiner", "margin": 0.2, "type_of_triplets": "semihard"}"#,
    )?;
    let loss = LossConfig::from_json(r#"{"name": "TripletMarginLoss", "margin": 0.2}"#)?;
    let objective = loss.build()?.with_miner(miner.build()?);
    worker::serve(|| {
        let leaf = Var::from_tensor(&x)?;
        let start = Instant::now();
        let outcome = objective.evaluate(&Batch::new(&leaf, &y)?)?;
        let gradients = outcome.loss.backward()?;
        device.synchronize()?;
        let ms = 1000.0 * start.elapsed().as_secs_f64();
        gradients
            .get(leaf.as_tensor())
            .context("the embeddings have a gradient")?;
        Ok(Sample {
            ms,
            loss: f64::from(outcome.loss.to_scalar::<f32>()?),
            tuples: outcome.mined.map_or(0, TupleCount::total),
            peak_mb: peak_mb().unwrap_or(0.0),
        })
    })
}
