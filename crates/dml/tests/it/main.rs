//! What holds for every component that there is by name: a new one is held to it by its line in the registry.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod finite_input;
mod not_a_number;
mod registry;
mod threads;
