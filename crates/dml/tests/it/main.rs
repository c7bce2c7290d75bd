//! The whole registry, from outside.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod configurations;
mod fuzz;
