//! The state of a run, put back from a checkpoint.

use std::collections::HashMap;

use candle_core::Tensor;
use dml_core::{SeedSequence, checkpoint};

use super::Trainer;
use super::named_state::{PASS_DRAWN_WITH, SAMPLER, hook_keys, prefix, without_prefix};
use crate::checkpoint::{Snapshot, State};
use crate::{Method, Result, TrainError};

impl<M: Method> Trainer<M> {
    /// Puts the run where [`snapshot`](Self::snapshot) captured it.
    pub(super) fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        let Snapshot { state, tensors } = snapshot;
        self.check_seeds(&state)?;
        if let Some(fingerprint) = state.fingerprint {
            self.fingerprint().check(fingerprint)?;
        }
        self.assign_weights(&tensors)?;
        self.restore_averages(&tensors)?;
        self.restore_losses(&tensors)?;
        self.restore_groups(&state, &tensors)?;
        for (name, seeds) in self.seeds() {
            for (seed, sequence) in seeds.iter().zip(&state.sequences[&name]) {
                seed.resume(sequence.calls);
            }
        }
        if let (Some(validation), Some(state)) = (&mut self.run.validation, state.validation) {
            validation.state = state;
        }
        if let (Some(scale), Some(state)) = (&mut self.loss_scale, state.loss_scale) {
            scale.state = state;
        }
        self.counters = state.counters;
        self.epoch_loss = state.epoch_loss;
        self.restore_sampler(&tensors)?;
        // Hooks come last, since logs may cut their files back: nothing on the disk changes for a run that is refused.
        let keys = hook_keys(&self.run.hooks);
        for (hook, key) in self.run.hooks.iter_mut().zip(keys) {
            if let Some(remembered) = state.hooks.get(&key) {
                let loaded = hook.load_state(remembered);
                loaded.map_err(|source| TrainError::hook(hook.name(), source))?;
            }
        }
        Ok(())
    }

    fn restore_averages(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        if let Some(ema) = &mut self.ema {
            let averages = without_prefix(tensors, prefix::AVERAGES);
            checkpoint::fits(ema.averages(), &averages)?;
            ema.assign(&averages)?;
        }
        Ok(())
    }

    fn restore_losses(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for criterion in self.run.method.criteria() {
            let prefix = format!("{}{}/", prefix::LOSS_BUFFERS, criterion.name());
            let buffers = without_prefix(tensors, &prefix);
            if !buffers.is_empty() {
                criterion.objective().loss().set_buffers(&buffers)?;
            }
        }
        Ok(())
    }

    /// Optimisers and plateau schedules.
    fn restore_groups(&mut self, state: &State, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for group in self.run.method.parameter_groups_mut() {
            let name = group.name().to_owned();
            if let Some(optimizer) = &mut group.optimizer {
                let prefix = format!("{}{name}/", prefix::OPTIMIZERS);
                optimizer.load_state(&without_prefix(tensors, &prefix))?;
            }
            if let (Some(plateau), Some(state)) = (&mut group.plateau, state.plateaus.get(&name)) {
                plateau.state = state.clone();
            }
        }
        Ok(())
    }

    /// The sampler, and the unfinished pass as it was drawn. The counters are those of the checkpoint already.
    fn restore_sampler(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let numbers = |name| -> Result<Option<Vec<f64>>> {
            let tensor = tensors.get(name).map(Tensor::to_vec1::<f64>);
            Ok(tensor.transpose()?)
        };
        // Batches that were fetched ahead belong to another position.
        self.loader = None;
        let is_within_pass = self.counters.position.batch > 0;
        if let (Some(drawn_with), true) = (numbers(PASS_DRAWN_WITH)?, is_within_pass) {
            self.run.sampler.set_state(&drawn_with)?;
            self.loader = Some(self.new_loader());
        }
        if let Some(sampler) = numbers(SAMPLER)? {
            self.run.sampler.set_state(&sampler)?;
        }
        Ok(())
    }

    /// Checks that the random sequences of the run have the seeds of the checkpoint.
    fn check_seeds(&self, state: &State) -> Result<()> {
        let mut pairs = vec![("data set".to_owned(), vec![state.seed], vec![self.run.seed])];
        for (name, seeds) in self.seeds() {
            let expected = state.sequences.get(&name).into_iter().flatten();
            let expected = expected.map(|sequence| sequence.seed).collect();
            let got = seeds.iter().map(SeedSequence::seed).collect();
            pairs.push((name, expected, got));
        }
        for (name, expected, got) in pairs {
            if expected != got {
                return Err(TrainError::Seeds {
                    name,
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }
}
