//! The state of a run, captured for a checkpoint.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::Trainer;
use super::named_state::{PASS_DRAWN_WITH, SAMPLER, hook_keys, prefix};
use super::parameter_groups::parameter_groups;
use crate::checkpoint::{Fingerprint, Sequence, Snapshot, State};
use crate::{Loader, Method, Result, TrainError};

impl<M: Method> Trainer<M> {
    /// Everything that the rest of the run depends on.
    pub(super) fn snapshot(&mut self) -> Result<Snapshot> {
        let mut state = State::new(self.counters, self.run.seed);
        state.fingerprint = Some(self.fingerprint());
        state.epoch_loss = self.epoch_loss;
        state.loss_scale = self.loss_scale.as_ref().map(|own| own.state);
        state.validation = self.run.validation.as_ref().map(|own| own.state.clone());
        let keys = hook_keys(&self.run.hooks);
        for (hook, key) in self.run.hooks.iter_mut().zip(keys) {
            let remembered = hook.state();
            let remembered = remembered.map_err(|source| TrainError::hook(hook.name(), source))?;
            if !remembered.is_null() {
                state.hooks.insert(key, remembered);
            }
        }
        for (name, seeds) in self.seeds() {
            let sequences = seeds.iter().map(|own| Sequence {
                seed: own.seed(),
                calls: own.calls(),
            });
            state.sequences.insert(name, sequences.collect());
        }
        for group in parameter_groups(&self.run.method) {
            if let Some(plateau) = &group.plateau {
                let plateau = plateau.state.clone();
                state.plateaus.insert(group.name().to_owned(), plateau);
            }
        }
        let tensors = self.tensors()?;
        Ok(Snapshot { state, tensors })
    }

    /// The tensors of a checkpoint, by prefix and name.
    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = HashMap::new();
        for (prefix, variables) in self.variables() {
            for (name, var) in variables {
                tensors.insert(format!("{prefix}{name}"), var.as_detached_tensor());
            }
        }
        for group in parameter_groups(&self.run.method) {
            if let Some(optimizer) = group.optimizer() {
                for (name, tensor) in optimizer.state()? {
                    let owner = group.name();
                    tensors.insert(format!("{}{owner}/{name}", prefix::OPTIMIZERS), tensor);
                }
            }
        }
        for criterion in self.run.method.criteria() {
            for (name, tensor) in criterion.objective().loss().buffers()? {
                let owner = criterion.name();
                tensors.insert(format!("{}{owner}/{name}", prefix::LOSS_BUFFERS), tensor);
            }
        }
        if let Some(ema) = &self.ema {
            for (name, average) in ema.averages() {
                tensors.insert(format!("{}{name}", prefix::AVERAGES), average.clone());
            }
        }
        let drawn_with = self.loader.as_ref().and_then(Loader::drawn_with);
        for (name, numbers) in [
            (SAMPLER, self.run.sampler.state()),
            (PASS_DRAWN_WITH, drawn_with.map(|own| own.to_vec())),
        ] {
            if let Some(numbers) = numbers {
                let count = numbers.len();
                let tensor = Tensor::from_vec(numbers, count, &Device::Cpu)?;
                tensors.insert(name.to_owned(), tensor);
            }
        }
        Ok(tensors)
    }

    /// The fingerprint by which data and batches are recognised.
    pub(super) fn fingerprint(&mut self) -> Fingerprint {
        let run = &self.run;
        *self
            .fingerprint
            .get_or_insert_with(|| Fingerprint::of(&*run.dataset, &*run.sampler))
    }
}
