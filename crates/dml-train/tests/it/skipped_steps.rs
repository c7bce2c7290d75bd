//! Steps that a loss scale skips leave no trace.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use dml_core::{Objective, SeedSequence};
use dml_distances::LpDistance;
use dml_losses::{
    ContrastiveLoss, ContrastiveLossConfig, CrossBatchMemory, CrossBatchMemoryConfig,
    DynamicSoftMarginLoss, DynamicSoftMarginLossConfig,
};
use dml_nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, Relu, Sequential,
};
use dml_reducers::{AvgNonZeroReducer, SumReducer};
use dml_train::schedule::WarmUp;
use dml_train::{
    CascadedEmbeddings, Checkpoints, CheckpointsConfig, Criterion, EmaConfig, Flow,
    LossScaleConfig, Method, MixedPrecision, Pace, Stage, TrainError, Trainer, TrainerBuilder,
};
use rand::SeedableRng;

use crate::blobs::{Blobs, WIDTH, adam, named_module, sampler, weights};
use crate::non_finite::Spoilt;

/// Batch normalisation and dropout before a memory and a histogram, everything in f16.
fn builder(data: Spoilt) -> TrainerBuilder<CascadedEmbeddings> {
    let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let (dtype, device) = (DType::F16, &Device::Cpu);
    let mut linear = |inputs, outputs| {
        Linear::new(LinearConfig::new(inputs, outputs), rng, dtype, device).unwrap()
    };
    let norm = BatchNorm::new(BatchNormConfig::new(8), dtype, device).unwrap();
    let network = Sequential::default()
        .with("fc1", linear(WIDTH, 8))
        .with("norm", norm)
        .with("relu", Relu)
        .with(
            "dropout",
            Dropout::new(DropoutConfig { p: 0.2 }, SeedSequence::new(3)).unwrap(),
        )
        .with("fc2", linear(8, 7));
    let trunk = named_module("trunk", network)
        .with_optimizer(adam)
        .unwrap()
        .with_schedule(Pace::Iteration, WarmUp::new(6, 0.0).unwrap());
    let distance = || LpDistance::unnormalized();
    let contrastive = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance()).unwrap();
    let reducer = Arc::new(AvgNonZeroReducer::default());
    let remembered = Objective::new(contrastive, reducer);
    let config = CrossBatchMemoryConfig {
        memory_size: 30,
        ..CrossBatchMemoryConfig::new(4)
    };
    let memory = CrossBatchMemory::new(config, remembered).unwrap();
    let memory = Objective::new(memory, SumReducer);
    let unit = Arc::new(LpDistance::default());
    let dynamic = DynamicSoftMarginLoss::new(DynamicSoftMarginLossConfig::default(), unit);
    let dynamic = Objective::new(dynamic.unwrap(), SumReducer);
    let stages = [
        Stage::new(4).with_criterion(Criterion::new("memory", memory)),
        Stage::new(3).with_criterion(Criterion::new("dynamic", dynamic)),
    ];
    let method = CascadedEmbeddings::new(trunk, stages);
    let scale = LossScaleConfig {
        init_scale: 64.0,
        ..LossScaleConfig::default()
    };
    Trainer::builder(method, data, sampler(&Blobs::new(64, 1)))
        .with_loading_threads(0)
        .with_mixed_precision(MixedPrecision::f16().with_loss_scale(scale).unwrap())
        .with_ema(0.9)
}

/// Everything that a step may change, but for random sequences and the position in the data.
type State = BTreeMap<String, Vec<f64>>;

fn values(tensor: &candle_core::Tensor) -> Vec<f64> {
    let wide = tensor.to_dtype(DType::F64).unwrap();
    wide.flatten_all().unwrap().to_vec1().unwrap()
}

fn state(method: &dyn Method) -> State {
    let mut state = State::new();
    for module in method.modules() {
        for (name, var) in module
            .parameter_group()
            .parameters()
            .iter()
            .chain(module.buffers())
        {
            state.insert(name.clone(), values(var));
        }
    }
    for criterion in method.criteria() {
        for (name, buffer) in criterion.objective().loss().buffers().unwrap() {
            state.insert(format!("{}/{name}", criterion.name()), values(&buffer));
        }
    }
    state
}

#[test]
fn buffers_memories_histograms_and_schedules_stand_still() -> Result<(), TrainError> {
    // 10³⁰ is infinite in f16.
    for number in [1e30, f64::NAN, f64::NEG_INFINITY] {
        let seen: Rc<RefCell<Vec<(State, bool, f64)>>> = Rc::default();
        let own = seen.clone();
        let told: Rc<RefCell<Vec<f64>>> = Rc::default();
        let rates = told.clone();
        let mut trainer = builder(Spoilt::new(3..5, number))
            .on_iteration(move |done| {
                rates.borrow_mut().push(done.learning_rates[0].1);
                Ok(Flow::Continue)
            })
            .with_hook(Watch(own))
            .build()?;
        trainer.run(1)?;
        let seen = seen.borrow();
        let skipped: Vec<bool> = seen.iter().map(|own| own.1).collect();
        let expected = [false, false, false, true, true, false, false, false];
        assert_eq!(skipped, expected, "{number}");
        // No trace: whatever the second step left is there after the fourth.
        assert!(seen[2].0 == seen[3].0 && seen[3].0 == seen[4].0, "{number}");
        assert!(seen[4].0 != seen[5].0);
        for (name, values) in &seen[7].0 {
            assert!(values.iter().all(|x| x.is_finite()), "{name}: {values:?}");
        }
        // The warm-up counts steps: 0/6, 1/6, 2/6, then two that it does not see, 3/6, …
        let rates: Vec<f64> = told.borrow().iter().map(|rate| rate / 0.02 * 6.0).collect();
        for (rate, expected) in rates.iter().zip([0.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0]) {
            approx::assert_abs_diff_eq!(*rate, expected, epsilon = 1e-9);
        }
        let scales: Vec<f64> = seen.iter().map(|own| own.2).collect();
        let s = 64.0;
        assert_eq!(scales, [s, s, s, s, s / 2.0, s / 4.0, s / 4.0, s / 4.0]);
    }
    Ok(())
}

#[derive(Debug)]
struct Watch(Rc<RefCell<Vec<(State, bool, f64)>>>);

impl dml_train::Hook for Watch {
    fn name(&self) -> &str {
        "watch"
    }

    fn iteration(
        &mut self,
        done: &dml_train::Iteration,
        model: &dyn Method,
    ) -> dml_train::HookResult {
        let scale = done.loss_scale.unwrap_or(f64::NAN);
        self.0
            .borrow_mut()
            .push((state(model), done.skipped, scale));
        Ok(Flow::Continue)
    }
}

#[test]
fn averages_and_the_mean_loss_count_steps_that_were_made() -> Result<(), TrainError> {
    // All but the first two batches are spoilt: the average is that of two steps.
    let run = |spoilt: std::ops::Range<usize>, iterations: u64| -> Result<_, TrainError> {
        let losses: Rc<RefCell<Vec<f64>>> = Rc::default();
        let own = losses.clone();
        let mut trainer = builder(Spoilt::new(spoilt, f64::NAN))
            .with_iterations_per_epoch(iterations)
            .with_ema(EmaConfig::from(0.99))
            .on_epoch(move |done, _| {
                own.borrow_mut().push(done.mean_loss);
                Ok(Flow::Continue)
            })
            .build()?;
        trainer.run(1)?;
        let averages = trainer.ema().unwrap().averages();
        let averages: State = averages
            .map(|(name, average)| (name.to_owned(), values(average)))
            .collect();
        Ok((weights(&trainer), averages, losses.take()))
    };
    let short = run(99..99, 2)?;
    let long = run(2..99, 6)?;
    assert!(short.1.contains_key("buffers/trunk/norm.running_mean"));
    assert_eq!(long, short);
    // An epoch without a step has no mean loss.
    assert!(run(0..99, 3)?.2[0].is_nan());
    Ok(())
}

#[test]
fn a_run_with_skipped_steps_goes_on_as_if_nothing_had_been() -> Result<(), TrainError> {
    let built =
        |folder: &std::path::Path| -> Result<TrainerBuilder<_>, TrainError> {
            let config = CheckpointsConfig {
                every_iterations: Some(1),
                ..CheckpointsConfig::default()
            };
            Ok(builder(Spoilt::new(3..5, f64::NAN))
                .with_checkpoints(Checkpoints::new(folder, config)?))
        };
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = built(whole.path())?.build()?;
    expected.run(2)?;
    let mut failing = built(broken.path())?
        .on_iteration(|done| match done.step {
            7 => Err("power cut".into()),
            _ => Ok(Flow::Continue),
        })
        .build()?;
    assert!(failing.run(2).is_err());
    // The spoilt batches are behind: the counter of the schedule comes from the checkpoint.
    let config = CheckpointsConfig::default();
    let mut resumed = builder(Spoilt::new(99..99, 0.0))
        .with_checkpoints(Checkpoints::new(broken.path(), config)?)
        .build()?;
    assert_eq!(resumed.resume()?, Some(6));
    resumed.run(2)?;
    assert_eq!(state(resumed.method()), state(expected.method()));
    Ok(())
}
