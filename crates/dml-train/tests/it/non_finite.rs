//! Steps with numbers that are not finite: refused before anything moves, in every precision.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{Dataset, Examples, Labels};
use dml_nn::{BatchNorm, BatchNormConfig, Layer};
use dml_train::{
    Checkpoints, CheckpointsConfig, CollapseStatistics, Criterion, Method, MetricLossOnly,
    MixedPrecision, NamedModule, NonFinite, Norms, Pace, RefuseNonFinite, Schedule, TrainError,
    Trainer, TrainerBuilder,
};

use crate::blobs::{
    Blobs, WIDTH, adam, named_module, network_in, sampler, triplets, trunk, weights,
};
use crate::steps::{Count, InOrder, slope_from, w};

fn kept(folder: &Path, every: u64) -> Checkpoints {
    let config = CheckpointsConfig {
        every_iterations: Some(every),
        ..CheckpointsConfig::default()
    };
    Checkpoints::new(folder, config).unwrap()
}

fn poison(method: &dyn Method, value: f64) {
    let (_, var) = &method.modules()[0].parameter_group().parameters()[0];
    let bad = (var.ones_like().unwrap() * value).unwrap();
    var.set(&bad).unwrap();
}

fn network_of(dtype: DType) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let trunk = named_module("trunk", network_in(dtype, 3, WIDTH, 4, 0.2));
    let method = MetricLossOnly::new(trunk.with_optimizer(adam).unwrap(), triplets());
    Trainer::builder(method, data, order).with_input_dtype(dtype)
}

#[test]
fn weights_that_became_nan_end_the_run_and_keep_the_good_checkpoint() {
    for (dtype, policy) in [
        (DType::F32, None),
        (DType::F64, None),
        (DType::BF16, Some(MixedPrecision::bf16())),
        (DType::F16, Some(MixedPrecision::f16())),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let builder = match policy {
            None => network_of(dtype),
            Some(policy) => network_of(dtype).with_mixed_precision(policy),
        };
        let mut trainer = builder
            .with_checkpoints(kept(folder.path(), 1))
            .build()
            .unwrap();
        trainer.run(1).unwrap();
        poison(trainer.method(), f64::NAN);
        match trainer.run(3) {
            Err(TrainError::NonFinite {
                what,
                epoch: 2,
                iteration: 0,
                learning_rates,
                ..
            }) => {
                let group = trainer.method().modules()[0].parameter_group();
                let parameter = NonFinite::Parameter {
                    group: "trunk".to_owned(),
                    parameter: group.parameters()[0].0.clone(),
                };
                assert_eq!(*what, parameter, "{dtype:?}");
                assert_eq!(learning_rates, [("trunk".to_owned(), 0.02)]);
            }
            other => panic!("{dtype:?}: expected an error, got {other:?}"),
        }
        let checkpoints = kept(folder.path(), 1);
        assert_eq!(checkpoints.steps().unwrap(), [7, 8]);
        // The good checkpoint takes the run up again.
        assert_eq!(trainer.resume().unwrap(), Some(8));
        trainer.run(2).unwrap();
    }
}

#[test]
fn the_last_step_is_checked_too() {
    // The gradient is 2 and finite; the weight after the step is not.
    let rates: [(DType, Rate); 2] = [(DType::F32, |_| 1e9), (DType::F16, |_| 1.0)];
    for (dtype, factor) in rates {
        let rate = 1e30 * factor(0);
        let folder = tempfile::tempdir().unwrap();
        let zero = Tensor::zeros((1, 1), dtype, &Device::Cpu).unwrap();
        let method = slope_from(Var::from_tensor(&zero).unwrap(), 1e30, |module| {
            module.with_schedule(Pace::Iteration, Factors(factor))
        });
        let mut trainer = Trainer::builder(method, Count::new(), InOrder(1))
            .with_input_dtype(dtype)
            .with_checkpoints(kept(folder.path(), 1))
            .build()
            .unwrap();
        let error = trainer.run(1).unwrap_err();
        let what = match &error {
            TrainError::NonFinite { what, .. } => what,
            other => panic!("{other}"),
        };
        assert!(matches!(**what, NonFinite::Parameter { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("{rate} (w)")),
            "{error}"
        );
        assert!(kept(folder.path(), 1).steps().unwrap().is_empty());
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_named_though_the_loss_is() {
    // √w² at 0: the value is 0, the gradient 0/0.
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        let zero = Tensor::zeros((1, 1), dtype, &Device::Cpu).unwrap();
        let var = Var::from_tensor(&zero).unwrap();
        let own = var.clone();
        let module = move |x: &Tensor| x.broadcast_mul(&own)?.sqr()?.sqrt();
        let module = NamedModule::new("root", module, [("w".to_owned(), var)]);
        let module = module.with_optimizer(adam).unwrap();
        let unused = dml_train::Criterion::new("unused", triplets());
        let method = crate::steps::Slope(module, unused);
        let mut trainer = Trainer::builder(method, Count::new(), InOrder(3))
            .with_input_dtype(dtype)
            .build()
            .unwrap();
        let before = w(&trainer);
        let error = trainer.run(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "epoch 1, iteration 0: the gradient of w of root holds NaN or infinity; the loss is 0, the learning rate \
             0.02 (root); no step was made and no checkpoint written since",
            "{dtype:?}"
        );
        assert_eq!(w(&trainer), before);
        assert_eq!(trainer.steps(), 0);
    }
}

/// Blobs with a number in the place of one of each batch's, from one call to another.
#[derive(Debug)]
pub(crate) struct Spoilt {
    inner: Blobs,
    calls: AtomicUsize,
    from: usize,
    until: usize,
    number: f64,
}

impl Spoilt {
    pub(crate) fn new(calls: std::ops::Range<usize>, number: f64) -> Self {
        Self {
            inner: Blobs::new(64, 1),
            calls: AtomicUsize::new(0),
            from: calls.start,
            until: calls.end,
            number,
        }
    }
}

impl Dataset for Spoilt {
    fn labels(&self) -> &Labels {
        self.inner.labels()
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<Examples> {
        let examples = self.inner.fetch(rows, seed)?;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if !(self.from..self.until).contains(&call) {
            return Ok(examples);
        }
        examples.map(|view| {
            let mut values = view.to_vec2::<f32>()?;
            values[0][0] = self.number as f32;
            Ok(Tensor::new(values, view.device())?)
        })
    }
}

#[test]
fn a_row_of_nan_ends_the_run_whatever_the_loss_says() {
    for number in [f64::NAN, f64::INFINITY] {
        let data = Spoilt::new(2..3, number);
        let order = sampler(&Blobs::new(64, 1));
        let method = MetricLossOnly::new(trunk(1, 0.0), triplets());
        let mut trainer = Trainer::builder(method, data, order)
            .with_loading_threads(0)
            .build()
            .unwrap();
        let error = trainer.run(1).unwrap_err();
        let is_told = matches!(
            &error,
            TrainError::NonFinite { iteration: 2, what, .. }
                if matches!(**what, NonFinite::Embeddings | NonFinite::Loss { .. })
        );
        assert!(is_told, "{error}");
        assert_eq!(trainer.steps(), 2);
        // The batch comes again, and is sound now.
        trainer.run(1).unwrap();
        assert_eq!(trainer.steps(), 8);
    }
}

#[test]
fn running_statistics_that_overflow_end_the_run() {
    // Variances of 1e40 are beyond single precision; the normalised numbers are 0, and so every loss is finite.
    let build = || {
        let norm = BatchNorm::new(BatchNormConfig::new(WIDTH), DType::F32, &Device::Cpu).unwrap();
        let buffers: Vec<Var> = norm.buffers().into_iter().map(|own| own.1).collect();
        let network = dml_nn::Sequential::default()
            .with("norm", norm)
            .with("rest", crate::blobs::network(1, WIDTH, 4, 0.0));
        let trunk = named_module("trunk", network).with_optimizer(adam).unwrap();
        (MetricLossOnly::new(trunk, triplets()), buffers)
    };
    let (method, buffers) = build();
    let data = Spoilt::new(3..4, 1e20);
    let mut trainer = Trainer::builder(method, data, sampler(&Blobs::new(64, 1)))
        .with_loading_threads(0)
        .build()
        .unwrap();
    let error = trainer.run(1).unwrap_err().to_string();
    assert!(
        error.contains("running_var became NaN or infinite"),
        "{error}"
    );
    for buffer in buffers {
        let values = buffer.to_vec1::<f32>().unwrap();
        assert!(
            values.iter().all(|x| x.is_finite() && x.abs() < 10.0),
            "{values:?}"
        );
    }
}

#[test]
fn infinities_that_a_buffer_had_from_the_start_are_none_of_a_step() -> Result<(), TrainError> {
    let mask = Var::new(&[f32::NEG_INFINITY, 0.0], &Device::Cpu)?;
    let trunk = trunk(1, 0.0).with_buffers([("mask".to_owned(), mask)]);
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut trainer =
        Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order).build()?;
    trainer.run(1)?;
    Ok(())
}

#[test]
fn a_learning_rate_that_overflows_is_named() {
    let trunk = trunk(1, 0.0).with_schedule(Pace::Iteration, too_steep());
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let method = MetricLossOnly::new(trunk, triplets());
    // 0.02, 0.02e300, infinite.
    let mut trainer = Trainer::builder(method, data, order).build().unwrap();
    let error = trainer.run(1).unwrap_err().to_string();
    assert_eq!(
        error,
        "trunk: expected a finite learning rate, got inf after 2 steps; check its schedules"
    );
    let still = trunk_at_zero_rate();
    let mut trainer = still.build().unwrap();
    let before = weights(&trainer);
    let error = trainer.run(1).unwrap_err().to_string();
    assert_eq!(
        error,
        "trunk: expected a finite learning rate, got NaN after 2 steps; check its schedules"
    );
    assert_eq!(weights(&trainer), before);
}

/// A schedule of one's own, whose factors have no bounds.
#[derive(Debug)]
struct Factors(Rate);

/// Factor after so many steps.
type Rate = fn(u64) -> f64;

impl Schedule for Factors {
    fn factor(&self, done: u64) -> f64 {
        (self.0)(done)
    }
}

/// 1, 1e300, infinite.
fn too_steep() -> Factors {
    Factors(|done| 1e300f64.powi(done as i32))
}

/// A base rate of 0, which times infinity is NaN.
fn trunk_at_zero_rate() -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let still = named_module("trunk", crate::blobs::network(1, WIDTH, 4, 0.0))
        .with_optimizer(|parameters| {
            let config = dml_nn::SgdConfig {
                lr: 0.0,
                ..Default::default()
            };
            dml_nn::Sgd::new(parameters, config)
        })
        .unwrap()
        .with_schedule(Pace::Iteration, too_steep());
    Trainer::builder(MetricLossOnly::new(still, triplets()), data, order)
}

#[test]
fn norms_and_collapse_statistics_keep_nan() -> Result<(), TrainError> {
    for bad in [f32::NAN, f32::INFINITY] {
        for place in 0..3 {
            let mut rows = [[1f32, 0.0], [0.0, 2.0], [3.0, 4.0]];
            rows[place][1] = bad;
            let rows = Tensor::new(&rows, &Device::Cpu)?;
            let Norms { mean, min, max, .. } = Norms::of(&rows)?;
            if bad.is_nan() {
                assert!(mean.is_nan() && min.is_nan() && max.is_nan(), "{place}");
            } else {
                assert_eq!((mean, max), (f64::INFINITY, f64::INFINITY));
            }
            let spread = CollapseStatistics::of(&rows)?;
            assert!(spread.direction.is_nan() && spread.deviation.is_nan());
        }
    }
    // Squares beyond single and double precision.
    let rows = Tensor::new(&[[3e30f32, 4e30]], &Device::Cpu)?;
    approx::assert_relative_eq!(Norms::of(&rows)?.max, 5e30, max_relative = 1e-6);
    let rows = Tensor::new(&[[3e200f64, 4e200], [3e200, 4e200]], &Device::Cpu)?;
    approx::assert_relative_eq!(Norms::of(&rows)?.max, 5e200, max_relative = 1e-12);
    approx::assert_relative_eq!(
        CollapseStatistics::of(&rows)?.direction,
        1.0,
        max_relative = 1e-12
    );
    Ok(())
}

#[test]
fn a_hook_refuses_what_a_loss_scale_would_skip() -> Result<(), TrainError> {
    let builder = || -> Result<TrainerBuilder<MetricLossOnly>, TrainError> {
        let trunk = named_module("trunk", network_in(DType::F16, 3, WIDTH, 4, 0.2));
        let criterion = Criterion::from(triplets()).with_weight(f64::INFINITY);
        let method = MetricLossOnly::new(trunk.with_optimizer(adam)?, criterion);
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        Ok(Trainer::builder(method, data, order).with_mixed_precision(MixedPrecision::f16()))
    };
    let mut trainer = builder()?.build()?;
    let before = weights(&trainer);
    match trainer.run(99) {
        // 65,536 / 2³⁰ is the smallest scale.
        Err(TrainError::LossScale {
            what,
            epoch: 4,
            iteration: 6,
            scale,
            min_scale,
            learning_rates,
            ..
        }) => {
            let infinite = NonFinite::Loss {
                name: "metric_loss".to_owned(),
                value: f64::INFINITY,
            };
            assert_eq!(*what, infinite);
            assert_eq!((scale, min_scale), (1.0 / 16_384.0, 1.0 / 16_384.0));
            assert_eq!(learning_rates, [("trunk".to_owned(), 0.02)]);
        }
        other => panic!("expected an error, got {other:?}"),
    }
    assert_eq!(weights(&trainer), before);
    match builder()?.with_hook(RefuseNonFinite).build()?.run(1) {
        Err(TrainError::Hook { name, source }) => {
            assert_eq!(name, "refuse_non_finite");
            let expected = "epoch 1, iteration 0: the loss is inf";
            assert_eq!(source.to_string(), expected);
        }
        other => panic!("expected an error of the hook, got {other:?}"),
    }
    Ok(())
}
