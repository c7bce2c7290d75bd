//! One epoch of the MNIST example, from a fresh network.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Workload;
use super::worker::{self, Sample};
use crate::memory::peak_mb;
use crate::mnist::{Dataset, Interrupt, Network, PartArgs, Trainer, open};

const BATCH: usize = 256;

/// The workload on the files of a folder; on synthetic digits, which the peer does not have, without one.
pub(super) fn workloads(folder: Option<&Path>, images: usize) -> Vec<Workload> {
    let told = |folder: &str| {
        ["mnist", folder, &images.to_string(), &BATCH.to_string()]
            .map(str::to_owned)
            .to_vec()
    };
    let id = format!("mnist/epoch/{images}");
    vec![match folder {
        Some(folder) => {
            let told = told(&folder.to_string_lossy());
            Workload {
                id,
                same_work: false,
                ours: told.clone(),
                peer: Some(told),
            }
        }
        None => Workload {
            id,
            same_work: false,
            ours: told("synthetic"),
            peer: None,
        },
    }]
}

/// The worker.
pub(super) fn serve(told: &[String]) -> anyhow::Result<()> {
    let [folder, images, batch] = told else {
        bail!("mnist: expected FOLDER IMAGES BATCH, got {told:?}");
    };
    let limit = Some(images.parse()?);
    let digits = match folder.as_str() {
        "synthetic" => open(Dataset::Synthetic, None, limit)?,
        folder => open(Dataset::Mnist, Some(Path::new(folder)), limit)?,
    };
    let parts = PartArgs::default().resolve(batch.parse()?, 0)?;
    let objective = parts.objective()?;
    let sampler = parts.sampler(digits.sets.train.labels())?;
    worker::serve(|| {
        let network = Network::new(&mut ChaCha8Rng::seed_from_u64(0), &Device::Cpu)?;
        let trainer = Trainer {
            network: &network,
            digits: &digits,
            objective: &objective,
            sampler: &*sampler,
            learning_rate: 0.01,
            device: &Device::Cpu,
            interrupt: &Interrupt::default(),
        };
        let start = Instant::now();
        let last = trainer
            .run(1, |_| Ok(()))?
            .context("an epoch has iterations")?;
        Ok(Sample {
            ms: 1000.0 * start.elapsed().as_secs_f64(),
            loss: f64::from(last.loss),
            tuples: last.mined,
            peak_mb: peak_mb().unwrap_or(0.0),
        })
    })
}
