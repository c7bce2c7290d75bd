//! Parameters that should learn and get no gradient.

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
    /// Indices of the parameters; `None` when all have got a gradient, or were reported.
    parameters: Option<Vec<usize>>,
}

/// Expectation of a step for a parameter group.
struct Expectation<'a> {
    group: &'a ParameterGroup,
    /// Whether the step should give gradients.
    is_expected: bool,
    /// Number of steps in which every parameter must have got one.
    within: u64,
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
        let groups = parameter_groups(&self.run.method).into_iter().zip(rates);
        let expectations: Vec<Expectation<'_>> = groups
            .enumerate()
            .map(|(i, (group, rate))| Expectation {
                group,
                is_expected: rate.is_some()
                    && !group.is_left_out()
                    && !left_out.iter().any(|name| name == group.name()),
                // A batch without pairs reads no parameter of a loss.
                within: if i < modules {
                    within
                } else {
                    within.max(iterations)
                },
            })
            .collect();
        let unused = &mut self.unused_parameters;
        let parameters = unused.observe(&expectations, gradients, is_allowed);
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

impl UnusedParameters {
    /// Records the gradients of a step, and returns the parameters that should have got one by now, as
    /// `group/parameter`. With `reports_once` they are returned once.
    fn observe(
        &mut self,
        expectations: &[Expectation<'_>],
        gradients: &GradStore,
        reports_once: bool,
    ) -> Vec<String> {
        if self.groups.len() != expectations.len() {
            let all = |own: &Expectation<'_>| Missing {
                steps: 0,
                parameters: Some((0..own.group.parameters().len()).collect()),
            };
            self.groups = expectations.iter().map(all).collect();
        }
        let mut unused = Vec::new();
        for (missing, expectation) in self.groups.iter_mut().zip(expectations) {
            let group = expectation.group;
            let Some(indices) = &mut missing.parameters else {
                continue;
            };
            if !group.learns() {
                missing.parameters = None;
                continue;
            }
            let moved: Vec<_> = group.moved().collect();
            indices.retain(|i| {
                moved
                    .get(*i)
                    .is_some_and(|var| gradients.get(var).is_none())
            });
            if indices.is_empty() {
                missing.parameters = None;
                continue;
            }
            if !expectation.is_expected {
                continue;
            }
            missing.steps = missing.steps.saturating_add(1);
            if missing.steps < expectation.within {
                continue;
            }
            let names = indices.iter().filter_map(|i| group.parameters().get(*i));
            unused.extend(names.map(|(name, _)| format!("{}/{name}", group.name())));
            if reports_once {
                missing.parameters = None;
            }
        }
        self.is_done = self.groups.iter().all(|own| own.parameters.is_none());
        unused
    }
}
