//! How good the embeddings are: the nearest training image of each test image has its label, or not.

use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use dml::data::{ImageDataset, Normalization};
use dml::eval::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex};
use dml::{Batch, TensorExt};

use super::network::Network;

/// Images embedded at a time.
const BLOCK: usize = 512;

/// The normalised embeddings `[n, 128]` of all images.
pub(crate) fn embed(
    network: &Network,
    images: &ImageDataset,
    normalization: Normalization,
    device: &Device,
) -> anyhow::Result<Tensor> {
    let rows: Vec<usize> = (0..images.len()).collect();
    let blocks = rows
        .chunks(BLOCK)
        .map(|rows| {
            let images = images.batch(rows, normalization, device)?;
            // Outside of the graph, or all the activations of the data set would stay in memory.
            Ok(network
                .forward(&images, false)?
                .detach()
                .normalize(2.0)?
                .detach())
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&blocks, 0)?)
}

/// Precision@1 of the test embeddings among the training embeddings.
pub(crate) fn precision_at_1(
    test: (&Tensor, &ImageDataset),
    train: (&Tensor, &ImageDataset),
) -> anyhow::Result<f64> {
    let batch = Batch::new(test.0, test.1.labels())?.with_reference(train.0, train.1.labels())?;
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        ..AccuracyCalculatorConfig::default()
    };
    let accuracies =
        AccuracyCalculator::new(config, Arc::new(FlatIndex::default()))?.get_accuracy(&batch)?;
    Ok(accuracies
        .get("precision_at_1")
        .context("Precision@1 was asked for")?
        .value)
}
