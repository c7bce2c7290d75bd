//! The spans of a run, as somebody who traces it sees them.
//!
//! A program with one test: what a place in the code is worth to tracing is decided for all threads by the first that
//! comes by, and other tests would come by without a subscriber.

#![allow(clippy::unwrap_used)] // A test that meets an error has failed.

#[path = "it/blobs.rs"]
#[allow(dead_code)] // Written for the other tests too.
mod blobs;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use dml_train::{
    Checkpoints, CheckpointsConfig, MetricLossOnly, TrainError, Trainer, Validation,
    ValidationConfig,
};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use blobs::{Blobs, sampler, triplets, trunk};

/// Each span that was opened, as `outer/inner`, and how often.
#[derive(Debug, Default)]
struct Seen {
    /// Names by number, from 1.
    names: Vec<&'static str>,
    open: Vec<u64>,
    paths: Vec<String>,
    warnings: usize,
}

#[derive(Clone, Debug, Default)]
struct Counting(Arc<Mutex<Seen>>);

impl Counting {
    fn with<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dml_train")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.with(|seen| {
            seen.names.push(span.metadata().name());
            Id::from_u64(seen.names.len() as u64)
        })
    }

    fn enter(&self, span: &Id) {
        self.with(|seen| {
            seen.open.push(span.into_u64());
            let name = |id: &u64| seen.names[*id as usize - 1];
            let path: Vec<&str> = seen.open.iter().map(name).collect();
            let path = path.join("/");
            seen.paths.push(path);
        });
    }

    fn exit(&self, span: &Id) {
        // Spans are closed in the order in which they are nested.
        self.with(|seen| assert_eq!(seen.open.pop(), Some(span.into_u64())));
    }

    fn event(&self, event: &Event<'_>) {
        let is_warning = *event.metadata().level() == tracing::Level::WARN;
        self.with(|seen| seen.warnings += usize::from(is_warning));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}
}

fn trainer(folder: &std::path::Path) -> Result<Trainer<MetricLossOnly>, TrainError> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        ..CheckpointsConfig::default()
    };
    Trainer::builder(MetricLossOnly::new(trunk(1, 0.0), triplets()), data, order)
        .with_accumulation(2)
        .with_validation(Validation::new(ValidationConfig::default(), |_| Ok(0.5))?)
        .with_checkpoints(Checkpoints::new(folder, config)?)
        .build()
}

#[test]
fn spans_are_those_of_the_documentation_and_nested() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let counting = Counting::default();
    let mut trainer = trainer(folder.path())?;
    tracing::subscriber::with_default(counting.clone(), || trainer.run(2))?;
    let paths = counting.with(|seen| seen.paths.clone());
    let count = |path: &str| paths.iter().filter(|own| *own == path).count();
    // Two epochs of four iterations, each over two batches.
    let expected = [
        ("epoch", 2),
        ("epoch/iteration", 8),
        ("epoch/iteration/load", 16),
        ("epoch/iteration/gradients", 16),
        ("epoch/iteration/step", 8),
        ("epoch/validation", 2),
        // After the iterations 3 and 6, and each epoch.
        ("epoch/checkpoint", 4),
    ];
    for (path, times) in expected {
        assert_eq!(count(path), times, "{path}");
    }
    let known: BTreeSet<&str> = expected.iter().map(|own| own.0).collect();
    let found: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(found, known);
    // The README names them all.
    let names = expected.map(|(path, _)| format!("`{}`", path.rsplit('/').next().unwrap()));
    let readme = include_str!("../README.md");
    let spans = readme.split("Spans of").nth(1).unwrap();
    assert!(names.iter().all(|name| spans.contains(name)));

    // And of a checkpoint that is damaged, there is a warning.
    assert_eq!(counting.with(|seen| seen.warnings), 0);
    std::fs::write(folder.path().join("step-000000000008/state.json"), "{").unwrap();
    let mut resumed = self::trainer(folder.path())?;
    let step = tracing::subscriber::with_default(counting.clone(), || resumed.resume())?;
    assert_eq!(step, Some(6));
    assert_eq!(counting.with(|seen| seen.warnings), 1);
    Ok(())
}
