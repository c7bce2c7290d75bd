//! The command line.

use std::path::PathBuf;

use dml::config::MetricName;
use dml_program::number::{self, MANY, within};

use crate::components::ComponentArgs;
use crate::data_source::Dataset;

/// Train on MNIST as PyTorch Metric Learning's example does, and measure Precision@1.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask mnist", bin_name = "cargo xtask mnist")]
pub struct Args {
    /// What to learn.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dataset: Dataset,
    /// A folder with the four files of MNIST or Fashion-MNIST, plain or compressed.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Passes over the training images.
    #[arg(long, default_value_t = 1, value_parser = within(0u64, 1_000_000))]
    pub(crate) epochs: u64,
    /// Images of a batch.
    #[arg(long, default_value_t = 256, value_parser = within(1, MANY))]
    pub(crate) batch_size: usize,
    /// Compute the gradients of a batch this many rows at a time: the memory of a small batch, the loss of the whole one,
    /// and a second forward pass.
    #[arg(long, value_name = "ROWS", value_parser = within(1, MANY))]
    pub(crate) gradient_cache: Option<usize>,
    /// Learning rate of Adam.
    #[arg(long, default_value_t = 0.01, value_parser = number::rate)]
    pub(crate) lr: f64,
    /// Seed of weights, order and dropout.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Threads [default: one a core].
    #[arg(long, value_parser = within(1, number::THREADS))]
    pub(crate) threads: Option<usize>,
    /// `cpu`, `cuda`, `cuda:N` or `metal`; the last ones need the feature of that name.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) components: ComponentArgs,
    /// Keep only the first images: N to train on and N / 6 to test with.
    #[arg(long, value_name = "N", value_parser = within(1usize, 1_000_000))]
    pub(crate) limit: Option<usize>,
    /// Metrics to compute besides Precision@1, such as `mean_average_precision_at_r,ndcg_at_10,NMI,roc_auc,rank_me`; a
    /// wrong name gives an error that lists all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) metrics: Vec<MetricName>,
    /// Leave the embeddings undrawn: no scatter, no sheet of neighbours, no curves of verification, no confusion.
    #[arg(long)]
    pub(crate) no_pictures: bool,
    /// Continue the interrupted run in `--out` from its last checkpoint.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write a checkpoint every N iterations, too, not only after every epoch and on Ctrl-C.
    #[arg(long, value_name = "N", value_parser = within(1, u64::MAX))]
    pub(crate) checkpoint_every: Option<u64>,
    /// Write the numbers of every iteration and epoch as events: `tensorboard --logdir OUT/tensorboard` draws them.
    #[arg(long)]
    pub(crate) tensorboard: bool,
    /// Where the results go.
    #[arg(long, value_name = "DIR", default_value = "target/mnist")]
    pub(crate) out: PathBuf,
}
