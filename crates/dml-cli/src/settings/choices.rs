//! Fields with a few values by name: what the rows of the data are, and how a network is trained.

use serde::{Deserialize, Serialize};

/// What the rows of the data are, and so what the network reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// Images of a folder, a table, an array or a published data set.
    #[default]
    Images,
    /// Texts of a table.
    Texts,
    /// Rows of numbers of an array or a table.
    Vectors,
}

impl DataKind {
    /// `images`, `texts` or `vectors`.
    #[must_use]
    pub fn things(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Texts => "texts",
            Self::Vectors => "vectors",
        }
    }
}

/// How a network is trained, by the name of the trainer in PyTorch Metric Learning and dml-train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MethodName {
    /// The loss on the embeddings of a batch.
    MetricLossOnly,
    /// The loss, and the cross-entropy of a linear classifier on the embeddings.
    TrainWithClassifier,
    /// The first text of a pair against the second ones of the batch.
    TwoStreamMetricLoss,
    /// Two augmented views of an image against those of the other images; no label is read.
    UnsupervisedEmbeddingsUsingAugmentations,
}
