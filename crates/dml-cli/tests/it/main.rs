//! The command from the outside: arguments, files, exit codes.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

mod commands;
mod damaged_inputs;
#[cfg(target_os = "linux")]
mod paths;
mod program;
mod recipes;
mod serving;
mod texts;
mod training;
mod wrong_configurations;
