//! The page of a run, made of the files in its folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use dml::eval::pictures::line_chart;
use dml::report::{Figure, Page};
use serde_json::Value;

use crate::figures;
use crate::results::Results;
use crate::run_folder::{CONFIG, LOGS};
use crate::settings::{SECTIONS, Settings, load};

/// Metrics in large letters at the top of the page.
const FACTS: [&str; 3] = ["precision_at_1", "mean_average_precision_at_r", "roc_auc"];

/// What a run has left.
#[derive(Debug)]
pub struct RunFiles {
    /// Its name: the last part of its folder.
    pub name: String,
    /// The resolved configuration.
    pub settings: Settings,
    /// The results.
    pub results: Results,
    /// Mean loss of every epoch.
    pub losses: Vec<f64>,
    /// Validation of every epoch; NaN where there was none.
    pub validations: Vec<f64>,
}

impl RunFiles {
    /// Reads the folder of a run that has ended.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let results = Results::read(folder)?;
        let settings = load(Some(&folder.join(CONFIG)), &[])?;
        let epochs = rows(&folder.join(LOGS[1]))?;
        let column = |name: &str| -> Vec<f64> {
            let cell =
                |row: &BTreeMap<String, String>| row.get(name).and_then(|own| own.parse().ok());
            epochs
                .iter()
                .map(|row| cell(row).unwrap_or(f64::NAN))
                .collect()
        };
        let shown = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = shown.file_name().unwrap_or(shown.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            losses: column("epoch/mean_loss"),
            validations: column("epoch/validation"),
            settings,
            results,
        })
    }

    /// Fields of the configuration and their values, in order.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        for (section, _) in SECTIONS {
            for (name, value) in self.settings.ordered_fields_of(section) {
                // The file of a run has all fields that mean something for it.
                let path = format!("{section}.{name}");
                if self.settings.is_given(&path) {
                    flatten(path, &value, &mut rows);
                }
            }
        }
        rows
    }
}

/// A row for each number, word and list below a value.
fn flatten(path: String, value: &Value, rows: &mut Vec<(String, String)>) {
    let is_scalar = |value: &Value| !value.is_object() && !value.is_array();
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(format!("{path}.{name}"), value, rows);
            }
        }
        Value::Array(items) if !items.iter().all(is_scalar) => {
            for (place, value) in (1..).zip(items) {
                flatten(format!("{path}.{place}"), value, rows);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            rows.push((path, items.join(", ")));
        }
        scalar => rows.push((path, plain(scalar))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

/// The lines of a CSV file by the names of their columns; none if there is no file.
fn rows(path: &Path) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let reader = csv::ReaderBuilder::new().flexible(true).from_path(path);
    let mut reader = reader.with_context(|| path.display().to_string())?;
    let rows = reader.deserialize().collect::<Result<_, _>>();
    rows.with_context(|| path.display().to_string())
}

/// The page of a run.
///
/// # Errors
/// Files that are missing or damaged.
pub fn of_run(folder: &Path) -> anyhow::Result<String> {
    let run = RunFiles::read(folder)?;
    let results = &run.results;
    let mut summary = format!("learnt from {}", results.data.train);
    if !results.data.test.is_empty() {
        summary.push_str(&format!("; judged by {}", results.data.test));
    }
    let mut page = Page::new(run.name.clone(), summary);
    let facts = FACTS
        .iter()
        .filter_map(|name| Some((*name, (*results.metrics.get(*name)?)?)));
    for (name, value) in facts {
        page.fact(name.replace('_', " "), format!("{value:.4}"));
    }
    page.fact("epochs", results.epochs.to_string());
    if let Some(seconds) = results.seconds.get("training") {
        page.fact("training", crate::progress::duration(*seconds));
    }
    page.figures("Training", curves(&run)?);
    let figures = figures::read_all(folder)?.into_iter();
    page.figures(
        "Embeddings of the test set",
        figures.map(|(caption, svg)| Figure::new(caption, svg)),
    );
    let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let metrics = results.metrics.iter().map(|(name, after)| {
        let before = results.metrics_before_training.get(name).copied().flatten();
        [name.clone(), shown(before), shown(*after)]
    });
    page.table(
        "Metrics of the test set",
        &["", "before training", "after"],
        metrics,
    );
    let seconds: Vec<(&str, f64)> = results
        .seconds
        .iter()
        .map(|(name, own)| (name.as_str(), *own))
        .collect();
    page.times("Where the time went", &seconds);
    page.table(
        "Configuration",
        &[],
        run.fields().into_iter().map(|(a, b)| [a, b]),
    );
    page.table("The run", &[], about(results));
    let classes = results.data.test_classes.iter().enumerate();
    let classes = classes.map(|(number, name)| [number.to_string(), name.clone()]);
    page.table("Classes of the test set by number", &[], classes);
    let skipped = results.data.skipped.iter();
    if !results.data.skipped.is_empty() {
        let skipped = skipped.map(|(file, reason)| [file.clone(), reason.clone()]);
        page.table("Files that were left out", &[], skipped);
    }
    Ok(page.to_string())
}

fn curves(run: &RunFiles) -> anyhow::Result<Vec<Figure>> {
    let mut curves = Vec::new();
    if !run.losses.is_empty() {
        let drawing = line_chart("loss", ("epoch", 1), &run.losses);
        curves.push(Figure::new("mean loss, by epoch", drawing.to_svg()?));
    }
    if run.validations.iter().any(|value| value.is_finite()) {
        let metric = run.settings.evaluate.metric.to_string();
        let drawing = line_chart(&metric, ("epoch", 1), &run.validations);
        let caption = format!("{metric} of validation, by epoch");
        curves.push(Figure::new(caption, drawing.to_svg()?));
    }
    Ok(curves)
}

/// Date, version and command line.
fn about(results: &Results) -> Vec<[String; 2]> {
    let mut rows = vec![
        ["ended".to_owned(), format!("{} UTC", results.date)],
        ["command".to_owned(), results.command.clone()],
        ["version".to_owned(), results.version.clone()],
        ["iterations".to_owned(), results.steps.to_string()],
        ["parameters".to_owned(), results.parameters.to_string()],
        ["weights".to_owned(), results.weights.clone()],
    ];
    if let Some(best) = &results.validation {
        let shown = format!("{} {:.4} in epoch {}", best.metric, best.value, best.epoch);
        rows.push(["best validation".to_owned(), shown]);
    }
    if let Some(mb) = results.peak_memory_mb {
        rows.push(["peak memory".to_owned(), format!("{mb:.0} MB")]);
    }
    rows.push(["classes learnt".to_owned(), results.data.classes.join(", ")]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_rows_of_a_table() {
        let loss = serde_json::json!({
            "name": "TripletMarginLoss", "margin": 0.2, "distance": { "name": "LpDistance", "p": 2 },
            "steps": [1, 2], "parts": [{ "name": "a" }],
        });
        let mut rows = Vec::new();
        flatten("loss".to_owned(), &loss, &mut rows);
        let rows: Vec<(&str, &str)> = rows.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("loss.distance.name", "LpDistance"),
                ("loss.distance.p", "2"),
                ("loss.margin", "0.2"),
                ("loss.name", "TripletMarginLoss"),
                ("loss.parts.1.name", "a"),
                ("loss.steps", "1, 2"),
            ]
        );
    }
}
