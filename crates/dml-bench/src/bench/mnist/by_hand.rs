//! The loop of the example written out by hand: what `dml::train` is measured against.

use anyhow::Context;
use dml::candle_core::Device;
use dml::nn::{Adam, AdamConfig};
use dml::{Batch, Objective, Optimizer, Sampler, TupleCount};

use dml_mnist::{Digits, Network};

/// Trains for one epoch, and returns the loss and the number of mined tuples of the last batch.
pub(super) fn epoch(
    network: &Network,
    digits: &Digits,
    objective: &Objective,
    sampler: &dyn Sampler,
    learning_rate: f64,
    device: &Device,
) -> anyhow::Result<(f64, u64)> {
    let config = AdamConfig {
        lr: learning_rate,
        ..AdamConfig::default()
    };
    let mut optimizer = Adam::new(network.parameters(), config)?;
    let train = &digits.sets.train;
    let mut last = None;
    for rows in sampler.epoch(1) {
        let images = train.batch(&rows, digits.normalization, device)?;
        let embeddings = network.forward(&images, true)?;
        let batch = Batch::new(&embeddings, train.batch_labels(&rows)?)?;
        let outcome = objective.evaluate(&batch)?;
        optimizer.step(&outcome.loss.backward()?)?;
        let loss = f64::from(outcome.loss.to_scalar::<f32>()?);
        last = Some((loss, outcome.mined.map_or(outcome.total, TupleCount::total)));
    }
    last.context("an epoch has iterations")
}
