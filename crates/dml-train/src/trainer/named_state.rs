//! The state of a run by name: variables, buffers, random sequences and hooks, as checkpoints call them.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Tensor, Var};
use dml_core::SeedSequence;

use super::Trainer;
use super::parameter_groups::{named_buffers, named_parameters, parameter_groups};
use crate::{Hook, Method};

/// Prefixes of the names of tensors in a checkpoint, by their kind.
pub(super) mod prefix {
    pub(in super::super) const PARAMETERS: &str = "parameters/";
    pub(in super::super) const BUFFERS: &str = "buffers/";
    pub(in super::super) const LOSS_BUFFERS: &str = "loss_buffers/";
    pub(in super::super) const MASTERS: &str = "masters/";
    pub(in super::super) const OPTIMIZERS: &str = "optimizers/";
    pub(in super::super) const AVERAGES: &str = "averages/";
}

/// Name of the state of the sampler in a checkpoint.
pub(super) const SAMPLER: &str = "sampler/state";
/// Name of the state that the sampler had when the unfinished pass was drawn.
pub(super) const PASS_DRAWN_WITH: &str = "sampler/drawn_with";

impl<M: Method> Trainer<M> {
    /// The parameters of all groups as `group/parameter`.
    pub(super) fn parameters(&self) -> Vec<(String, Var)> {
        let groups = parameter_groups(&self.run.method);
        groups.into_iter().flat_map(named_parameters).collect()
    }

    /// The single-precision masters of parameters of half precision, under the names of these.
    pub(super) fn masters(&self) -> Vec<(String, Var)> {
        let groups = parameter_groups(&self.run.method).into_iter();
        let masters = groups.flat_map(|group| {
            let named = |(name, _, master): (&str, &Var, &Var)| {
                (format!("{}/{name}", group.name()), master.clone())
            };
            group.masters().map(named)
        });
        masters.collect()
    }

    /// The buffers of all modules as `module/buffer`.
    pub(super) fn buffers(&self) -> Vec<(String, Var)> {
        let modules = self.run.method.modules().into_iter();
        modules.flat_map(named_buffers).collect()
    }

    /// All variables that a checkpoint holds, with the prefixes of their names.
    pub(super) fn variables(&self) -> [(&'static str, Vec<(String, Var)>); 3] {
        [
            (prefix::PARAMETERS, self.parameters()),
            (prefix::MASTERS, self.masters()),
            (prefix::BUFFERS, self.buffers()),
        ]
    }

    /// The random sequences of modules, criteria and the subset batch miner, by the name of their owner.
    pub(super) fn seeds(&self) -> Vec<(String, Vec<SeedSequence>)> {
        let method = &self.run.method;
        let mut seeds = Vec::new();
        for module in method.modules() {
            let handles = module.seeds().iter().map(SeedSequence::handle).collect();
            seeds.push((module.name().to_owned(), handles));
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

/// Name of the average of a buffer, which no parameter has.
pub(super) fn average_of_buffer(buffer: &str) -> String {
    format!("buffers/{buffer}")
}

/// Keys of the states of hooks: their names, and for all but the first of a name its number.
pub(super) fn hook_keys(hooks: &[Box<dyn Hook>]) -> Vec<String> {
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
pub(super) fn without_prefix(
    tensors: &HashMap<String, Tensor>,
    prefix: &str,
) -> HashMap<String, Tensor> {
    let named = |(name, tensor): (&String, &Tensor)| {
        Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
    };
    tensors.iter().filter_map(named).collect()
}
