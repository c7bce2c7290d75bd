//! The training loop: sample, embed, mine, measure, step.

use std::time::Instant;

use dml::candle_core::Device;
use dml::nn::{Adam, AdamConfig, Optimizer};
use dml::{Batch, Objective, Sampler};

use super::data_source::Digits;
use super::interrupt::Interrupt;
use super::network::Network;

/// What happened in one iteration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iteration {
    /// Epochs count from 1.
    pub(crate) epoch: u64,
    /// Iterations of an epoch count from 0.
    pub(crate) iteration: usize,
    /// The loss of the batch, before the step.
    pub(crate) loss: f32,
    /// How many tuples were mined; without a miner, how many values the loss had.
    pub(crate) mined: u64,
    /// How many values took part in the loss.
    pub(crate) kept: u64,
    /// Seconds since training began.
    pub(crate) seconds: f64,
}

/// A network in training.
pub(crate) struct Trainer<'a> {
    pub(crate) network: &'a Network,
    pub(crate) digits: &'a Digits,
    pub(crate) objective: &'a Objective,
    pub(crate) sampler: &'a dyn Sampler,
    pub(crate) learning_rate: f64,
    pub(crate) device: &'a Device,
    pub(crate) interrupt: &'a Interrupt,
}

impl Trainer<'_> {
    /// Trains for `epochs`, and tells `report` of every iteration.
    pub(crate) fn run(
        &self,
        epochs: u64,
        mut report: impl FnMut(Iteration) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Iteration>> {
        let config = AdamConfig {
            lr: self.learning_rate,
            ..AdamConfig::default()
        };
        let mut parameters = self.network.parameters();
        let learned = self.objective.loss().parameters();
        parameters.extend("loss", learned.into_iter().collect());
        let mut optimizer = Adam::new(parameters, config)?;
        let train = &self.digits.sets.train;
        let start = Instant::now();
        let mut last = None;
        for epoch in 1..=epochs {
            for (iteration, rows) in self.sampler.epoch(epoch).enumerate() {
                let images = train.batch(&rows, self.digits.normalization, self.device)?;
                let embeddings = self.network.forward(&images, true)?;
                let batch = Batch::new(&embeddings, train.batch_labels(&rows)?)?;
                let outcome = self.objective.evaluate(&batch)?;
                optimizer.step(&outcome.loss.backward()?)?;
                let done = Iteration {
                    epoch,
                    iteration,
                    loss: outcome.loss.to_scalar::<f32>()?,
                    mined: outcome.mined.map_or(outcome.total, dml::TupleCount::total),
                    kept: outcome.kept,
                    seconds: start.elapsed().as_secs_f64(),
                };
                report(done)?;
                last = Some(done);
                self.interrupt.check(|| {
                    format!("epoch {epoch}, iteration {iteration}; log.csv.part has the losses so far, no model is written")
                })?;
            }
        }
        Ok(last)
    }
}
