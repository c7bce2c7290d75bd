//! The gradients of a step: those of one batch, or the mean over accumulated batches.

use candle_core::backprop::GradStore;
use dml_core::with_frozen;
use tracing::debug_span;

use super::Trainer;
use super::batches::BatchSource;
use super::parameter_groups::{frozen_variables, parameter_groups};
use crate::clip::scale;
use crate::mixed_precision::LossScale;
use crate::progress::Sums;
use crate::{Iteration, Method, Result, TrainError, gradient_cache};

impl<M: Method> Trainer<M> {
    /// The gradients of the next batches, averaged, and the sums of their losses for the report.
    pub(super) fn gradients(
        &self,
        epoch: u64,
        source: &mut BatchSource,
    ) -> Result<(GradStore, Sums)> {
        let (iteration, step) = (self.counters.iteration, self.counters.step + 1);
        let mut sums = Sums::new(Iteration::new(epoch, iteration, step));
        let mut all: Option<GradStore> = None;
        let frozen = frozen_variables(&self.run.method, epoch);
        let loss_scale = self.loss_scale.as_ref().map_or(1.0, LossScale::scale);
        for _ in 0..self.run.accumulation {
            let examples = debug_span!("load").in_scope(|| self.next_examples(source))?;
            let _span = debug_span!("gradients").entered();
            let examples = self.mined_subset(examples)?;
            let method = &self.run.method;
            let computed = with_frozen(&frozen, || match self.run.gradient_cache {
                Some(rows) if rows < examples.len() => {
                    gradient_cache::cached(method, &examples, epoch, loss_scale, rows)
                }
                _ => gradient_cache::one_pass(method, &examples, epoch, loss_scale),
            });
            let (mut gradients, losses) = computed.map_err(|error| self.method_error(error))?;
            // A frozen module may share variables with one that learns, whose masters the gradients are for.
            let groups = parameter_groups(method).into_iter();
            for group in groups.filter(|group| group.learns()) {
                group.widen(&mut gradients)?;
                group.drop_frozen(&mut gradients);
            }
            sums.add(&losses, examples.len())?;
            match &mut all {
                None => all = Some(gradients),
                Some(all) => all.extend(gradients)?,
            }
        }
        let mut gradients = all.unwrap_or_default();
        let factor = 1.0 / (self.run.accumulation as f64 * loss_scale);
        if factor != 1.0 {
            let groups = parameter_groups(&self.run.method);
            let variables = groups.iter().flat_map(|group| group.moved());
            scale(&mut gradients, variables, factor)?;
        }
        Ok((gradients, sums))
    }

    /// An error of the method; in mixed precision, as [`TrainError::Precision`] where half precision is the cause.
    pub(super) fn method_error(&self, error: dml_core::Error) -> TrainError {
        let error = TrainError::from(error);
        match self.run.mixed_precision {
            None => error,
            Some(_) => error.of_precision(),
        }
    }
}
