//! The commands, one module each.

pub mod calibrate;
pub mod compare;
pub mod embed;
pub mod evaluate;
pub mod export;
pub mod index;
pub mod init;
pub mod inspect;
pub mod list;
pub mod manual;
pub mod mine;
pub mod report;
pub mod search;
pub mod serve;
pub mod train;

use crate::cli::{Cli, Command};

/// Runs the command.
///
/// # Errors
/// One sentence for whatever is wrong; [`exit::code`](crate::exit::code) has its exit code.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Some(threads) = cli.threads {
        dml_program::limit_threads(threads)?;
    }
    match &cli.command {
        Command::Init(args) => init::run(args),
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Index(args) => index::run(args),
        Command::Search(args) => search::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::List(args) => list::run(args),
        Command::Export(args) => export::run(args),
        Command::Mine(args) => mine::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Report(args) => report::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
    }
}
