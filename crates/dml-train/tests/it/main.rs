//! Runs of the trainer, from outside.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod adversarial;
mod blobs;
mod board;
mod gradient_cache;
mod hooks;
mod logs;
mod methods;
mod mixed_precision;
mod relations;
mod resumption;
mod sampler_state;
mod steps;
mod subset_batch_miner;
