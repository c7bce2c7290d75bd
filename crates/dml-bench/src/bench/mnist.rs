//! One epoch of the MNIST example, from a fresh network: by `dml::train`, against PML's and against a loop by hand.

mod by_hand;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail};
use dml::candle_core::Device;
use dml::train::Flow;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::worker::{self, Sample};
use super::{Peer, Workload};
use dml_mnist::{ComponentArgs, Dataset, Digits, Network, Training, open};

const BATCH: usize = 256;

const LEARNING_RATE: f64 = 0.01;

/// The workloads on the files of a folder; on synthetic digits, which PML does not have, without one.
pub(super) fn workloads(folder: Option<&Path>, images: usize) -> Vec<Workload> {
    let source = folder.map_or("synthetic".into(), Path::to_string_lossy);
    let told = |workload: &str| -> Vec<String> {
        [workload, &source, &images.to_string(), &BATCH.to_string()]
            .map(str::to_owned)
            .to_vec()
    };
    let by_hand = Workload {
        id: format!("mnist/trainer-by-hand/{images}"),
        same_work: true,
        ours: told("mnist"),
        peer: Some(Peer::Own(told("mnist-by-hand"))),
    };
    let epoch = folder.map(|_| {
        let id = format!("mnist/epoch/{images}");
        Workload::new(id, false, told("mnist"), true)
    });
    epoch.into_iter().chain([by_hand]).collect()
}

/// What an epoch needs, but for the network.
pub(super) struct Setup {
    device: Device,
    digits: Digits,
    components: dml_mnist::Components,
}

impl Setup {
    fn new(told: &[String], device: &Device) -> anyhow::Result<Self> {
        let [folder, images, batch] = told else {
            bail!("mnist: expected FOLDER IMAGES BATCH, got {told:?}");
        };
        let limit = Some(images.parse()?);
        let digits = match folder.as_str() {
            "synthetic" => open(Dataset::Synthetic, None, limit)?,
            folder => open(Dataset::Mnist, Some(Path::new(folder)), limit)?,
        };
        let components = ComponentArgs::default().resolve(batch.parse()?, 0)?;
        Ok(Self {
            device: device.clone(),
            digits,
            components,
        })
    }

    /// An epoch by `dml::train`: loss and mined tuples of the last batch.
    pub(super) fn trainer(&self, network: &Network) -> anyhow::Result<(f64, u64)> {
        let training = Training {
            network,
            digits: &self.digits,
            objective: self.components.objective(&self.device)?,
            sampler: self.components.sampler(self.digits.sets.train.labels())?,
            learning_rate: LEARNING_RATE,
            gradient_cache: None,
            device: &self.device,
        };
        let last = Rc::new(Cell::new(None));
        let told = last.clone();
        let mut trainer = training
            .builder()?
            .on_iteration(move |done| {
                told.set(Some((done.loss, done.mined.unwrap_or(done.total))));
                Ok(Flow::Continue)
            })
            .build()?;
        trainer.run(1)?;
        last.get().context("an epoch has iterations")
    }
}

/// The worker of `epoch`, an epoch of a fresh network.
pub(super) fn serve(
    told: &[String],
    device: &Device,
    epoch: fn(&Setup, &Network) -> anyhow::Result<(f64, u64)>,
) -> anyhow::Result<()> {
    let setup = Setup::new(told, device)?;
    worker::serve(|| {
        let network = fresh(device)?;
        let start = Instant::now();
        let (loss, tuples) = epoch(&setup, &network)?;
        device.synchronize()?;
        Ok(Sample::since(start, loss, tuples))
    })
}

fn fresh(device: &Device) -> dml::Result<Network> {
    Network::new(&mut ChaCha8Rng::seed_from_u64(0), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trainer_and_hand_learn_the_same_bits() -> anyhow::Result<()> {
        let cpu = &Device::Cpu;
        let setup = Setup::new(&["synthetic", "96", "16"].map(str::to_owned), cpu)?;
        let (ours, by_hand) = (fresh(cpu)?, fresh(cpu)?);
        assert_eq!(setup.trainer(&ours)?, setup.by_hand(&by_hand)?);
        let (start, learnt) = (fresh(cpu)?.parameters(), by_hand.parameters());
        for (name, var) in ours.parameters().iter() {
            let bits = |parameters: &dml::nn::Parameters| -> anyhow::Result<Vec<u32>> {
                let var = parameters.get(name).context("a parameter of that name")?;
                let values = var.flatten_all()?.to_vec1::<f32>()?;
                Ok(values.into_iter().map(f32::to_bits).collect())
            };
            let own = var.flatten_all()?.to_vec1::<f32>()?;
            let own: Vec<u32> = own.into_iter().map(f32::to_bits).collect();
            assert!(own == bits(&learnt)?, "{name} differs");
            assert!(own != bits(&start)?, "{name} has not moved");
        }
        Ok(())
    }
}
