//! `dml inspect`: what a path holds, and what is wrong with it.

mod dataset;
mod model;

use std::path::{Path, PathBuf};

use anyhow::bail;
use dml::encoder::is_model;
use dml::eval::Collection;
use dml_program::println;

use crate::commands::train::DEFAULT_CONFIG;
use crate::exit::Misuse;
use crate::results::Results;
use crate::run_folder::{CHECKPOINTS, INDEX, METRICS, MODEL, is_run};
use crate::settings::{is_table, load};
use crate::shell::quoted;

/// What to inspect.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run, model, weights, checkpoints, index, configuration, folder of images, or table.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Decode every image of a data set, and compare their bytes.
    #[arg(long)]
    pub decode: bool,
}

/// Prints what there is; what is wrong is counted, and ends with an error.
///
/// # Errors
/// Problems that were found, and a path that is nothing that the command knows.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.path;
    if !path.exists() {
        return Err(Misuse::error(format!(
            "{}: no such file or folder",
            path.display()
        )));
    }
    let problems = inspect(path, args.decode)?;
    for problem in &problems {
        println!("wrong: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("{}: 1 problem", path.display()),
        count => bail!("{}: {count} problems", path.display()),
    }
}

/// Prints, and returns what is wrong.
fn inspect(path: &Path, decode: bool) -> anyhow::Result<Vec<String>> {
    if is_run(path) {
        return run_folder(path, decode);
    }
    if path.is_dir() {
        return match () {
            () if is_model(path) => model::folder(path),
            () if Collection::is_collection(path) => model::collection(path),
            () if has_checkpoints(path) => model::checkpoints(path),
            () => dataset::folder(path, decode),
        };
    }
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or("");
    match ending.to_ascii_lowercase().as_str() {
        "toml" => {
            let settings = load(Some(path), &[])?;
            println!(
                "configuration: network {}, loss {}",
                network(&settings),
                settings.loss["name"]
            );
            Ok(Vec::new())
        }
        "safetensors" | "pth" | "pt" | "bin" => model::weights(path),
        _ if is_table(path) => dataset::table(path, decode),
        _ => model::index(path),
    }
}

fn network(settings: &crate::settings::Settings) -> String {
    let own = &settings.backbone;
    let folder = || own.folder.as_ref().map(|path| path.display().to_string());
    own.name.clone().or_else(folder).unwrap_or_default()
}

fn has_checkpoints(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
}

/// A run: its state, and everything in it.
fn run_folder(folder: &Path, decode: bool) -> anyhow::Result<Vec<String>> {
    let settings = load(Some(&folder.join(DEFAULT_CONFIG)), &[])?;
    println!(
        "run: network {}, loss {}, {} epochs",
        network(&settings),
        settings.loss["name"],
        settings.train.epochs
    );
    let mut problems = Vec::new();
    if folder.join(METRICS).exists() {
        let results = Results::read(folder)?;
        println!(
            "ended {} UTC after {} epochs, {} iterations",
            results.date, results.epochs, results.steps
        );
        for (name, value) in &results.metrics {
            println!(
                "  {name:<28} {}",
                value.map_or("–".to_owned(), |value| format!("{value:.4}"))
            );
        }
    } else {
        println!("not ended: go on by dml train --resume {}", quoted(folder));
    }
    for part in [CHECKPOINTS, MODEL, INDEX] {
        let path = folder.join(part);
        if path.exists() {
            println!("{part}:");
            match inspect(&path, decode) {
                Ok(found) => problems.extend(found),
                Err(error) => problems.push(format!("{error:#}")),
            }
        }
    }
    if folder.join(METRICS).exists() && !folder.join(MODEL).exists() {
        problems.push(format!("{MODEL}: the run has ended, and its model is gone"));
    }
    Ok(problems)
}
