//! Runs of the trainer, from outside.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod blobs;
mod gradient_cache;
mod hooks;
mod logs;
mod methods;
mod resumption;
mod steps;
