//! What a checkpoint holds.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fingerprint;
use crate::Position;
use crate::mixed_precision::LossScaleState;
use crate::schedule::PlateauState;
use crate::validation::ValidationState;

/// The version of the format.
pub(super) const FORMAT: u32 = 2;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Epochs done.
    pub(crate) epoch: u64,
    /// Iterations done of the epoch that is not done.
    pub(crate) iteration: u64,
    /// Iterations done.
    pub(crate) step: u64,
    /// How many of these made no step.
    #[serde(default)]
    pub(crate) skipped: u64,
    /// Where the next batch stands.
    pub(crate) position: Position,
}

impl Counters {
    /// Steps made: what schedules and averages count.
    pub(crate) fn made(&self) -> u64 {
        self.step.saturating_sub(self.skipped)
    }
}

/// Where a random sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sequence {
    pub(crate) seed: u64,
    pub(crate) calls: u64,
}

/// All but the tensors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) format: u32,
    pub(crate) counters: Counters,
    /// The seed of what the data set draws.
    pub(crate) seed: u64,
    /// Which data and batches these are.
    #[serde(default)]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Seeds and calls of the random sequences of each module and criterion.
    pub(crate) sequences: BTreeMap<String, Vec<Sequence>>,
    pub(crate) plateaus: BTreeMap<String, PlateauState>,
    pub(crate) validation: Option<ValidationState>,
    #[serde(default)]
    pub(crate) loss_scale: Option<LossScaleState>,
    /// Sum and number of the losses of the epoch that is not done.
    #[serde(default, with = "exact")]
    pub(crate) epoch_loss: (f64, u64),
    pub(crate) hooks: BTreeMap<String, Value>,
}

impl State {
    pub(crate) fn new(counters: Counters, seed: u64) -> Self {
        Self {
            format: FORMAT,
            counters,
            seed,
            ..Self::default()
        }
    }
}

/// A number by its bits: a loss may be one that JSON has no word for.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(pair: &(f64, u64), to: S) -> Result<S::Ok, S::Error> {
        (pair.0.to_bits(), pair.1).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(f64, u64), D::Error> {
        let (bits, count) = <(u64, u64)>::deserialize(from)?;
        Ok((f64::from_bits(bits), count))
    }
}

/// A checkpoint in memory.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    pub(crate) tensors: HashMap<String, Tensor>,
}
