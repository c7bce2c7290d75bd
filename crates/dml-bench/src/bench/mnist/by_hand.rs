//! The loop of the example written out by hand: what `dml::train` is measured against.

use anyhow::Context;
use dml::nn::Adam;
use dml::{Batch, Optimizer, TupleCount};
use dml_mnist::Network;

use super::{LEARNING_RATE, Setup};

impl Setup {
    /// An epoch by hand: loss and mined tuples of the last batch.
    pub(in crate::bench) fn by_hand(&self, network: &Network) -> anyhow::Result<(f64, u64)> {
        let train = &self.digits.sets.train;
        let objective = self.components.objective(&self.device)?;
        let sampler = self.components.sampler(train.labels())?;
        let mut optimizer = Adam::new(network.parameters(), LEARNING_RATE.into())?;
        let mut last = None;
        for rows in sampler.epoch(1) {
            let images = train.batch(&rows, self.digits.normalization, &self.device)?;
            let embeddings = network.forward(&images, true)?;
            let batch = Batch::new(&embeddings, train.batch_labels(&rows)?)?;
            let outcome = objective.evaluate(&batch)?;
            optimizer.step(&outcome.loss.backward()?)?;
            let loss = f64::from(outcome.loss.to_scalar::<f32>()?);
            last = Some((loss, outcome.mined.map_or(outcome.total, TupleCount::total)));
        }
        last.context("an epoch has iterations")
    }
}
