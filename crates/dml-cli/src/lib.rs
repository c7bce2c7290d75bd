#![doc = include_str!("../README.md")]

pub mod exit;
pub mod notes;
pub mod progress;
pub mod settings;
pub mod shell;

pub mod device;
pub mod run_folder;

pub mod data;
pub mod evaluation;
pub mod figures;
pub mod history;
pub mod inputs;
pub mod network;
pub mod page;
pub mod preparation;
pub mod results;
pub mod run;
pub mod training;

pub mod cli;
pub mod commands;

pub use cli::{Cli, Command};
pub use commands::run;
