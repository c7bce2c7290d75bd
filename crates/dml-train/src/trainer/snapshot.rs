//! A run on its way into a checkpoint and out of one.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use dml_core::folder_lock::FolderLock;
use dml_core::{SeedSequence, checkpoint};
use tracing::info_span;

use super::learners::{average_of_buffer, learners, learners_mut, named};
use super::{Trainer, failed};
use crate::checkpoint::{
    Checkpoints, DamagedCheckpoint, Fingerprint, Latest, Sequence, Snapshot, State,
};
use crate::mixed_precision::LossScale;
use crate::{Hook, Loader, Method, Result, TrainError, Validation};

/// What stands before the names of tensors of each kind.
const PARAMETERS: &str = "parameters/";
const BUFFERS: &str = "buffers/";
const LOSS_BUFFERS: &str = "loss_buffers/";
const MASTERS: &str = "masters/";
const OPTIMIZERS: &str = "optimizers/";
const AVERAGES: &str = "averages/";
/// The state of the sampler as it is, and as it was when the pass was drawn that is not done.
const SAMPLER: &str = "sampler/state";
const DRAWN_WITH: &str = "sampler/drawn_with";

impl<M: Method> Trainer<M> {
    /// Goes on from the latest checkpoint that is whole, and returns its number of iterations; `None` if there is no
    /// checkpoint yet. Later ones that are damaged are renamed and listed by
    /// [`damaged_checkpoints`](Trainer::damaged_checkpoints).
    ///
    /// Until this has succeeded, a folder that holds checkpoints is not changed: not here, and not by a later
    /// [`run`](Trainer::run), which returns [`TrainError::FolderInUse`].
    ///
    /// What follows is bit for bit what would have followed without an interruption, given the same machine, number of
    /// threads, data and settings. Hooks get back what they remember by name,
    /// and those of one name by their order.
    ///
    /// # Errors
    /// [`TrainError::NoCheckpoint`] if the run was built without checkpoints; [`TrainError::Locked`] while another run
    /// writes to the folder; [`TrainError::Damaged`] if there are checkpoints and none is whole; [`TrainError::Format`] if
    /// they were written by another version of this crate;
    /// [`TrainError::Tensors`], [`TrainError::Seeds`] or [`TrainError::OtherData`] if the checkpoint is one of another
    /// run.
    pub fn resume(&mut self) -> Result<Option<u64>> {
        let checkpoints = self.checkpoints()?.clone();
        self.owned_steps = Vec::new();
        self.damaged_checkpoints = Vec::new();
        if checkpoints.steps()?.is_empty() {
            return Ok(None);
        }
        let _lock = checkpoints.lock()?;
        let Some(Latest { snapshot, damaged }) = checkpoints.read_latest()? else {
            return Ok(None);
        };
        self.restore(snapshot)?;
        self.is_torn = false;
        self.damaged_checkpoints = checkpoints.put_aside(damaged)?;
        checkpoints.sweep()?;
        self.owned_steps = checkpoints.steps()?;
        Ok(Some(self.counters.step))
    }

    /// The checkpoints that the last [`resume`](Trainer::resume) passed over because they are damaged, latest first.
    #[must_use]
    pub fn damaged_checkpoints(&self) -> &[DamagedCheckpoint] {
        &self.damaged_checkpoints
    }

    /// Puts the weights and buffers of the best validation so far in place; counters and optimisers stay as they are.
    ///
    /// # Errors
    /// [`TrainError::NoCheckpoint`] if there was no validation or no checkpoint was kept; as
    /// [`resume`](Trainer::resume).
    pub fn load_best(&mut self) -> Result<()> {
        let checkpoints = self.checkpoints()?;
        let best = self.run.validation.as_ref().and_then(Validation::best);
        let step = best.map(|best| best.step);
        let kept = checkpoints.steps()?;
        let Some(step) = step.filter(|step| kept.contains(step)) else {
            return Err(TrainError::NoCheckpoint {
                folder: checkpoints.folder().to_owned(),
                wanted: "best",
            });
        };
        let tensors = checkpoints.read(step)?.tensors;
        let averages = under(&tensors, AVERAGES);
        self.assign_weights(&tensors)?;
        // Validation judged the averages, so these are the best weights.
        for (name, var) in self.parameters().into_iter().chain(self.masters()) {
            if let Some(average) = averages.get(&name) {
                let average = average.to_dtype(var.dtype())?;
                var.set(&average.to_device(var.device())?)?;
            }
        }
        for (name, var) in self.buffers() {
            if let Some(average) = averages.get(&average_of_buffer(&name)) {
                var.set(&average.to_dtype(var.dtype())?.to_device(var.device())?)?;
            }
        }
        Ok(())
    }

    /// Writes the weights and buffers of the parts to a safetensors file: `part/parameter`.
    ///
    /// # Errors
    /// [`TrainError::Tensors`] if the file can't be written.
    pub fn save_model(&self, path: impl AsRef<Path>) -> Result<()> {
        let parts = self.run.method.parts();
        let parameters = parts.iter().flat_map(|part| named(&part.learner));
        let tensors: HashMap<String, Tensor> = parameters
            .chain(self.buffers())
            .map(|(name, var)| (name, var.as_tensor().clone()))
            .collect();
        Ok(checkpoint::save(path.as_ref(), &tensors)?)
    }

    fn checkpoints(&self) -> Result<&Checkpoints> {
        self.run
            .checkpoints
            .as_ref()
            .ok_or_else(|| TrainError::NoCheckpoint {
                folder: Path::new("(the run was built without checkpoints)").to_owned(),
                wanted: "latest",
            })
    }

    /// Locks the folder of checkpoints, and refuses it if it holds some that this run neither wrote nor resumed from.
    pub(super) fn claim_folder(&mut self) -> Result<Option<FolderLock>> {
        let Some(checkpoints) = &self.run.checkpoints else {
            return Ok(None);
        };
        let lock = checkpoints.lock()?;
        let found = checkpoints.steps()?;
        if found.iter().any(|step| !self.owned_steps.contains(step)) {
            return Err(TrainError::FolderInUse {
                folder: checkpoints.folder().to_owned(),
            });
        }
        checkpoints.sweep()?;
        Ok(Some(lock))
    }

    pub(super) fn write_checkpoint(&mut self) -> Result<()> {
        let Some(checkpoints) = self.run.checkpoints.clone() else {
            return Ok(());
        };
        let _span = info_span!("checkpoint", step = self.counters.step).entered();
        let snapshot = self.snapshot()?;
        let best = self.run.validation.as_ref().and_then(Validation::best);
        // It may be written even where tidying up after it fails.
        self.owned_steps.push(self.counters.step);
        checkpoints.write(&snapshot, best.map(|best| best.step))?;
        self.owned_steps = checkpoints.steps()?;
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot> {
        let mut state = State::new(self.counters, self.run.seed);
        state.fingerprint = Some(self.fingerprint());
        state.epoch_loss = self.epoch_loss;
        let keys = hook_keys(&self.run.hooks);
        for (hook, key) in self.run.hooks.iter_mut().zip(keys) {
            let remembered = hook.state();
            let remembered = remembered.map_err(|source| failed(hook.name(), source))?;
            if !remembered.is_null() {
                state.hooks.insert(key, remembered);
            }
        }
        state.loss_scale = self.loss_scale.as_ref().map(LossScale::state);
        state.validation = self.run.validation.as_ref().map(|own| own.state().clone());
        for (name, seeds) in self.seeds() {
            let sequences = seeds.iter().map(|own| Sequence {
                seed: own.seed(),
                calls: own.calls(),
            });
            state.sequences.insert(name, sequences.collect());
        }
        let mut tensors = HashMap::new();
        let method = &self.run.method;
        for (name, var) in self.parameters() {
            tensors.insert(format!("{PARAMETERS}{name}"), var.as_detached_tensor());
        }
        for (name, var) in self.buffers() {
            tensors.insert(format!("{BUFFERS}{name}"), var.as_detached_tensor());
        }
        for (name, var) in self.masters() {
            tensors.insert(format!("{MASTERS}{name}"), var.as_detached_tensor());
        }
        for learner in learners(method) {
            let name = learner.name();
            if let Some(plateau) = learner.plateau() {
                let plateau = plateau.state().clone();
                state.plateaus.insert(name.to_owned(), plateau);
            }
            if let Some(optimizer) = learner.optimizer() {
                for (own, tensor) in optimizer.state()? {
                    tensors.insert(format!("{OPTIMIZERS}{name}/{own}"), tensor);
                }
            }
        }
        for criterion in method.criteria() {
            let name = criterion.name();
            for (own, tensor) in criterion.objective().loss().buffers()? {
                tensors.insert(format!("{LOSS_BUFFERS}{name}/{own}"), tensor);
            }
        }
        if let Some(ema) = &self.ema {
            for (name, average) in ema.averages() {
                tensors.insert(format!("{AVERAGES}{name}"), average.clone());
            }
        }
        let drawn_with = self.loader.as_ref().and_then(Loader::drawn_with);
        let drawn_with = drawn_with.map(|own| own.to_vec());
        for (name, numbers) in [
            (SAMPLER, self.run.sampler.state()),
            (DRAWN_WITH, drawn_with),
        ] {
            if let Some(numbers) = numbers {
                let count = numbers.len();
                let tensor = Tensor::from_vec(numbers, count, &Device::Cpu)?;
                tensors.insert(name.to_owned(), tensor);
            }
        }
        Ok(Snapshot { state, tensors })
    }

    /// By what data and batches are recognised.
    fn fingerprint(&mut self) -> Fingerprint {
        let run = &self.run;
        *self
            .fingerprint
            .get_or_insert_with(|| Fingerprint::of(&*run.dataset, &*run.sampler))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        let Snapshot { state, tensors } = snapshot;
        self.check_seeds(&state)?;
        if let Some(fingerprint) = state.fingerprint {
            self.fingerprint().check(fingerprint)?;
        }
        self.assign_weights(&tensors)?;
        if let Some(ema) = &mut self.ema {
            let averages = under(&tensors, AVERAGES);
            checkpoint::fits(ema.averages(), &averages)?;
            ema.assign(&averages)?;
        }
        for criterion in self.run.method.criteria() {
            let prefix = format!("{LOSS_BUFFERS}{}/", criterion.name());
            let buffers = under(&tensors, &prefix);
            if !buffers.is_empty() {
                criterion.objective().loss().set_buffers(&buffers)?;
            }
        }
        for learner in learners_mut(&mut self.run.method) {
            let name = learner.name().to_owned();
            if let Some(optimizer) = learner.optimizer_mut() {
                let prefix = format!("{OPTIMIZERS}{name}/");
                optimizer.load_state(&under(&tensors, &prefix))?;
            }
            if let (Some(plateau), Some(state)) = (learner.plateau_mut(), state.plateaus.get(&name))
            {
                plateau.set_state(state.clone());
            }
        }
        for (name, seeds) in self.seeds() {
            for (seed, sequence) in seeds.iter().zip(&state.sequences[&name]) {
                seed.resume(sequence.calls);
            }
        }
        if let (Some(validation), Some(state)) = (&mut self.run.validation, state.validation) {
            validation.set_state(state);
        }
        if let (Some(scale), Some(state)) = (&mut self.loss_scale, state.loss_scale) {
            scale.set_state(state);
        }
        self.counters = state.counters;
        // Whatever was fetched ahead belongs to another position.
        self.loader = None;
        self.epoch_loss = state.epoch_loss;
        let numbers = |name| -> Result<Option<Vec<f64>>> {
            let tensor = tensors.get(name).map(Tensor::to_vec1::<f64>);
            Ok(tensor.transpose()?)
        };
        if let (Some(drawn_with), true) = (numbers(DRAWN_WITH)?, self.counters.position.batch > 0) {
            self.run.sampler.set_state(&drawn_with)?;
            self.loader = Some(self.new_loader());
        }
        if let Some(sampler) = numbers(SAMPLER)? {
            self.run.sampler.set_state(&sampler)?;
        }
        // Last, since logs may cut their files back: of a run that is refused, nothing on the disk changes.
        let keys = hook_keys(&self.run.hooks);
        for (hook, key) in self.run.hooks.iter_mut().zip(keys) {
            if let Some(remembered) = state.hooks.get(&key) {
                let loaded = hook.load_state(remembered);
                loaded.map_err(|source| failed(hook.name(), source))?;
            }
        }
        Ok(())
    }

    /// Whether the run draws from where the checkpoint did.
    fn check_seeds(&self, state: &State) -> Result<()> {
        let mut pairs = vec![("data set".to_owned(), vec![state.seed], vec![self.run.seed])];
        for (name, seeds) in self.seeds() {
            let expected = state.sequences.get(&name).into_iter().flatten();
            let expected = expected.map(|sequence| sequence.seed).collect();
            pairs.push((
                name,
                expected,
                seeds.iter().map(SeedSequence::seed).collect(),
            ));
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

    /// Sets parameters, their masters and buffers; none unless all fit.
    fn assign_weights(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let kinds = [
            (PARAMETERS, self.parameters()),
            (MASTERS, self.masters()),
            (BUFFERS, self.buffers()),
        ];
        for (prefix, variables) in &kinds {
            let places = variables
                .iter()
                .map(|(name, var)| (name.as_str(), var.as_tensor()));
            checkpoint::fits(places, &under(tensors, prefix))?;
        }
        for (prefix, variables) in kinds {
            for (name, var) in variables {
                let tensor = &tensors[&format!("{prefix}{name}")];
                var.set(&tensor.to_device(var.device())?)?;
            }
        }
        Ok(())
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        let learners = learners(&self.run.method);
        learners.into_iter().flat_map(named).collect()
    }

    /// What optimisers move in the place of parameters of half precision, under the names of these.
    fn masters(&self) -> Vec<(String, Var)> {
        let learners = learners(&self.run.method);
        let masters = |learner: &'_ crate::Learner| {
            let prefix = learner.name().to_owned();
            let name = move |(own, _, master): (&str, &Var, &Var)| {
                (format!("{prefix}/{own}"), master.clone())
            };
            learner.masters().map(name).collect::<Vec<_>>()
        };
        learners.into_iter().flat_map(masters).collect()
    }

    pub(super) fn buffers(&self) -> Vec<(String, Var)> {
        let mut buffers = Vec::new();
        for part in self.run.method.parts() {
            for (own, var) in part.buffers() {
                buffers.push((format!("{}/{own}", part.name()), var.clone()));
            }
        }
        buffers
    }

    /// The random sequences of parts and criteria that have some.
    pub(super) fn seeds(&self) -> Vec<(String, Vec<SeedSequence>)> {
        let method = &self.run.method;
        let mut seeds = Vec::new();
        for part in method.parts() {
            let handles = part.seeds().iter().map(SeedSequence::handle).collect();
            seeds.push((part.name().to_owned(), handles));
        }
        for criterion in method.criteria() {
            let handles: Vec<SeedSequence> = criterion.objective().seeds();
            seeds.push((criterion.name().to_owned(), handles));
        }
        if let Some(miner) = &self.run.subset_batch_miner {
            seeds.push(("subset_batch_miner".to_owned(), miner.seeds()));
        }
        seeds.retain(|(_, seeds): &(String, Vec<SeedSequence>)| !seeds.is_empty());
        seeds
    }
}

/// Under what each hook is remembered: its name, and for all but the first of a name which one it is.
fn hook_keys(hooks: &[Box<dyn Hook>]) -> Vec<String> {
    let mut counts = BTreeMap::new();
    let mut keys = Vec::new();
    for hook in hooks {
        let name = hook.name().to_owned();
        let count = counts.entry(name.clone()).or_insert(0);
        *count += 1;
        keys.push(match *count {
            1 => name,
            count => format!("{name}#{count}"),
        });
    }
    keys
}

/// The tensors whose names begin with `prefix`, without it.
fn under(tensors: &HashMap<String, Tensor>, prefix: &str) -> HashMap<String, Tensor> {
    let own = |(name, tensor): (&String, &Tensor)| {
        Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
    };
    tensors.iter().filter_map(own).collect()
}
