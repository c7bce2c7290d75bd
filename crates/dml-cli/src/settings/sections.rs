//! The typed sections of a run's configuration.

use std::path::PathBuf;

use dml::config::{KnnConfig, MetricName};
use dml::data::Unreadable;
use dml::data::augment::AugmentationConfig;
use dml::data::layouts::Protocol;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::{DataKind, MethodName};

/// Classes that are held out: a share of all, or some by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HeldOut {
    /// A share between 0 and 1, drawn by `data.seed`.
    Fraction(f64),
    /// Names of classes.
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for HeldOut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let expected = || {
            let got = &value;
            D::Error::custom(format!(
                "expected a share between 0 and 1 or a list of class names, got {got}"
            ))
        };
        match &value {
            serde_json::Value::Number(number) => match number.as_f64() {
                Some(share) if share > 0.0 && share < 1.0 => Ok(Self::Fraction(share)),
                _ => Err(expected()),
            },
            serde_json::Value::Array(_) => {
                let names: Vec<String> =
                    serde_json::from_value(value.clone()).map_err(|_| expected())?;
                match names.is_empty() {
                    true => Err(expected()),
                    false => Ok(Self::Names(names)),
                }
            }
            _ => Err(expected()),
        }
    }
}

dml_core::config! {
    serde always:
    /// `[data]`: what is learnt from and judged by.
    pub struct DataSettings {
        /// What the rows are.
        pub kind: DataKind = DataKind::Images,
        /// Name of a published data set, whose folder `train` is.
        pub layout: Option<String> = None,
        /// How the published data set is divided.
        pub protocol: Protocol = Protocol::UnseenClasses,
        /// Whether images of the published data set are cut to their bounding boxes.
        pub boxes: bool = false,
        /// Folder of class folders, table, array, or folder of a published data set.
        pub train: Option<PathBuf> = None,
        /// Split of the table to learn from.
        pub train_split: Option<String> = None,
        /// Folder or table to judge by.
        pub test: Option<PathBuf> = None,
        /// Split of the table to judge by.
        pub test_split: Option<String> = None,
        /// Classes of the training data to judge by instead.
        pub test_classes: Option<HeldOut> = None,
        /// Folder or table to choose the best epoch by.
        pub validation: Option<PathBuf> = None,
        /// Split of the table to choose the best epoch by.
        pub validation_split: Option<String> = None,
        /// Classes of the training data to choose the best epoch by instead.
        pub validation_classes: Option<HeldOut> = None,
        /// Table of pairs of images to judge by instead.
        pub test_pairs: Option<PathBuf> = None,
        /// List of pairs of the published data set to judge by instead.
        pub test_list: Option<String> = None,
        /// Column with the classes to learn from; default: `label`.
        pub level: Option<String> = None,
        /// Column with the classes to judge by; default: that to learn from.
        pub test_level: Option<String> = None,
        /// Columns of the texts of a pair.
        pub pairs: Option<[String; 2]> = None,
        /// Column of the hard negatives of a pair.
        pub negatives: Option<String> = None,
        /// Names of the arrays of rows and labels in a `.npz` file.
        pub arrays: [String; 2] = ["x".to_owned(), "y".to_owned()],
        /// Labels of an `.npy` file to learn from.
        pub train_labels: Option<PathBuf> = None,
        /// Labels of an `.npy` file to judge by.
        pub test_labels: Option<PathBuf> = None,
        /// Labels of an `.npy` file to choose the best epoch by.
        pub validation_labels: Option<PathBuf> = None,
        /// Seed of the draws of held-out classes.
        pub seed: u64 = 0,
        /// Files that can't be decoded: `skip` or `refuse`.
        pub unreadable: Unreadable = Unreadable::Skip,
        /// Most bytes of memory that one image may take while it is read.
        pub memory_limit: u64 = 1 << 29,
    }
}

dml_core::config! {
    serde always:
    /// `[backbone]`: the pretrained network.
    pub struct BackboneSettings {
        /// Name of an image network.
        pub name: Option<String> = None,
        /// Its published weights.
        pub weights: Option<PathBuf> = None,
        /// Folder of a model instead.
        pub folder: Option<PathBuf> = None,
        /// Height and width of the images.
        pub size: Option<usize> = None,
        /// Lengths of the hidden layers of a network on vectors.
        pub hidden: Vec<usize> = vec![256],
        /// Whether the backbone keeps its weights.
        pub freeze: bool = false,
        /// Number of blocks from the input that keep their weights.
        pub freeze_below: usize = 0,
        /// Epoch in which frozen weights begin to learn.
        pub unfreeze_at: Option<u64> = None,
        /// Learning rate; default: a tenth of the optimiser's, beside a head.
        pub lr: Option<f64> = None,
        /// Factor of the learning rate from each block to the one before it.
        pub layer_decay: f64 = 1.0,
    }
}

dml_core::config! {
    serde always:
    /// `[head]`: the linear layer on the features.
    pub struct HeadSettings {
        /// Length of the embeddings; 0 for the features of the backbone.
        pub embedding: usize = 128,
        /// Whether embeddings have length 1.
        pub normalize: bool = true,
    }
}

dml_core::config! {
    serde always:
    /// `[train]`: how long, on what machine, and where the results go.
    pub struct TrainSettings {
        /// How the network is trained; default: by the data.
        pub method: Option<MethodName> = None,
        /// Passes over the training data.
        pub epochs: u64 = 10,
        /// Seed of weights, order and augmentations.
        pub seed: u64 = 0,
        /// Changes of training images; default: a random crop and a flip.
        pub augment: Option<Vec<AugmentationConfig>> = None,
        /// Batches whose gradients are averaged for a step.
        pub accumulate: usize = 1,
        /// Rows whose activations are in memory at a time; default: the batch.
        pub gradient_cache: Option<usize> = None,
        /// Largest norm of all gradients together.
        pub clip: Option<f64> = None,
        /// Decay of an average of the weights, which is evaluated and written.
        pub ema: Option<f64> = None,
        /// Iterations from one checkpoint to the next; default: after every epoch.
        pub checkpoint_every: Option<u64> = None,
        /// Number of latest checkpoints to keep.
        pub keep_checkpoints: usize = 2,
        /// Threads that read batches ahead.
        pub loading_threads: usize = 2,
        /// `cpu`, `cuda`, `cuda:N` or `metal`.
        pub device: String = "cpu".to_owned(),
        /// Folder of the results.
        pub out: PathBuf = PathBuf::from("runs/dml"),
    }
}

/// Metrics of a run that names none.
fn standard_metrics() -> Vec<MetricName> {
    let names = [
        "precision_at_1",
        "recall_at_10",
        "r_precision",
        "mean_average_precision_at_r",
        "NMI",
        "roc_auc",
    ];
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

dml_core::config! {
    serde always:
    /// `[evaluate]`: how good the embeddings are.
    pub struct EvaluateSettings {
        /// Metrics of the test set, before and after training.
        pub metrics: Vec<MetricName> = standard_metrics(),
        /// Metric of validation.
        pub metric: MetricName = MetricName::Retrieval(dml::eval::RetrievalMetric::MeanAveragePrecisionAtR),
        /// Epochs from one validation to the next; default: 1 with validation data.
        pub every: Option<u64> = None,
        /// Epochs without a new best after which the run ends.
        pub patience: Option<u64> = None,
        /// Images or texts that are embedded at a time.
        pub batch: usize = 16,
    }
}

dml_core::config! {
    serde always:
    /// `[search]`: the index that `dml index` makes.
    pub struct SearchSettings {
        /// The kind of index.
        pub index: KnnConfig = KnnConfig::FlatIndex(dml::config::FlatIndexConfig {
            metric: dml::eval::FlatMetric::Cosine,
            ..Default::default()
        }),
        /// Neighbours of a query.
        pub k: usize = 10,
    }
}
