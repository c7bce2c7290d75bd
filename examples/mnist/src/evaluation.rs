//! How good the embeddings are: the nearest training image of each test image has its label, or not.

use std::sync::Arc;
use std::time::Instant;

use dml::candle_core::{Device, Tensor};
use dml::config::MetricName;
use dml::data::{ImageDataset, Normalization};
use dml::eval::{FlatIndex, RetrievalMetric};
use dml::{Batch, TensorExt, no_grad};
use serde_json::{Map, Value};

use crate::data_source::Digits;
use crate::network::Network;

/// Images embedded at a time.
const BLOCK: usize = 512;

/// Embeds both splits, again and again while the network learns.
#[derive(Clone, Debug)]
pub(crate) struct Embedder {
    network: Network,
    train: ImageDataset,
    test: ImageDataset,
    normalization: Normalization,
    device: Device,
}

/// The embeddings of both splits, by the weights as they were.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) train: Tensor,
    pub(crate) test: Tensor,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Embedder {
    pub(crate) fn new(network: &Network, digits: &Digits, device: &Device) -> Self {
        Self {
            network: network.clone(),
            train: digits.sets.train.clone(),
            test: digits.sets.test.clone(),
            normalization: digits.normalization,
            device: device.clone(),
        }
    }

    /// Both splits.
    pub(crate) fn embed(&self) -> anyhow::Result<Embedded> {
        let start = Instant::now();
        Ok(Embedded {
            train: self.embed_images(&self.train)?,
            test: self.embed_images(&self.test)?,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The first test images, at most so many.
    pub(crate) fn embed_sample(&self, count: usize) -> anyhow::Result<Tensor> {
        let rows: Vec<usize> = (0..self.test.len().min(count)).collect();
        self.embed_images(&self.test.subset(&rows)?)
    }

    /// Precision@1 of embeddings of the test split among those of the training split, and other metrics.
    pub(crate) fn evaluate(
        &self,
        embedded: &Embedded,
        metrics: &[MetricName],
    ) -> anyhow::Result<Evaluation> {
        let batch = Batch::new(&embedded.test, self.test.labels())?
            .with_reference(&embedded.train, self.train.labels())?;
        let mut all = vec![MetricName::Retrieval(RetrievalMetric::PrecisionAt(1))];
        all.extend(metrics);
        let values = MetricName::evaluate(&all, &batch, Arc::new(FlatIndex::default()))?;
        let (_, precision_at_1) = values[0];
        let asked = values.into_iter().skip(1);
        Ok(Evaluation {
            precision_at_1,
            metrics: asked.map(|(name, value)| (name, value.into())).collect(),
        })
    }

    /// Whether any test image has a training image of its class to be found.
    pub(crate) fn can_be_evaluated(&self) -> bool {
        let known = self.train.labels().as_slice();
        let test = self.test.labels().as_slice();
        test.iter().any(|label| known.contains(label))
    }

    /// The normalised embeddings `[n, 128]` of all images.
    fn embed_images(&self, images: &ImageDataset) -> anyhow::Result<Tensor> {
        let rows: Vec<usize> = (0..images.len()).collect();
        let blocks = rows.chunks(BLOCK).map(|rows| {
            let images = images.batch(rows, self.normalization, &self.device)?;
            Ok(no_grad(|| {
                self.network.forward(&images, false)?.normalize_rows(2.0)
            })?)
        });
        Ok(Tensor::cat(
            &blocks.collect::<anyhow::Result<Vec<_>>>()?,
            0,
        )?)
    }
}

/// What the test embeddings are worth.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    pub(crate) precision_at_1: f64,
    /// Whatever other metrics were asked for, by name.
    pub(crate) metrics: Map<String, Value>,
}
