//! Half precision in which numbers are computed, and single in which they are learnt.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor, Var};
use dml_core::Dataset;
use dml_nn::Layer;
use dml_train::{
    Checkpoints, CheckpointsConfig, Flow, LossScaleConfig, Method, MetricLossOnly, MixedPrecision,
    NamedModule, TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, WIDTH, adam, named_module, network_in, sampler, triplets, weights};
use crate::steps::{Count, InOrder, slope_from, w};

/// A network of an element type on blobs.
fn blobs(dtype: DType) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let trunk = named_module("trunk", network_in(dtype, 3, WIDTH, 4, 0.2));
    let method = MetricLossOnly::new(trunk.with_optimizer(adam).unwrap(), triplets());
    Trainer::builder(method, data, order)
}

/// f16 with a scale of the loss from `init_scale` on.
fn scaled(init_scale: f64) -> MixedPrecision {
    let config = LossScaleConfig {
        init_scale,
        growth_interval: 5,
        ..LossScaleConfig::default()
    };
    MixedPrecision::f16().with_loss_scale(config).unwrap()
}

/// The losses of a run and its scales.
fn run(
    builder: TrainerBuilder<MetricLossOnly>,
    epochs: u64,
) -> Result<(Vec<f64>, Vec<Option<f64>>), TrainError> {
    let told = Rc::new(RefCell::new((Vec::new(), Vec::new())));
    let own = told.clone();
    let mut trainer = builder
        .on_iteration(move |done| {
            let mut told = own.borrow_mut();
            told.0.push(done.loss);
            told.1.push(done.loss_scale);
            Ok(Flow::Continue)
        })
        .build()?;
    trainer.run(epochs)?;
    drop(trainer);
    Ok(told.take())
}

#[test]
fn half_precision_learns_as_single_does() -> Result<(), TrainError> {
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (single, _) = run(blobs(DType::F32), 6)?;
    for policy in [MixedPrecision::bf16(), MixedPrecision::f16()] {
        let dtype = policy.dtype();
        let builder = blobs(dtype).with_mixed_precision(policy.clone());
        let (half, scales) = run(builder, 6)?;
        assert_eq!(half.len(), 48);
        let expected = (dtype == DType::F16).then_some(65_536.0);
        assert!(scales.iter().all(|scale| *scale == expected), "{scales:?}");
        let (first, last) = (mean(&half[..8]), mean(&half[40..]));
        assert!(last < 0.7 * first, "{dtype:?}: {first} {last}");
        let gap = (last - mean(&single[40..])).abs();
        assert!(gap < 0.2 * first, "{dtype:?}: {last} {:?}", &single[40..]);
    }
    Ok(())
}

#[test]
fn steps_that_half_precision_can_not_tell_apart_are_not_lost() -> Result<(), TrainError> {
    // The gradient is 2; near 1, neighbours in bf16 are 2⁻⁸ = 0.0039 apart below and steps are 0.0005.
    let from_one = |dtype| -> Result<f32, TrainError> {
        let one = Tensor::ones((1, 1), dtype, &Device::Cpu)?;
        let method = slope_from(Var::from_tensor(&one)?, 0.000_25, |module| module);
        let mut trainer = Trainer::builder(method, Ones(Count::new()), InOrder(4))
            .with_input_dtype(dtype)
            .build()?;
        trainer.run(100)?;
        Ok(w(&trainer))
    };
    approx::assert_abs_diff_eq!(from_one(DType::F32)?, 0.8, epsilon = 1e-4);
    approx::assert_abs_diff_eq!(from_one(DType::BF16)?, 0.8, epsilon = 4e-3);
    Ok(())
}

/// A data set whose numbers are all 1.
#[derive(Debug)]
struct Ones(Count);

impl Dataset for Ones {
    fn labels(&self) -> &dml_core::Labels {
        self.0.labels()
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> dml_core::Result<dml_core::Examples> {
        self.0.fetch(rows, seed)?.map(|view| Ok(view.ones_like()?))
    }
}

#[test]
fn gradients_that_are_not_finite_make_no_step_and_a_smaller_scale() -> Result<(), TrainError> {
    let start = weights(&blobs(DType::F16).build()?);
    let told = Rc::new(RefCell::new(Vec::new()));
    let own = told.clone();
    let seen = move |done: &dml_train::Iteration| {
        own.borrow_mut().push(done.loss_scale.unwrap_or(f64::NAN));
        Ok(Flow::Continue)
    };
    let mut trainer = blobs(DType::F16)
        .with_mixed_precision(scaled(1e12))
        .with_iterations_per_epoch(1)
        .with_ema(0.5)
        .on_iteration(seen)
        .build()?;
    trainer.run(3)?;
    assert_eq!(*told.borrow(), [1e12, 5e11, 2.5e11]);
    assert_eq!(weights(&trainer), start, "a step was made");
    let averages: Vec<f32> = trainer
        .ema()
        .into_iter()
        .flat_map(|ema| ema.averages().map(|own| own.1.clone()).collect::<Vec<_>>())
        .flat_map(|own| own.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect();
    let flat: Vec<f32> = start.iter().flat_map(|own| own.1.clone()).collect();
    assert_eq!(averages, flat);

    trainer.run(60)?;
    assert_ne!(weights(&trainer), start, "no step was made");
    let told = told.borrow();
    let changes: Vec<f64> = told.windows(2).map(|two| two[1] / two[0]).collect();
    assert!(changes.contains(&2.0) && changes.iter().all(|own| [0.5, 1.0, 2.0].contains(own)));
    Ok(())
}

fn kept(folder: &Path, policy: MixedPrecision) -> TrainerBuilder<MetricLossOnly> {
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        ..CheckpointsConfig::default()
    };
    let checkpoints = Checkpoints::new(folder, config).unwrap();
    blobs(policy.dtype())
        .with_mixed_precision(policy)
        .with_gradient_cache(5)
        .with_ema(0.9)
        .with_checkpoints(checkpoints)
}

#[test]
fn a_run_in_half_precision_goes_on_as_if_nothing_had_been() -> Result<(), TrainError> {
    for policy in [MixedPrecision::bf16(), scaled(1e9)] {
        let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut expected = kept(whole.path(), policy.clone()).build()?;
        expected.run(3)?;
        let mut failing = kept(broken.path(), policy.clone())
            .on_iteration(|done| match done.step {
                14 => Err("power cut".into()),
                _ => Ok(Flow::Continue),
            })
            .build()?;
        assert!(failing.run(3).is_err());
        let mut resumed = kept(broken.path(), policy.clone()).build()?;
        for (_, var) in resumed.method().modules()[0].parameter_group().parameters() {
            var.set(&var.zeros_like()?)?;
        }
        assert_eq!(resumed.resume()?, Some(12));
        resumed.run(3)?;
        assert_eq!(weights(&resumed), weights(&expected), "{policy:?}");
        // The masters, too: not one bit of single precision differs in the last checkpoints.
        let last = |folder: &Path| {
            let tensors = folder.join("step-000000000024/tensors.safetensors");
            std::fs::read(tensors).unwrap()
        };
        let (a, b) = (last(whole.path()), last(broken.path()));
        assert!(tensors_of(&a) == tensors_of(&b), "{policy:?}");
    }
    Ok(())
}

/// Names and bytes, whatever their order in the file.
fn tensors_of(file: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let tensors = tensors.tensors().into_iter();
    let named: std::collections::BTreeMap<String, Vec<u8>> = tensors
        .map(|(name, view)| (name, view.data().to_vec()))
        .collect();
    assert!(named.contains_key("masters/trunk/fc1.weight"));
    named
}

#[test]
fn weights_that_were_loaded_count() -> Result<(), TrainError> {
    let mut trainer = blobs(DType::BF16)
        .with_mixed_precision(MixedPrecision::bf16())
        .with_iterations_per_epoch(1)
        .build()?;
    for (_, var) in trainer.method().modules()[0].parameter_group().parameters() {
        var.set(&(var.ones_like()? * 3.0)?)?;
    }
    trainer.run(1)?;
    let moved = weights(&trainer);
    // Adam goes 0.02 at the first step.
    assert!(
        moved
            .iter()
            .flat_map(|own| &own.1)
            .all(|x| (x - 3.0).abs() < 0.05)
    );
    Ok(())
}

#[test]
fn what_can_not_be_computed_in_half_precision_is_named() -> Result<(), TrainError> {
    let builder = blobs(DType::F16).with_mixed_precision(MixedPrecision::bf16());
    let error = builder.build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "fc1.weight of trunk: expected element type BF16 or F32, got F16"
    );
    // On the CPU, Candle can do in half precision what a network needs, but has no matrix product of eight bits.
    let network = network_in(DType::BF16, 3, WIDTH, 4, 0.0);
    let weight = network.parameters().get("fc1.weight").unwrap().clone();
    let own = weight.clone();
    let module = move |x: &Tensor| {
        let eight = |x: &Tensor| x.to_dtype(DType::F8E4M3);
        eight(x)?.matmul(&eight(&own.t()?)?)
    };
    let trunk = NamedModule::new("trunk", module, [("weight".to_owned(), weight)]);
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let method = MetricLossOnly::new(trunk.with_optimizer(adam)?, triplets());
    let mut trainer = Trainer::builder(method, data, order)
        .with_mixed_precision(MixedPrecision::bf16())
        .build()?;
    let error = trainer.run(1).unwrap_err();
    assert!(
        matches!(
            &error,
            TrainError::Precision {
                operation: "matmul",
                dtype: DType::F8E4M3
            }
        ),
        "{error}"
    );
    Ok(())
}
