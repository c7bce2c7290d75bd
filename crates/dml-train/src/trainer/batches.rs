//! The batches of a step, as the method reads them.

use candle_core::Tensor;
use dml_core::{Batch, Examples};

use super::Trainer;
use crate::{Loader, Method, Position, Result, gradient_cache};

/// The loader of a step, and the position that the run has once the step is done.
pub(super) struct BatchSource {
    pub(super) loader: Loader,
    pub(super) position: Position,
}

impl<M: Method> Trainer<M> {
    /// The loader, at the position of the run. If a step failed and its loader is lost, the rest of the pass is drawn
    /// again from the state that the sampler had then.
    pub(super) fn take_loader(&mut self) -> Result<Loader> {
        let loader = match (self.loader.take(), self.pass_drawn_with.take()) {
            (Some(loader), _) => loader,
            (None, Some(drawn_with)) if self.counters.position.batch > 0 => {
                let sampler = self.run.sampler.clone();
                let latest = sampler.state();
                self.pass_drawn_with = Some(drawn_with.clone());
                sampler.set_state(&drawn_with)?;
                let loader = self.new_loader();
                if let Some(latest) = latest {
                    sampler.set_state(&latest)?;
                }
                loader
            }
            (None, _) => self.new_loader(),
        };
        self.pass_drawn_with = loader.drawn_with();
        Ok(loader)
    }

    /// A loader of the batches from the position of the run on.
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

    /// The next batch, with inputs on the device of the run.
    pub(super) fn next_examples(&self, source: &mut BatchSource) -> Result<Examples> {
        let (examples, next) = source.loader.next_batch()?;
        source.position = next;
        Ok(examples.map(|view| self.prepared(view))?)
    }

    /// The rows of a batch that the subset batch miner chooses; all of them without one.
    pub(super) fn mined_subset(&self, examples: Examples) -> Result<Examples> {
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
            .map_err(|error| self.method_error(error))?;
        let batch = Batch::new(&Tensor::cat(&embeddings, 0)?, examples.labels())?;
        Ok(examples.select(&miner.choose(&batch)?)?)
    }

    /// Input on the device and of the element type that the modules read.
    pub(super) fn prepared(&self, view: Tensor) -> dml_core::Result<Tensor> {
        let view = view.to_device(&self.run.device)?;
        Ok(match self.run.input_dtype {
            Some(dtype) if view.dtype().is_float() => view.to_dtype(dtype)?,
            _ => view,
        })
    }
}
