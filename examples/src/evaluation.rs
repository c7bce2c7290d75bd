//! How good the embeddings are: each picture looks for its own class among all others.

use std::collections::BTreeMap;

use dml::candle_core::Tensor;
use dml::eval::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex};
use dml::train::{Method, Trainer};
use dml::{Batch, Dataset, Labels, TensorExt};

/// Rows of length 1 for all pictures, so many at a time.
pub(crate) fn embed<M: Method>(
    trainer: &Trainer<M>,
    test: &dyn Dataset,
    block: usize,
) -> anyhow::Result<Tensor> {
    let rows: Vec<usize> = (0..test.len()).collect();
    let embeddings = rows
        .chunks(block)
        .map(|rows| {
            let examples = test.fetch(rows, 0)?;
            let embeddings = trainer.embed(&examples.views()[0])?;
            Ok(embeddings.normalize_rows(2.0)?)
        })
        .collect::<anyhow::Result<Vec<Tensor>>>()?;
    Ok(Tensor::cat(&embeddings, 0)?)
}

/// Metrics of the accuracy calculator by name, all of them if none is named.
pub(crate) fn evaluate(
    embeddings: &Tensor,
    labels: &Labels,
    metrics: &[AccuracyMetric],
) -> anyhow::Result<BTreeMap<String, f64>> {
    let batch = Batch::new(embeddings, labels)?;
    let config = AccuracyCalculatorConfig {
        include: metrics.to_vec(),
        ..AccuracyCalculatorConfig::default()
    };
    let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
    let accuracies = calculator.get_accuracy(&batch)?;
    let named = accuracies
        .iter()
        .map(|score| (score.metric.clone(), score.value));
    Ok(named.collect())
}
