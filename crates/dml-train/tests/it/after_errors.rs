//! What a run does after an error or a panic: it goes on to the same end as a run that met none, or refuses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use dml_core::{
    Batch, Dataset, Examples, Labels, Loss, Objective, Optimizer, Sampler, SeedSequence, Terms,
    Tuples,
};
use dml_reducers::AvgNonZeroReducer;
use dml_train::schedule::{Plateau, PlateauConfig};
use dml_train::{
    AnyError, Checkpoints, CheckpointsConfig, Ended, Epoch, Flow, Hook, HookResult, Iteration,
    Method, MetricLossOnly, NamedModule, TrainError, Trainer, TrainerBuilder, Validation,
    ValidationConfig,
};

use crate::blobs::{Blobs, adam, normalized_network, random_triplets, sampler, weights};

/// Fails once, at a certain call, by an error or a panic.
#[derive(Debug)]
struct Fuse {
    calls: AtomicUsize,
    at: usize,
    panics: bool,
}

impl Fuse {
    fn new(at: usize, panics: bool) -> Self {
        let calls = AtomicUsize::new(0);
        Self { calls, at, panics }
    }

    fn never() -> Self {
        Self::new(usize::MAX, false)
    }

    fn pass(&self) -> dml_core::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) != self.at {
            return Ok(());
        }
        assert!(!self.panics, "a blown fuse");
        Err(dml_core::Error::Missing {
            component: "Fuse",
            needed: "a new fuse",
        })
    }
}

#[derive(Debug)]
struct FusedData(Blobs, Fuse);

impl Dataset for FusedData {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<Examples> {
        self.1.pass()?;
        self.0.fetch(rows, seed)
    }
}

/// Fails after its loss has drawn its random triplets.
#[derive(Debug)]
struct FusedLoss(Arc<dyn Loss>, Fuse);

impl Loss for FusedLoss {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> dml_core::Result<Terms> {
        let terms = self.0.terms(batch, tuples)?;
        self.1.pass()?;
        Ok(terms)
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.0.seeds()
    }
}

/// A sampler whose passes depend on a number that every iteration changes.
#[derive(Debug, Default)]
struct Restless(Arc<AtomicU64>);

impl Sampler for Restless {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let shift = (self.0.load(Ordering::Relaxed) * 13 + epoch) as usize;
        let batches: Vec<Vec<usize>> = (0..5)
            .map(|batch| (0..12).map(|row| (batch * 12 + row + shift) % 64).collect())
            .collect();
        Box::new(batches.into_iter())
    }

    fn batches(&self) -> usize {
        5
    }

    fn state(&self) -> Option<Vec<f64>> {
        Some(vec![self.0.load(Ordering::Relaxed) as f64])
    }

    fn set_state(&self, state: &[f64]) -> dml_core::Result<()> {
        self.0.store(state[0] as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Batch normalisation, dropout and random triplets: everything that a step changes beside the weights.
fn builder(
    data: Fuse,
    loss: Fuse,
    sampler: impl Sampler + 'static,
) -> TrainerBuilder<MetricLossOnly> {
    let plateau = PlateauConfig {
        patience: 0,
        factor: 0.5,
        ..PlateauConfig::default()
    };
    let trunk = NamedModule::of("trunk", normalized_network(1, 0.3))
        .with_optimizer(adam)
        .unwrap()
        .with_plateau(Plateau::new(plateau).unwrap());
    let loss = FusedLoss(random_triplets().loss().clone(), loss);
    let objective = Objective::new(loss, AvgNonZeroReducer::default());
    let data = FusedData(Blobs::new(64, 1), data);
    Trainer::builder(MetricLossOnly::new(trunk, objective), data, sampler).with_ema(0.9)
}

fn validation(fuse: Fuse) -> Validation {
    let mut values = [0.5, 0.7, 0.6, 0.4].into_iter().cycle();
    Validation::new(ValidationConfig::default(), move |_| {
        fuse.pass()?;
        Ok(values.next().ok_or("no value")?)
    })
    .unwrap()
}

fn plain() -> TrainerBuilder<MetricLossOnly> {
    let order = sampler(&Blobs::new(64, 1));
    builder(Fuse::never(), Fuse::never(), order).with_validation(validation(Fuse::never()))
}

/// Weights, buffers and averages.
fn learnt(trainer: &Trainer<MetricLossOnly>) -> Vec<(String, Vec<f32>)> {
    let mut all = weights(trainer);
    let buffers = trainer.method().modules()[0].buffers();
    all.extend(
        buffers
            .iter()
            .map(|(name, var)| (name.clone(), var.to_vec1().unwrap())),
    );
    let averages = trainer.ema().unwrap().averages();
    all.extend(averages.map(|(name, own)| {
        let values = own.flatten_all().unwrap().to_vec1().unwrap();
        (format!("average {name}"), values)
    }));
    all
}

/// Runs until it is done, however often it fails; how often that was.
fn stubborn(trainer: &mut Trainer<MetricLossOnly>, epochs: u64) -> usize {
    for failures in 0..10 {
        match catch_unwind(AssertUnwindSafe(|| trainer.run(epochs))) {
            Ok(Ok(ended)) => {
                assert_eq!(ended, Ended::Finished);
                return failures;
            }
            Ok(Err(TrainError::Interrupted)) => panic!("the step is said to be torn"),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    panic!("it never ends")
}

#[test]
fn a_data_set_that_fails_once_costs_no_batch() {
    for accumulation in [1, 2] {
        let plain = || plain().with_accumulation(accumulation);
        let mut expected = plain().build().unwrap();
        expected.run(3).unwrap();
        for (at, panics, threads) in [
            (5, false, 0),
            (5, true, 0),
            (6, false, 2),
            (8, true, 2),
            (9, false, 1),
        ] {
            let order = sampler(&Blobs::new(64, 1));
            let mut trainer = builder(Fuse::new(at, panics), Fuse::never(), order)
                .with_validation(validation(Fuse::never()))
                .with_accumulation(accumulation)
                .with_loading_threads(threads)
                .build()
                .unwrap();
            let error = trainer.run(3).unwrap_err();
            assert_eq!(
                matches!(error, TrainError::Panicked { .. }),
                panics,
                "{error}"
            );
            assert_eq!(stubborn(&mut trainer, 3), 0);
            assert_eq!(
                learnt(&trainer),
                learnt(&expected),
                "call {at}, {threads} threads"
            );
            assert_eq!(trainer.steps(), expected.steps());
        }
    }
}

#[test]
fn a_loss_that_fails_once_costs_no_batch() {
    let mut expected = plain().build().unwrap();
    expected.run(3).unwrap();
    for (at, panics) in [(0, false), (3, true), (8, false), (13, true)] {
        let order = sampler(&Blobs::new(64, 1));
        let mut trainer = builder(Fuse::never(), Fuse::new(at, panics), order)
            .with_validation(validation(Fuse::never()))
            .build()
            .unwrap();
        assert_eq!(stubborn(&mut trainer, 3), 1);
        assert_eq!(learnt(&trainer), learnt(&expected), "call {at}");
    }
}

#[test]
fn a_validation_that_fails_once_is_repeated() {
    let mut expected = plain().build().unwrap();
    expected.run(4).unwrap();
    for (at, panics) in [(0, false), (1, true), (2, false), (3, true)] {
        let order = sampler(&Blobs::new(64, 1));
        let mut trainer = builder(Fuse::never(), Fuse::never(), order)
            .with_validation(validation(Fuse::new(at, panics)))
            .build()
            .unwrap();
        let failed = catch_unwind(AssertUnwindSafe(|| trainer.run(4)));
        assert_eq!(failed.is_err(), panics);
        assert_eq!(trainer.epochs(), at as u64);
        // The weights are the latest, not their averages.
        let latest = weights(&trainer);
        let averages = learnt(&trainer)
            .into_iter()
            .find(|own| own.0.starts_with("average"));
        assert_ne!(latest[0].1, averages.unwrap().1);
        assert_eq!(stubborn(&mut trainer, 4), 0);
        assert_eq!(learnt(&trainer), learnt(&expected), "call {at}");
        assert_eq!(trainer.best(), expected.best());
    }
}

/// Fails once, in one of its methods.
#[derive(Debug)]
struct FusedHook(Fuse, &'static str);

impl FusedHook {
    fn pass(&self, method: &str) -> HookResult {
        if method == self.1 {
            self.0.pass()?;
        }
        Ok(Flow::Continue)
    }
}

impl Hook for FusedHook {
    fn name(&self) -> &str {
        "fused"
    }

    fn iteration(&mut self, _: &Iteration, _: &dyn Method) -> HookResult {
        self.pass("iteration")
    }

    fn epoch(&mut self, _: &Epoch, _: &dyn Method) -> HookResult {
        self.pass("epoch")
    }

    fn best(&mut self, _: &Epoch, _: &dyn Method) -> HookResult {
        self.pass("best")
    }

    fn state(&mut self) -> Result<serde_json::Value, AnyError> {
        self.pass("state")?;
        Ok(serde_json::Value::Null)
    }

    fn finish(&mut self, _: Ended) -> HookResult<()> {
        self.pass("finish")?;
        Ok(())
    }
}

#[test]
fn a_hook_that_fails_once_changes_nothing_that_is_learnt() {
    let mut expected = plain().build().unwrap();
    expected.run(3).unwrap();
    for (method, at) in [
        ("iteration", 10),
        ("epoch", 1),
        ("best", 1),
        ("state", 1),
        ("finish", 0),
    ] {
        for panics in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut trainer = plain()
                .with_hook(FusedHook(Fuse::new(at, panics), method))
                .with_checkpoints(kept(folder.path()))
                .build()
                .unwrap();
            assert_eq!(stubborn(&mut trainer, 3), 1, "{method}");
            assert_eq!(learnt(&trainer), learnt(&expected), "{method}");
        }
    }
}

fn kept(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder, CheckpointsConfig::default()).unwrap()
}

#[test]
fn a_checkpoint_that_could_not_be_written_is_no_loss_for_what_follows() {
    let mut expected = plain().build().unwrap();
    expected.run(3).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("checkpoints");
    let mut trainer = plain().with_checkpoints(kept(&own)).build().unwrap();
    trainer.run(1).unwrap();
    let aside = folder.path().join("aside");
    std::fs::rename(&own, &aside).unwrap();
    std::fs::write(&own, "no folder").unwrap();
    assert!(trainer.run(3).is_err());
    std::fs::remove_file(&own).unwrap();
    std::fs::rename(&aside, &own).unwrap();
    assert_eq!(stubborn(&mut trainer, 3), 0);
    assert_eq!(learnt(&trainer), learnt(&expected));
}

#[test]
fn a_sampler_with_a_state_draws_the_broken_pass_as_before() {
    let run = |fuse: Fuse, threads: usize, failures: usize| {
        let restless = Restless::default();
        let number = restless.0.clone();
        let mut trainer = builder(fuse, Fuse::never(), restless)
            .with_validation(validation(Fuse::never()))
            .with_loading_threads(threads)
            .with_iterations_per_epoch(4)
            .on_iteration(move |_| {
                number.fetch_add(1, Ordering::Relaxed);
                Ok(Flow::Continue)
            })
            .build()
            .unwrap();
        assert_eq!(stubborn(&mut trainer, 4), failures);
        learnt(&trainer)
    };
    let expected = run(Fuse::never(), 0, 0);
    for at in [3, 5, 7] {
        assert_eq!(run(Fuse::new(at, at == 5), 0, 1), expected, "call {at}");
        assert_eq!(run(Fuse::new(at, at == 5), 2, 1), expected, "call {at}");
    }
}

/// Adam that fails at one call, when it has moved some of its parameters.
#[derive(Debug)]
struct FusedAdam(dml_nn::Adam, Fuse);

impl Optimizer for FusedAdam {
    fn step(&mut self, gradients: &GradStore) -> dml_core::Result<()> {
        self.0.step(gradients)?;
        self.1.pass()
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.0.set_learning_rate(learning_rate);
    }

    fn state(&self) -> dml_core::Result<std::collections::HashMap<String, Tensor>> {
        self.0.state()
    }

    fn load_state(
        &mut self,
        state: &std::collections::HashMap<String, Tensor>,
    ) -> Result<(), dml_core::CheckpointError> {
        self.0.load_state(state)
    }
}

#[test]
fn an_optimiser_that_fails_leaves_a_run_that_has_to_be_resumed() {
    let built = |fuse: Option<Fuse>, folder: &Path| {
        let fuse = Mutex::new(fuse);
        let make = |parameters: Vec<(String, Var)>| {
            let fuse = fuse.lock().unwrap().take();
            Ok(FusedAdam(adam(parameters)?, fuse.unwrap_or(Fuse::never())))
        };
        let trunk = NamedModule::of("trunk", normalized_network(1, 0.3));
        let method = MetricLossOnly::new(trunk.with_optimizer(make).unwrap(), random_triplets());
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        Trainer::builder(method, data, order)
            .with_ema(0.9)
            .with_checkpoints(kept(folder))
            .build()
            .unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut expected = built(None, folder.path());
    expected.run(3).unwrap();
    for panics in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = built(Some(Fuse::new(11, panics)), folder.path());
        let failed = catch_unwind(AssertUnwindSafe(|| trainer.run(3)));
        assert_eq!(failed.is_err(), panics);
        for _ in 0..2 {
            assert!(matches!(trainer.run(3), Err(TrainError::Interrupted)));
        }
        assert_eq!(kept(folder.path()).steps().unwrap(), [8]);
        assert_eq!(trainer.resume().unwrap(), Some(8));
        trainer.run(3).unwrap();
        assert_eq!(learnt(&trainer), learnt(&expected));
    }
}

#[test]
fn patience_without_end_is_patience() -> Result<(), TrainError> {
    for patience in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let config = ValidationConfig {
            patience: Some(patience),
            ..ValidationConfig::default()
        };
        let mut values = [0.7, 0.6, 0.5, 0.4, 0.3].into_iter();
        let evaluate = move |_: &dyn Method| Ok(values.next().ok_or("no value")?);
        let order = sampler(&Blobs::new(64, 1));
        let mut trainer = builder(Fuse::never(), Fuse::never(), order)
            .with_validation(Validation::new(config, evaluate)?)
            .build()?;
        assert_eq!(trainer.run(5)?, Ended::Finished);
    }
    Ok(())
}
