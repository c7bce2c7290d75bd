//! `metrics.json`: what came of a run, for programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::run_folder::METRICS;

/// The content of `metrics.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// Version of the command.
    pub version: String,
    /// The command line.
    pub command: String,
    /// When the run ended, in UTC: `2026-12-01 14:03`.
    pub date: String,
    /// Metrics of the test set after training.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// The same before training.
    pub metrics_before_training: BTreeMap<String, Option<f64>>,
    /// The validation of the best epoch.
    pub validation: Option<BestEpoch>,
    /// Epochs that are done.
    pub epochs: u64,
    /// Iterations that are done.
    pub steps: u64,
    /// Seconds of each phase.
    pub seconds: BTreeMap<String, f64>,
    /// Largest resident memory in MB.
    pub peak_memory_mb: Option<f64>,
    /// What was learnt from and judged by.
    pub data: DataSummary,
    /// Number of parameters of the network.
    pub parameters: usize,
    /// Which weights were written: `last`, `best` or `average`.
    pub weights: String,
}

/// The best epoch by validation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// The metric.
    pub metric: String,
    /// The epoch, from 1.
    pub epoch: u64,
    /// The value.
    pub value: f64,
}

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataSummary {
    /// What is learnt from, in words.
    pub train: String,
    /// What is judged by, in words; empty for nothing.
    pub test: String,
    /// What the best epoch is chosen by, in words; empty for nothing.
    pub validation: String,
    /// The names of the classes that were learnt.
    pub classes: Vec<String>,
    /// The names of the classes of the test set.
    pub test_classes: Vec<String>,
    /// The files that were left out, and why.
    pub skipped: BTreeMap<String, String>,
}

/// Metrics by name, where no number is `null`.
#[must_use]
pub fn by_name(metrics: &[(String, f64)]) -> BTreeMap<String, Option<f64>> {
    let finite = |value: f64| value.is_finite().then_some(value);
    metrics
        .iter()
        .map(|(name, value)| (name.clone(), finite(*value)))
        .collect()
}

impl Results {
    /// The results in the folder of a run.
    ///
    /// # Errors
    /// A run that has not ended, or a damaged file.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(METRICS);
        let bytes = fs::read(&path).with_context(|| {
            format!(
                "{}: expected a run that has ended, with {METRICS}",
                folder.display()
            )
        })?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    /// The metrics before and after training, a line each.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!("{:<28} {:>10} {:>10}\n", "metric", "before", "after");
        let shown =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
        for (name, after) in &self.metrics {
            let before = self.metrics_before_training.get(name).copied().flatten();
            table.push_str(&format!(
                "{name:<28} {:>10} {:>10}\n",
                shown(before),
                shown(*after)
            ));
        }
        table
    }
}

/// The time of now in UTC: `2026-12-01 14:03`.
#[must_use]
pub fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    date(seconds.map_or(0, |since| since.as_secs()))
}

/// The date and time of seconds since 1970; empty for a year that the calendar lacks.
fn date(seconds: u64) -> String {
    let date = i64::try_from(seconds).ok();
    let date = date.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    date.map_or(String::new(), |date| {
        date.format("%Y-%m-%d %H:%M").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_799, "2000-02-29 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
            (1_796_130_180, "2026-12-01 13:03"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn what_is_no_number_is_null_and_a_dash() {
        let metrics = by_name(&[("a".to_owned(), 0.5), ("b".to_owned(), f64::NAN)]);
        let results = Results {
            metrics,
            ..Results::default()
        };
        let json = serde_json::to_string(&results).unwrap();
        assert!(json.contains(r#""b":null"#), "{json}");
        assert_eq!(serde_json::from_str::<Results>(&json).unwrap(), results);
        assert!(results.table().contains("0.5000"));
        assert!(results.table().lines().last().unwrap().ends_with('–'));
    }
}
