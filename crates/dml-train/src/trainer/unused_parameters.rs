//! Parameters that should learn and get no gradient.

use candle_core::Var;
use candle_core::backprop::GradStore;
use tracing::warn;

use super::Trainer;
use super::parameter_groups::parameter_groups;
use super::step::Rates;
use crate::{Method, ParameterGroup, Result, TrainError};

/// Records which parameters have got a gradient, until all of them have or the steps in which they must are over.
#[derive(Debug, Default)]
pub(super) struct UnusedParameters {
    groups: Vec<Missing>,
    is_done: bool,
}

/// The parameters of a group that have got no gradient.
#[derive(Debug)]
struct Missing {
    /// Number of steps in which a gradient was expected.
    steps: u64,
    /// Number of parameters that were frozen in the latest step.
    frozen: usize,
    /// Indices of the parameters; none when all have got a gradient, or were reported.
    parameters: Vec<usize>,
}

impl<M: Method> Trainer<M> {
    /// Refuses parameters that have got no gradient in the steps in which they must, or warns of them where the run
    /// allows them. `left_out` are the groups that a batch did not involve.
    pub(super) fn check_unused_parameters(
        &mut self,
        gradients: &GradStore,
        rates: &Rates,
        left_out: &[String],
    ) -> Result<()> {
        if self.unused_parameters.is_done {
            return Ok(());
        }
        let is_allowed = self.run.gradients_within.is_none();
        let within = self.run.gradients_within.unwrap_or(1);
        let modules = self.run.method.modules().len();
        let iterations = self.iterations_per_epoch();
        let groups = parameter_groups(&self.run.method);
        let unused = &mut self.unused_parameters;
        if unused.groups.len() != groups.len() {
            unused.groups = groups.iter().map(|group| Missing::all(group)).collect();
        }
        let mut parameters = Vec::new();
        let all = unused.groups.iter_mut().zip(&groups).zip(rates);
        for (i, ((missing, group), rate)) in all.enumerate() {
            let is_expected = rate.is_some()
                && !group.left_out
                && !left_out.iter().any(|name| name == group.name());
            missing.observe(group, gradients, is_expected);
            // A batch without pairs reads no parameter of a loss.
            let within = if i < modules {
                within
            } else {
                within.max(iterations)
            };
            if is_expected && missing.steps >= within {
                parameters.extend(missing.names(group));
                if is_allowed {
                    // Reported once.
                    missing.parameters.retain(|i| group.is_parameter_frozen(*i));
                }
            }
        }
        unused.is_done = unused.groups.iter().all(|own| own.parameters.is_empty());
        if parameters.is_empty() {
            return Ok(());
        }
        let error = TrainError::Unused { parameters };
        if !is_allowed {
            return Err(error);
        }
        warn!(%error, "parameters stay as they are");
        Ok(())
    }
}

impl Missing {
    fn all(group: &ParameterGroup) -> Self {
        Self {
            steps: 0,
            frozen: 0,
            parameters: (0..group.parameters().len())
                .filter(|i| group.ever_learns(*i))
                .collect(),
        }
    }

    /// Records the gradients of a step.
    fn observe(&mut self, group: &ParameterGroup, gradients: &GradStore, is_expected: bool) {
        if !group.learns() {
            self.parameters.clear();
        }
        if self.parameters.is_empty() {
            return;
        }
        let moved: Vec<_> = group.moved().collect();
        let is_missing = |var: &&Var| gradients.get(var).is_none();
        self.parameters
            .retain(|i| moved.get(*i).is_some_and(is_missing));
        let frozen = (0..moved.len()).filter(|i| group.is_parameter_frozen(*i));
        let frozen = frozen.count();
        if self.frozen != frozen {
            // Parameters that begin to learn have as many steps as the others had.
            (self.frozen, self.steps) = (frozen, 0);
        }
        if is_expected && !self.parameters.is_empty() {
            self.steps = self.steps.saturating_add(1);
        }
    }

    /// The parameters that are not frozen, as `group/parameter`.
    fn names<'a>(&'a self, group: &'a ParameterGroup) -> impl Iterator<Item = String> + 'a {
        let names = self.parameters.iter();
        let names = names.filter(|i| !group.is_parameter_frozen(**i));
        let names = names.filter_map(|i| group.parameters().get(*i));
        names.map(|(name, _)| format!("{}/{name}", group.name()))
    }
}
