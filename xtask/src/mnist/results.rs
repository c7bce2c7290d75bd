//! What a run came to: `metrics.json`, the page, the last line on the terminal.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::course::Course;
use super::log::Iteration;
use super::parts::Parts;
use super::report::{Along, Report};

/// What `metrics.json` holds.
#[derive(Serialize)]
pub(super) struct Metrics<'a> {
    pub(super) precision_at_1: f64,
    /// What was asked for besides.
    pub(super) metrics: Map<String, Value>,
    pub(super) train_seconds: f64,
    pub(super) embed_seconds: f64,
    pub(super) eval_seconds: f64,
    pub(super) peak_rss_mb: Option<f64>,
    pub(super) iterations: usize,
    pub(super) final_loss: f32,
    pub(super) dataset: &'a str,
    pub(super) seed: u64,
    pub(super) config: Config<'a>,
}

/// What was run, in full.
#[derive(Serialize)]
pub(super) struct Config<'a> {
    pub(super) epochs: u64,
    pub(super) batch_size: usize,
    pub(super) gradient_cache: Option<usize>,
    pub(super) lr: f64,
    pub(super) threads: usize,
    pub(super) device: &'a str,
    pub(super) train_images: usize,
    pub(super) test_images: usize,
    #[serde(flatten)]
    pub(super) parts: &'a Parts,
}

/// The page of a run.
pub(super) fn report_of(
    metrics: &Metrics<'_>,
    course: &Course,
    validation_seconds: f64,
    has_miner: bool,
) -> anyhow::Result<Report> {
    let history = course.iterations();
    let config = &metrics.config;
    let summary = format!(
        "data set {}: {} images to train on and {} to test with; {} of batches of {}; seed {}",
        metrics.dataset,
        config.train_images,
        config.test_images,
        count(config.epochs, "epoch"),
        config.batch_size,
        metrics.seed,
    );
    let mut report = Report::new("Deep metric learning on digits", &summary);
    report.fact("Precision@1", format!("{:.4}", metrics.precision_at_1));
    for (name, value) in &metrics.metrics {
        let shown = value
            .as_f64()
            .map_or_else(|| value.to_string(), |x| format!("{x:.4}"));
        report.fact(name, shown);
    }
    report.fact("last loss", format!("{:.4}", metrics.final_loss));
    report.fact("iterations", metrics.iterations.to_string());
    if let Some(mb) = metrics.peak_rss_mb {
        report.fact("peak memory", format!("{mb:.0} MB"));
    }
    let values = |f: fn(&Iteration) -> f64| history.iter().map(f).collect::<Vec<_>>();
    report.curve(
        "loss",
        Along::ITERATIONS,
        &values(|done| f64::from(done.loss)),
    )?;
    let mined = if has_miner { "mined tuples" } else { "values" };
    report.curve(mined, Along::ITERATIONS, &values(|done| done.mined as f64))?;
    let precisions = course.precisions();
    if !precisions.is_empty() {
        report.curve("Precision@1", Along::EPOCHS, &precisions)?;
    }
    let mut timings = vec![
        ("training", metrics.train_seconds),
        ("embedding", metrics.embed_seconds),
        ("search and metrics", metrics.eval_seconds),
    ];
    if !precisions.is_empty() {
        timings.insert(1, ("validation", validation_seconds));
    }
    report.timings(&timings);
    report.settings(&serde_json::to_value(config)?);
    Ok(report)
}

/// `1 epoch`, `2 epochs`.
pub(super) fn count(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

pub(super) fn print_summary(metrics: &Metrics<'_>, out: &Path) {
    let memory = metrics
        .peak_rss_mb
        .map_or_else(String::new, |mb| format!(", peak memory {mb:.0} MB"));
    println!(
        "trained in {:.1} s, embedded in {:.1} s, searched in {:.1} s{memory}; results in {}",
        metrics.train_seconds,
        metrics.embed_seconds,
        metrics.eval_seconds,
        out.display()
    );
}
