//! Semihard mining, triplet margin loss and backward on 128-dimensional embeddings of 10 classes.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::{Device, Tensor, Var};
use dml::config::{LossConfig, MinerConfig};
use dml::{Batch, TupleCount};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Workload;
use super::worker::{self, Sample};
use crate::memory::peak_mb;

const DIM: usize = 128;
const CLASSES: usize = 10;
/// Beyond this many rows the peer runs out of memory or patience: it writes all triplets out.
const PEER_ROWS: usize = 1024;

/// One workload for each batch size, on data that ours and the peer's read from the same files.
pub(super) fn workloads(folder: &Path) -> anyhow::Result<Vec<Workload>> {
    [256usize, 1024, 4096, 8192]
        .into_iter()
        .map(|rows| {
            let (embeddings, labels) = (
                folder.join(format!("{rows}.f32")),
                folder.join(format!("{rows}.i64")),
            );
            let (x, y) = clusters(rows);
            fs::write(
                &embeddings,
                x.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>(),
            )?;
            fs::write(
                &labels,
                y.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>(),
            )?;
            let told = [
                "triplet",
                &embeddings.to_string_lossy(),
                &labels.to_string_lossy(),
                &rows.to_string(),
                &DIM.to_string(),
            ]
            .map(str::to_owned)
            .to_vec();
            Ok(Workload {
                id: format!("triplet/semihard/N{rows}"),
                same_work: true,
                ours: told.clone(),
                peer: (rows <= PEER_ROWS).then_some(told),
            })
        })
        .collect()
}

/// Rows around one random centre a class: as apart as embeddings early in training.
fn clusters(rows: usize) -> (Vec<f32>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // The sum of twelve uniform numbers is close enough to a normal one.
    let mut normal = || (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>();
    let centres: Vec<f32> = (0..CLASSES * DIM).map(|_| 0.6 * normal()).collect();
    let labels: Vec<i64> = (0..rows).map(|i| (i % CLASSES) as i64).collect();
    let embeddings = labels
        .iter()
        .flat_map(|&c| {
            centres[c as usize * DIM..][..DIM]
                .iter()
                .map(|x| x + normal())
                .collect::<Vec<_>>()
        })
        .collect();
    (embeddings, labels)
}

/// The worker.
pub(super) fn serve(told: &[String]) -> anyhow::Result<()> {
    let [embeddings, labels, rows, dim] = told else {
        bail!("triplet: expected EMBEDDINGS LABELS ROWS DIM, got {told:?}");
    };
    let read = |path: &String| fs::read(path).with_context(|| path.clone());
    let x: Vec<f32> = read(embeddings)?
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let y: Vec<i64> = read(labels)?
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect();
    let x = Tensor::from_vec(
        x,
        (rows.parse::<usize>()?, dim.parse::<usize>()?),
        &Device::Cpu,
    )?;
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
        let ms = 1000.0 * start.elapsed().as_secs_f64();
        gradients
            .get(leaf.as_tensor())
            .context("the embeddings have a gradient")?;
        Ok(Sample {
            ms,
            loss: f64::from(outcome.loss.to_scalar::<f32>()?),
            triplets: outcome.mined.map_or(0, TupleCount::total),
            peak_mb: peak_mb().unwrap_or(0.0),
        })
    })
}
