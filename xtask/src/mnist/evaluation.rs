//! How good the embeddings are: the nearest training image of each test image has its label, or not.

use std::sync::Arc;

use dml::candle_core::{Device, Tensor};
use dml::config::MetricName;
use dml::data::{ImageDataset, Normalization};
use dml::eval::RetrievalMetric;
use dml::{Batch, TensorExt};
use serde_json::{Map, Value};

use super::nearest::RememberingIndex;
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

/// What the test embeddings are worth.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    pub(crate) precision_at_1: f64,
    /// Whatever other metrics were asked for, by name.
    pub(crate) metrics: Map<String, Value>,
    /// The nearest training image of each test image; none where no test image has a training image of its class, for then
    /// there is nothing to search for.
    pub(crate) nearest: Vec<u32>,
}

/// Precision@1 of the test embeddings among the training embeddings, and the other metrics, by one search.
pub(crate) fn evaluate(
    test: (&Tensor, &ImageDataset),
    train: (&Tensor, &ImageDataset),
    metrics: &[MetricName],
) -> anyhow::Result<Evaluation> {
    let batch = Batch::new(test.0, test.1.labels())?.with_reference(train.0, train.1.labels())?;
    let mut all = vec![MetricName::Retrieval(RetrievalMetric::PrecisionAt(1))];
    all.extend(metrics);
    let index = Arc::new(RememberingIndex::new());
    let values = MetricName::evaluate(&all, &batch, index.clone())?;
    let (_, precision_at_1) = values[0];
    let asked = values.into_iter().skip(1);
    Ok(Evaluation {
        precision_at_1,
        metrics: asked.map(|(name, value)| (name, value.into())).collect(),
        nearest: index.nearest(),
    })
}
