//! What a run came to: `metrics.json`, the page, the last line on the terminal.

use std::path::Path;

use dml::report::{Figure, Page};
use serde::Serialize;
use serde_json::{Map, Value};

use super::parts::Parts;

/// What `metrics.json` holds.
#[derive(Serialize)]
pub(super) struct Metrics<'a> {
    pub(super) precision_at_1: f64,
    /// What was asked for besides.
    pub(super) metrics: Map<String, Value>,
    pub(super) train_seconds: f64,
    pub(super) embed_seconds: f64,
    pub(super) eval_seconds: f64,
    pub(super) picture_seconds: f64,
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

/// The page of a run; `validation_seconds` if Precision@1 was measured along the way.
pub(super) fn page_of(
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
    let mut times = vec![("training", metrics.train_seconds)];
    times.extend(validation_seconds.map(|seconds| ("validation", seconds)));
    times.push(("embedding", metrics.embed_seconds));
    times.push(("search and metrics", metrics.eval_seconds));
    times.push(("pictures", metrics.picture_seconds));
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
