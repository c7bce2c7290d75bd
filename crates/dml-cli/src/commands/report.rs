//! `dml report`: the page of a run, again.

use std::path::PathBuf;

use dml_program::println;

use crate::page;
use crate::run_folder::{REPORT, write};

/// Which run, and where the page goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run that has ended.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The page. Default: `report.html` in the folder of the run.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Writes the page.
///
/// # Errors
/// A run that has not ended, damaged files, a disk that is full.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let page = page::of_run(&args.run)?;
    let path = args.out.clone().unwrap_or_else(|| args.run.join(REPORT));
    write(&path, page.as_bytes())?;
    println!("{}", path.display());
    Ok(())
}
