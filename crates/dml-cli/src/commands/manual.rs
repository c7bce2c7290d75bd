//! `dml completions` and `dml man`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use dml_program::terminal::Output;

use crate::Cli;
use crate::run_folder::write;

/// For which shell.
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Where the pages go.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// Folder for a page of each command. Default: the page of `dml` to standard output.
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Prints a completion script.
///
/// # Errors
/// Never in practice: what can't be printed is dropped.
pub fn completions(args: &CompletionArgs) -> anyhow::Result<()> {
    clap_complete::generate(args.shell, &mut Cli::command(), "dml", &mut Output);
    Ok(())
}

/// Prints the manual page, or writes one for each command.
///
/// # Errors
/// A folder that can't be written to.
pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    let command = Cli::command();
    let Some(folder) = &args.folder else {
        clap_mangen::Man::new(command).render(&mut Output)?;
        return Ok(Output.flush()?);
    };
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    let page = |command: clap::Command, name: &str| -> anyhow::Result<()> {
        let mut text = Vec::new();
        let named = command.display_name(name);
        clap_mangen::Man::new(named).title(name).render(&mut text)?;
        write(&folder.join(format!("{name}.1")), &text)
    };
    for sub in command.get_subcommands() {
        page(sub.clone(), &format!("dml-{}", sub.get_name()))?;
    }
    page(command, "dml")
}
