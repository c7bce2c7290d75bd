//! PyTorch Metric Learning's example `TripletMarginLossMNIST`, from data to Precision@1: `cargo xtask mnist`.
//!
//! ```text
//! images → conv 3×3 (32) → relu → conv 3×3 (64) → relu → max pool 2 → dropout of channels 0.25 → linear (128)
//! batch 256, Adam at 0.01, semihard triplets by cosine with margin 0.2, triplet loss with margin 0.2
//! ```
//!
//! Standard output has the example's lines, and last `Test set accuracy (Precision@1) = …`; the progress bar goes to
//! standard error and only to a terminal. The folder `--out` gets `metrics.json`, `log.csv`, `model.safetensors`, and
//! `report.html`, a page with curves, pictures of the embeddings, timings and settings; each picture as a file of its own,
//! SVG and PNG; and checkpoints, from which `--resume` continues: a run that was interrupted ends with the same bits as one
//! that was not.

mod args;
mod components;
mod data_source;
mod download;
mod evaluation;
mod history;
mod iteration_log;
mod network;
mod outputs;
mod pictures;
mod report;
mod run;
mod settings;
mod training;

#[cfg(test)]
mod tests;

pub use args::Args;
pub use components::{ComponentArgs, Components};
pub use data_source::{Dataset, Digits, open};
pub use network::Network;
pub use run::run;
pub use training::Training;
