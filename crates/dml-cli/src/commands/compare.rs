//! `dml compare`: two runs side by side.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dml::report::{Figure, Page};
use dml_program::println;

use crate::page::RunFiles;
use crate::run_folder::write;

/// Which runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of a run that has ended.
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// Folder of another.
    #[arg(value_name = "B")]
    pub second: PathBuf,
    /// Write a page, too.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Compares, prints, and writes the page if it is asked for.
///
/// # Errors
/// Runs that have not ended, or damaged files.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let runs = [RunFiles::read(&args.first)?, RunFiles::read(&args.second)?];
    let [first, second] = names(&runs, args);
    let metrics = metrics(&runs);
    print_table(["metric", &first, &second, "change"], &metrics);
    let settings = differences(&runs);
    if settings.is_empty() {
        println!("the configurations are equal");
    } else {
        println!();
        print_table(["configuration", &first, &second], &settings);
    }
    let Some(path) = &args.html else {
        return Ok(());
    };
    let summary = format!("{} and {}", args.first.display(), args.second.display());
    let mut page = Page::new(format!("{first} and {second}"), summary);
    page.table(
        "Metrics of the test set",
        &["", &first, &second, "change"],
        metrics,
    );
    page.figures("Training", curves(&runs, [&first, &second])?);
    page.table(
        "Differences of the configurations",
        &["", &first, &second],
        settings,
    );
    write(path, page.to_string().as_bytes())?;
    println!("{}", path.display());
    Ok(())
}

/// Prints columns that are as wide as their longest cell; all but the first are aligned at the right.
fn print_table<const N: usize>(names: [&str; N], rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([names[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let header = names.map(str::to_owned);
    for row in [&header].into_iter().chain(rows) {
        let cell = |(column, text): (usize, &String)| match column {
            0 => format!("{text:<width$}", width = widths[column]),
            _ => format!("{text:>width$}", width = widths[column]),
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// Short names, or whole paths where these are the same.
fn names(runs: &[RunFiles; 2], args: &Args) -> [String; 2] {
    let [first, second] = runs;
    match first.name == second.name {
        true => [&args.first, &args.second].map(|path| path.display().to_string()),
        false => [first.name.clone(), second.name.clone()],
    }
}

fn metrics(runs: &[RunFiles; 2]) -> Vec<[String; 4]> {
    let [first, second] = runs.each_ref().map(|run| &run.results);
    let names: BTreeSet<&String> = first.metrics.keys().chain(second.metrics.keys()).collect();
    let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let row = |name: &String| {
        let of = |run: &crate::results::Results| run.metrics.get(name).copied().flatten();
        let (a, b) = (of(first), of(second));
        let change = a
            .zip(b)
            .map_or(String::new(), |(a, b)| format!("{:+.4}", b - a));
        [name.clone(), shown(a), shown(b), change]
    };
    let mut rows: Vec<[String; 4]> = names.into_iter().map(row).collect();
    let seconds = |run: &RunFiles| run.results.seconds.get("training").copied();
    let [a, b] = runs.each_ref().map(seconds);
    let time = |value: Option<f64>| value.map_or("–".to_owned(), crate::progress::duration);
    rows.push(["training time".to_owned(), time(a), time(b), String::new()]);
    rows
}

/// The fields that differ.
fn differences(runs: &[RunFiles; 2]) -> Vec<[String; 3]> {
    let [first, second] = runs.each_ref().map(RunFiles::fields);
    let value = |fields: &[(String, String)], name: &str| {
        let own = fields.iter().find(|(own, _)| own == name);
        own.map_or("–".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&String> = first.iter().map(|(name, _)| name).collect();
    names.extend(
        second
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !first.iter().any(|(own, _)| own == *name)),
    );
    let rows = names
        .into_iter()
        .map(|name| [name.clone(), value(&first, name), value(&second, name)]);
    rows.filter(|[name, a, b]| a != b && name != "train.out")
        .collect()
}

fn curves(runs: &[RunFiles; 2], names: [&String; 2]) -> anyhow::Result<Vec<Figure>> {
    use dml::eval::pictures::line_charts;

    let [first, second] = runs;
    let mut curves = Vec::new();
    let mut push = |name: &str, caption: String, a: &[f64], b: &[f64]| -> anyhow::Result<()> {
        let lines = [(names[0].as_str(), a), (names[1].as_str(), b)];
        if lines
            .iter()
            .any(|(_, values)| values.iter().any(|value| value.is_finite()))
        {
            let drawing = line_charts(name, ("epoch", 1), &lines);
            curves.push(Figure::new(caption, drawing.to_svg()?));
        }
        Ok(())
    };
    push(
        "loss",
        "mean loss, by epoch".to_owned(),
        &first.losses,
        &second.losses,
    )?;
    let metric = first.settings.evaluate.metric;
    if metric == second.settings.evaluate.metric {
        let name = metric.to_string();
        let caption = format!("{name} of validation, by epoch");
        push(&name, caption, &first.validations, &second.validations)?;
    }
    Ok(curves)
}
