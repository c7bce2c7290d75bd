//! From the next rows of the sampler to the gradients of a step.

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use dml_core::{Batch, Examples};
use tracing::debug_span;

use super::Trainer;
use super::learners::learners;
use super::step::Source;
use crate::clip::scale;
use crate::mixed_precision::LossScale;
use crate::progress::Sums;
use crate::{Loader, Method, Result, TrainError, gradient_cache};

impl<M: Method> Trainer<M> {
    /// The gradients of the next batches, averaged.
    pub(super) fn gradients(&self, epoch: u64, source: &mut Source) -> Result<(GradStore, Sums)> {
        let mut sums = Sums::default();
        let mut all: Option<GradStore> = None;
        let loss_scale = self.loss_scale.as_ref().map_or(1.0, LossScale::scale);
        for _ in 0..self.run.accumulation {
            let examples = debug_span!("load").in_scope(|| self.next_examples(source))?;
            let _span = debug_span!("gradients").entered();
            let examples = self.chosen(examples)?;
            let method = &self.run.method;
            let computed = match self.run.gradient_cache {
                Some(rows) if rows < examples.len() => {
                    gradient_cache::cached(method, &examples, epoch, loss_scale, rows)
                }
                _ => gradient_cache::one_pass(method, &examples, epoch, loss_scale),
            };
            let computed = computed.map_err(TrainError::from);
            let (mut gradients, losses) = computed.map_err(|error| self.told(error))?;
            // A frozen part may share variables with one that learns, whose masters the gradients are for.
            for learner in learners(method).into_iter().filter(|own| own.learns()) {
                learner.widen(&mut gradients)?;
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
            let learners = learners(&self.run.method);
            let variables = learners.iter().flat_map(|learner| learner.moved());
            scale(&mut gradients, variables, factor)?;
        }
        Ok((gradients, sums))
    }

    fn next_examples(&self, source: &mut Source) -> Result<Examples> {
        let (examples, next) = source.loader.next_batch()?;
        source.position = next;
        Ok(examples.map(|view| self.prepared(view))?)
    }

    /// The batches from where the run stands.
    pub(super) fn new_loader(&self) -> Loader {
        let run = &self.run;
        Loader::new(
            run.dataset.clone(),
            run.sampler.clone(),
            run.seed,
            self.counters.position,
            run.loading_threads,
        )
    }

    /// What the subset batch miner, if there is one, leaves of a batch.
    fn chosen(&self, examples: Examples) -> Result<Examples> {
        let Some(miner) = &self.run.subset_batch_miner else {
            return Ok(examples);
        };
        let view = &examples.views()[0];
        let rows = self.run.gradient_cache.unwrap_or(examples.len()).max(1);
        let embed = |chunk: &Tensor| Ok(self.run.method.embed(chunk)?.detach());
        let embeddings = gradient_cache::chunks(view, rows)?
            .iter()
            .map(embed)
            .collect::<dml_core::Result<Vec<Tensor>>>()
            .map_err(|error| self.told(error.into()))?;
        let batch = Batch::new(&Tensor::cat(&embeddings, 0)?, examples.labels())?;
        Ok(examples.select(&miner.choose(&batch)?)?)
    }

    /// An error of the model, told as one of mixed precision where it is one.
    fn told(&self, error: TrainError) -> TrainError {
        match self.run.mixed_precision {
            None => error,
            Some(_) => error.of_precision(),
        }
    }

    /// Input where and as the parts want it.
    pub(super) fn prepared(&self, view: Tensor) -> dml_core::Result<Tensor> {
        let view = view.to_device(&self.run.device)?;
        Ok(match self.run.input_dtype {
            Some(dtype) if view.dtype().is_float() => view.to_dtype(dtype)?,
            _ => view,
        })
    }
}
