//! The results of a run: `metrics.json`, the page, the last line on the terminal.

use std::path::Path;

use dml::report::{Figure, Page};
use dml_program::println;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::components::Components;

/// The content of `metrics.json`.
#[derive(Serialize)]
pub(crate) struct Metrics<'a> {
    pub(crate) precision_at_1: f64,
    /// The metrics of `--metrics`.
    pub(crate) metrics: Map<String, Value>,
    #[serde(flatten)]
    pub(crate) seconds: Seconds,
    pub(crate) peak_rss_mb: Option<f64>,
    pub(crate) iterations: usize,
    pub(crate) final_loss: f32,
    pub(crate) dataset: &'a str,
    pub(crate) seed: u64,
    pub(crate) config: Config<'a>,
}

/// Wall-clock seconds of each phase.
#[derive(Serialize)]
pub(crate) struct Seconds {
    pub(crate) train_seconds: f64,
    pub(crate) embed_seconds: f64,
    pub(crate) eval_seconds: f64,
    pub(crate) picture_seconds: f64,
}

/// The configuration of the run, in full.
#[derive(Debug, Serialize)]
pub(crate) struct Config<'a> {
    pub(crate) epochs: u64,
    pub(crate) batch_size: usize,
    pub(crate) gradient_cache: Option<usize>,
    pub(crate) lr: f64,
    pub(crate) threads: usize,
    pub(crate) device: &'a str,
    pub(crate) train_images: usize,
    pub(crate) test_images: usize,
    #[serde(flatten)]
    pub(crate) components: &'a Components,
}

/// The page of a run; `validation_seconds` if Precision@1 was measured along the way.
pub(crate) fn page_of(
    metrics: &Metrics<'_>,
    curves: Vec<Figure>,
    pictures: Vec<Figure>,
    validation_seconds: Option<f64>,
) -> anyhow::Result<Page> {
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
    let mut page = Page::new("Deep metric learning on digits", summary);
    page.fact("Precision@1", format!("{:.4}", metrics.precision_at_1));
    for (name, value) in &metrics.metrics {
        let shown = value
            .as_f64()
            .map_or_else(|| value.to_string(), |x| format!("{x:.4}"));
        page.fact(name, shown);
    }
    page.fact("last loss", format!("{:.4}", metrics.final_loss));
    page.fact("iterations", metrics.iterations.to_string());
    if let Some(mb) = metrics.peak_rss_mb {
        page.fact("peak memory", format!("{mb:.0} MB"));
    }
    page.figures("Training", curves);
    page.figures("Embeddings", pictures);
    let mut times = vec![("training", metrics.seconds.train_seconds)];
    times.extend(validation_seconds.map(|seconds| ("validation", seconds)));
    times.push(("embedding", metrics.seconds.embed_seconds));
    times.push(("search and metrics", metrics.seconds.eval_seconds));
    times.push(("pictures", metrics.seconds.picture_seconds));
    page.times("Where the time went", &times);
    if let Value::Object(config) = serde_json::to_value(config)? {
        let rows = config.iter().map(|(name, value)| {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            [name.replace('_', " "), shown]
        });
        page.table("Settings", &[], rows);
    }
    Ok(page)
}

/// `1 epoch`, `2 epochs`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

pub(crate) fn print_summary(metrics: &Metrics<'_>, out: &Path) {
    let memory = metrics
        .peak_rss_mb
        .map_or_else(String::new, |mb| format!(", peak memory {mb:.0} MB"));
    println!(
        "trained in {:.1} s, embedded in {:.1} s, searched in {:.1} s{memory}; results in {}",
        metrics.seconds.train_seconds,
        metrics.seconds.embed_seconds,
        metrics.seconds.eval_seconds,
        out.display()
    );
}
