//! The command from the outside: arguments, files, exit codes.

mod commands;
mod damaged_inputs;
mod program;
mod training;
mod wrong_configurations;
