//! Whether a run that is taken up again is the same run.
//!
//! Beside its checkpoints a run keeps `settings.json`: all that its weights follow from. How many epochs it has, and
//! what it writes besides, may change from one interruption to the next.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::outputs::Outputs;
use crate::report::Config;

/// Under which name they stand in the folder of checkpoints.
const FILE: &str = "checkpoints/settings.json";

/// All that the weights of a run follow from, and some settings besides.
#[derive(Debug, Serialize)]
pub(crate) struct Settings<'a> {
    pub(crate) seed: u64,
    pub(crate) dataset: &'a str,
    #[serde(flatten)]
    pub(crate) config: Config<'a>,
}

/// What the weights of a run follow from, in the order in which differences are told: what has a name of its own first.
const NAMES: [&str; 11] = [
    "seed",
    "batch_size",
    // The masks of dropout follow from the calls, and there is one for each of the chunks.
    "gradient_cache",
    "lr",
    "dataset",
    "train_images",
    "test_images",
    "device",
    "loss",
    "miner",
    "sampler",
];

impl Settings<'_> {
    /// Writes them down for a run that begins.
    pub(crate) fn keep(&self, outputs: &Outputs) -> anyhow::Result<()> {
        outputs.write(FILE, &serde_json::to_vec_pretty(self)?)
    }

    /// Refuses to go on with a run of other settings.
    pub(crate) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        let text = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        let kept: Map<String, Value> = serde_json::from_slice(&text)
            .with_context(|| format!("can't read {}", path.display()))?;
        let own = serde_json::to_value(self)?;
        for name in NAMES {
            let kept = kept.get(name).unwrap_or(&Value::Null);
            if *kept != own[name] {
                bail!(
                    "--resume: the run in {} has {name} {kept}, and this one has {}; give it the same settings",
                    folder.display(),
                    own[name]
                );
            }
        }
        Ok(())
    }
}
