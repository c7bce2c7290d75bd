//! Runs of the trainer, from outside.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod adapters;
mod adversarial;
mod after_errors;
mod blobs;
mod board;
mod cached_features;
mod folders;
mod gradient_cache;
mod hooks;
mod logs;
mod methods;
mod mixed_precision;
mod non_finite;
mod parameter_rules;
mod relations;
mod resumption;
mod sampler_state;
mod skipped_steps;
mod steps;
mod subset_batch_miner;
mod two_towers;
mod unused_parameters;
