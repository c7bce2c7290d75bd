//! Accuracies against scikit-learn, writers that are killed, and the layers of the crate.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod killed_writer;
mod rooms;
mod scikit_learn;
