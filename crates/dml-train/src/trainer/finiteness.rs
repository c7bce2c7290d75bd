//! Gradients and parameters that are NaN or infinite: such a step is skipped with a loss scale, and an error without one.

use candle_core::backprop::GradStore;

use super::Trainer;
use super::parameter_groups::{moved_by_name, parameter_groups};
use super::step::Rates;
use crate::host_numbers::first_non_finite;
use crate::{Iteration, Method, NonFinite, ParameterGroup, Result, TrainError};

impl<M: Method> Trainer<M> {
    /// The first gradient that is not finite. `norm` is the norm of all gradients, if it was measured.
    pub(super) fn gradient_fault(
        &self,
        gradients: &GradStore,
        rates: &Rates,
        norm: Option<f64>,
    ) -> Result<Option<NonFinite>> {
        if norm.is_some_and(f64::is_finite) {
            return Ok(None);
        }
        let groups = parameter_groups(&self.run.method).into_iter().zip(rates);
        let named = groups
            .filter(|(_, rate)| rate.is_some())
            .flat_map(|(group, _)| moved_by_name(group))
            .filter_map(|(name, var)| Some((name, gradients.get(var)?)));
        let found = first_non_finite(named)?;
        Ok(found.map(|(group, parameter)| NonFinite::Gradient {
            group: group.to_owned(),
            parameter: parameter.to_owned(),
        }))
    }

    /// Lowers the loss scale for a step that has to be skipped. Without a loss scale, or with a parameter that is not
    /// finite itself, it is an error.
    pub(super) fn back_off(
        &mut self,
        fault: NonFinite,
        done: &Iteration,
        rates: &Rates,
    ) -> Result<()> {
        let parameter_fault = self.parameter_fault()?;
        let learning_rates = rates_by_name(&parameter_groups(&self.run.method), rates);
        let (epoch, iteration, loss) = (done.epoch, done.iteration, done.loss);
        match (&mut self.loss_scale, parameter_fault) {
            (Some(scale), None) => {
                let current = scale.scale();
                scale.back_off().map_err(|min_scale| TrainError::LossScale {
                    what: Box::new(fault),
                    epoch,
                    iteration,
                    loss,
                    learning_rates,
                    scale: current,
                    min_scale,
                })
            }
            (_, parameter_fault) => Err(TrainError::NonFinite {
                what: Box::new(parameter_fault.unwrap_or(fault)),
                epoch,
                iteration,
                loss,
                learning_rates,
            }),
        }
    }

    /// The first parameter of a group that learns which is not finite.
    fn parameter_fault(&self) -> Result<Option<NonFinite>> {
        let groups = parameter_groups(&self.run.method).into_iter();
        let named = groups.filter(|group| group.learns()).flat_map(|group| {
            let parameters = group.parameters().iter();
            let parameters = parameters.map(|(name, var)| ((group.name(), name.as_str()), var));
            parameters
                .chain(moved_by_name(group))
                .map(|(name, var)| (name, var.as_tensor()))
        });
        let found = first_non_finite(named)?;
        Ok(found.map(|(group, parameter)| NonFinite::Parameter {
            group: group.to_owned(),
            parameter: parameter.to_owned(),
        }))
    }

    /// Refuses to go on to validation or a checkpoint with parameters that the latest step made infinite or NaN.
    pub(super) fn check_parameters(&self, epoch: u64) -> Result<()> {
        let Some(fault) = self.parameter_fault()? else {
            return Ok(());
        };
        let (sum, count) = self.epoch_loss;
        let groups = parameter_groups(&self.run.method);
        let rates: Vec<Option<f64>> = groups.iter().map(|own| own.learning_rate()).collect();
        Err(TrainError::NonFinite {
            what: Box::new(fault),
            epoch,
            iteration: self.counters.iteration.saturating_sub(1),
            loss: sum / count as f64,
            learning_rates: rates_by_name(&groups, &rates),
        })
    }
}

/// The learning rates of groups that have one, by name.
fn rates_by_name(groups: &[&ParameterGroup], rates: &Rates) -> Vec<(String, f64)> {
    let groups = groups.iter().zip(rates);
    groups
        .filter_map(|(group, rate)| Some((group.name().to_owned(), (*rate)?)))
        .collect()
}
