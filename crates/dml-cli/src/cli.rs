//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    calibrate, compare, embed, evaluate, export, index, init, inspect, list, manual, mine, report,
    search, serve, train,
};

/// Deep metric learning: from a folder of images to a searchable index.
#[derive(Debug, Parser)]
#[command(name = "dml", version, max_term_width = 120, after_help = AFTER)]
pub struct Cli {
    /// Threads of the arithmetic. Default: all processors.
    #[arg(long, global = true, value_name = "N", value_parser = dml_program::number::within(1usize, dml_program::number::THREADS))]
    pub threads: Option<usize>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 130 interrupted.";

/// The commands, in the order in which a user meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented configuration from a look at the data.
    Init(init::Args),
    /// Train an embedding.
    Train(train::Args),
    /// Evaluate a model on labelled data.
    Evaluate(evaluate::Args),
    /// Write embeddings of images or texts to a file.
    Embed(embed::Args),
    /// Embed images or texts into an index that can be searched.
    Index(index::Args),
    /// Search an index by images, texts, vectors or ids.
    Search(search::Args),
    /// Show what a run, model, checkpoint, index or data set holds, and what is wrong with it.
    Inspect(inspect::Args),
    /// List losses, miners, backbones and other components with their arguments.
    List(list::Args),
    /// Export a model as ONNX, safetensors or a folder.
    Export(export::Args),
    /// Mine hard negatives: from labelled data to a table of triplets.
    Mine(mine::Args),
    /// Find the threshold for a false accept rate, F1 or accuracy.
    Calibrate(calibrate::Args),
    /// Serve an index over HTTP, with a web page.
    Serve(Box<serve::Args>),
    /// Make the report page of a run again.
    Report(report::Args),
    /// Compare two runs side by side.
    Compare(compare::Args),
    /// Print a completion script for a shell.
    Completions(manual::CompletionArgs),
    /// Print the manual page, or write those of all commands to a folder.
    Man(manual::ManArgs),
}
