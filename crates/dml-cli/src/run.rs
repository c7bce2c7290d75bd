//! A run: training, evaluation, and the files that it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use dml::candle_core::Device;
use dml::train::Ended;
use dml_program::{Interrupt, println};

use crate::evaluation::{Embedded, EvaluationSet};
use crate::exit::Interrupted;
use crate::network::Network;
use crate::preparation::Prepared;
use crate::results::{BestEpoch, DataSummary, Results, by_name, now};
use crate::run_folder::{BEFORE, CONFIG, METRICS, MODEL, REPORT, RunFolder};
use crate::settings::{Settings, in_utf8};
use crate::shell::{command_line, quoted};
use crate::training::Trained;
use crate::{figures, page};

/// A run with everything that it needs.
#[derive(Debug)]
pub struct Run {
    /// The configuration.
    pub settings: Settings,
    /// The network with its data and its training.
    pub prepared: Prepared,
    /// Where everything is computed.
    pub device: Device,
    /// Where the results go.
    pub run: RunFolder,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Whether the folder holds an interrupted run.
    pub is_resumed: bool,
}

impl Run {
    /// Trains, evaluates and writes everything.
    ///
    /// # Errors
    /// [`Interrupted`] after Ctrl-C, and whatever keeps data and results from being read and written.
    pub fn train(mut self) -> anyhow::Result<()> {
        if !self.is_resumed {
            self.write_config()?;
        }
        let mut seconds = BTreeMap::new();
        let before = self.before(&mut seconds)?;
        self.check_interrupt()?;
        if self.is_resumed {
            match self.prepared.training.resume()? {
                Some(step) => println!("goes on after iteration {step}"),
                None => println!("begins anew: there is no checkpoint yet"),
            }
            // Arguments may have changed it, and a run that goes on has not ended.
            self.write_config()?;
            self.run.remove_file(METRICS)?;
        }
        let trained = self.prepared.training.run()?;
        if trained.ended == Ended::Stopped {
            return self.check_interrupt().and_then(|()| {
                let kept = "standard output is closed; the last checkpoint is kept".to_owned();
                Err(Interrupted { kept }.into())
            });
        }
        seconds.insert("training".to_owned(), trained.seconds);
        let has_best = self.prepared.data.validation.is_some() && trained.best.is_some();
        let weights = match (has_best, self.settings.train.ema) {
            (true, _) => "best",
            (false, Some(_)) => "average",
            (false, None) => "last",
        };
        if !has_best {
            let network = &*self.prepared.network;
            self.prepared
                .training
                .write(network, &self.run.path(MODEL))?;
        }
        let network = self
            .prepared
            .network
            .read(&self.run.path(MODEL), &self.device)?;
        self.judge(&*network, trained, before, weights, seconds)
    }

    fn write_config(&self) -> anyhow::Result<()> {
        let placed = with_absolute_paths(&self.settings)?;
        self.run.write(CONFIG, placed.to_toml(false).as_bytes())
    }

    /// Metrics before training, once a run.
    fn before(
        &self,
        seconds: &mut BTreeMap<String, f64>,
    ) -> anyhow::Result<BTreeMap<String, Option<f64>>> {
        let path = self.run.path(BEFORE);
        if self.is_resumed && path.exists() {
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            return serde_json::from_slice(&text).with_context(|| path.display().to_string());
        }
        let Some(test) = &self.prepared.data.test else {
            return Ok(BTreeMap::new());
        };
        let begun = Instant::now();
        let embedded = self.embed(test, &*self.prepared.network)?;
        let metrics = by_name(&embedded.metrics(&self.settings.evaluate.metrics)?);
        seconds.insert(
            "evaluation before training".to_owned(),
            begun.elapsed().as_secs_f64(),
        );
        self.run.write(BEFORE, &serde_json::to_vec(&metrics)?)?;
        Ok(metrics)
    }

    /// The embeddings of a set, unless the user asks for the end.
    fn embed(&self, set: &EvaluationSet, network: &dyn Network) -> anyhow::Result<Embedded> {
        let batch = self.settings.evaluate.batch;
        let embedded = set.embed(batch, network.things(), |view| {
            if self.interrupt.is_asked() {
                return Err(dml::Error::unsupported("evaluation", "interrupted"));
            }
            network.layer().forward(&view.to_device(&self.device)?)
        });
        self.check_interrupt()?;
        embedded
    }

    fn check_interrupt(&self) -> anyhow::Result<()> {
        if !self.interrupt.is_asked() {
            return Ok(());
        }
        let folder = quoted(self.run.folder());
        let kept =
            format!("what there is of the run is kept; go on by dml train --resume {folder}");
        Err(Interrupted { kept }.into())
    }

    /// Evaluates the model that was written, and writes metrics, figures and the page.
    fn judge(
        &self,
        network: &dyn Network,
        trained: Trained,
        before: BTreeMap<String, Option<f64>>,
        weights: &str,
        mut seconds: BTreeMap<String, f64>,
    ) -> anyhow::Result<()> {
        let mut metrics = BTreeMap::new();
        if let Some(test) = &self.prepared.data.test {
            let begun = Instant::now();
            let embedded = self.embed(test, network)?;
            metrics = by_name(&embedded.metrics(&self.settings.evaluate.metrics)?);
            seconds.insert("evaluation".to_owned(), begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            figures::write_all(&self.run, test, &embedded)?;
            seconds.insert("pictures".to_owned(), begun.elapsed().as_secs_f64());
        }
        let best = trained.best.map(|(epoch, value)| BestEpoch {
            metric: self.settings.evaluate.metric.to_string(),
            epoch,
            value,
        });
        let results = Results {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command_line(std::env::args_os()),
            date: now(),
            metrics,
            metrics_before_training: before,
            validation: best,
            epochs: trained.epochs,
            steps: trained.steps,
            seconds,
            peak_memory_mb: dml_program::peak_mb(),
            data: self.summary(),
            parameters: network.layer().parameters().element_count(),
            weights: weights.to_owned(),
        };
        self.run
            .write(METRICS, &serde_json::to_vec_pretty(&results)?)?;
        let folder = self.run.folder();
        self.run.write(REPORT, page::of_run(folder)?.as_bytes())?;
        dml_program::terminal::print(format_args!("{}", results.table()));
        let took = crate::progress::duration(trained.seconds);
        println!(
            "trained in {took}; model, metrics and {REPORT} in {}",
            folder.display()
        );
        Ok(())
    }

    fn summary(&self) -> DataSummary {
        let data = &self.prepared.data;
        let things = self.prepared.network.things();
        let named = |path: &Option<PathBuf>| {
            let path = path.as_ref().or(self.settings.data.train.as_ref());
            path.map_or(String::new(), |path| path.display().to_string())
        };
        let set = |set: &Option<EvaluationSet>, path: &Option<PathBuf>| {
            set.as_ref().map_or(String::new(), |set| {
                format!("{} in {}", set.describe(things), named(path))
            })
        };
        let own = &self.settings.data;
        let skipped = data.skipped.iter();
        DataSummary {
            train: format!("{} in {}", data.train, named(&own.train)),
            test: set(&data.test, &own.test),
            validation: set(&data.validation, &own.validation),
            classes: data.classes.clone(),
            test_classes: data
                .test
                .as_ref()
                .map(|set| set.class_names().to_vec())
                .unwrap_or_default(),
            skipped: skipped
                .map(|own| (own.path.display().to_string(), own.reason.clone()))
                .collect(),
        }
    }
}

/// The settings with paths that hold from any folder.
///
/// # Errors
/// A working directory that a configuration can't hold.
fn with_absolute_paths(settings: &Settings) -> anyhow::Result<Settings> {
    let mut placed = settings.clone();
    let (data, backbone) = (&mut placed.data, &mut placed.backbone);
    let paths = [
        &mut data.train,
        &mut data.test,
        &mut data.validation,
        &mut data.test_pairs,
        &mut data.train_labels,
        &mut data.test_labels,
        &mut data.validation_labels,
        &mut backbone.weights,
        &mut backbone.folder,
    ];
    let paths = paths.into_iter().flatten();
    for path in paths.chain([&mut placed.train.out]) {
        let absolute = std::path::absolute(&*path)?;
        in_utf8(&absolute, &absolute.display().to_string())?;
        *path = absolute;
    }
    Ok(placed)
}
