//! Runs that are taken up again.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Var};
use dml_core::{Dataset, Distance, Objective};
use dml_distances::{MahalanobisDistance, MahalanobisDistanceConfig};
use dml_losses::{LearnedDistance, TripletMarginLoss, TripletMarginLossConfig, TripletsPerAnchor};
use dml_reducers::AvgNonZeroReducer;
use dml_train::{
    Checkpoints, CheckpointsConfig, Criterion, Flow, Method, MetricLossOnly, NamedModule,
    TrainError, Trainer, TrainerBuilder,
};

use crate::blobs::{Blobs, adam, normalized_network, sampler, triplets, trunk, weights};

fn builder(folder: &Path, seed: u64) -> TrainerBuilder<MetricLossOnly> {
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let config = CheckpointsConfig {
        every_iterations: Some(3),
        ..CheckpointsConfig::default()
    };
    Trainer::builder(
        MetricLossOnly::new(trunk(seed, 0.4), triplets()),
        data,
        order,
    )
    .with_checkpoints(Checkpoints::new(folder, config).unwrap())
    .with_ema(0.9)
}

#[test]
fn a_run_that_failed_goes_on_as_if_nothing_had_been() -> Result<(), TrainError> {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = builder(whole.path(), 1).build()?;
    expected.run(3)?;
    // Fails in iteration 14, so that the checkpoint of iteration 12 is the last.
    let mut failing = builder(broken.path(), 1)
        .on_iteration(|done| {
            if done.step == 14 {
                Err("power cut".into())
            } else {
                Ok(Flow::Continue)
            }
        })
        .build()?;
    assert!(matches!(failing.run(3), Err(TrainError::Hook { .. })));
    // Another beginning, of which nothing is left after the resumption.
    let mut resumed = builder(broken.path(), 1).build()?;
    for (_, var) in resumed.method().modules()[0].parameter_group().parameters() {
        var.set(&var.zeros_like()?)?;
    }
    assert_eq!(resumed.resume()?, Some(12));
    assert_eq!((resumed.epochs(), resumed.steps()), (1, 12));
    resumed.run(3)?;
    assert_eq!(weights(&resumed), weights(&expected));
    let averages = |trainer: &Trainer<MetricLossOnly>| -> Vec<Vec<f32>> {
        let all = trainer.ema().unwrap().averages();
        all.map(|(_, own)| own.flatten_all().unwrap().to_vec1().unwrap())
            .collect()
    };
    assert_eq!(averages(&resumed), averages(&expected));
    Ok(())
}

#[test]
fn a_damaged_checkpoint_is_passed_over() -> Result<(), TrainError> {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = builder(whole.path(), 1).build()?;
    expected.run(3)?;
    let mut first = builder(broken.path(), 1).build()?;
    first.run(2)?;
    let tensors = broken.path().join("step-000000000016/tensors.safetensors");
    let mut bytes = std::fs::read(&tensors).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&tensors, bytes).unwrap();
    let mut resumed = builder(broken.path(), 1).build()?;
    assert_eq!(resumed.resume()?, Some(15));
    resumed.run(3)?;
    assert_eq!(weights(&resumed), weights(&expected));
    Ok(())
}

#[test]
fn the_running_numbers_of_batch_normalisation_go_on() -> Result<(), TrainError> {
    let built = |folder: &Path| -> Result<Trainer<MetricLossOnly>, TrainError> {
        let trunk = NamedModule::of("trunk", normalized_network(1, 0.3)).with_optimizer(adam)?;
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        let checkpoints = Checkpoints::new(folder, CheckpointsConfig::default())?;
        Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order)
            .with_checkpoints(checkpoints)
            .build()
    };
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = built(whole.path())?;
    expected.run(3)?;
    built(broken.path())?.run(2)?;
    let mut resumed = built(broken.path())?;
    assert_eq!(resumed.resume()?, Some(16));
    let buffers = |trainer: &Trainer<MetricLossOnly>| -> Vec<(String, Vec<f32>)> {
        let buffers = trainer.method().modules()[0].buffers();
        let values = |(name, var): &(String, Var)| (name.clone(), var.to_vec1().unwrap());
        buffers.iter().map(values).collect()
    };
    assert_eq!(buffers(&resumed)[0].0, "norm.running_mean");
    assert!(buffers(&resumed)[0].1.iter().all(|x| *x != 0.0));
    resumed.run(3)?;
    assert_eq!(weights(&resumed), weights(&expected));
    assert_eq!(buffers(&resumed), buffers(&expected));
    // Outside of training, the model is its buffers, too.
    let examples = Blobs::new(64, 1).fetch(&[0, 1, 2], 0)?;
    let of = |trainer: &Trainer<MetricLossOnly>| -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(trainer.embed(&examples.views()[0])?.to_vec2()?)
    };
    assert_eq!(of(&resumed)?, of(&expected)?);
    Ok(())
}

#[test]
fn a_learned_distance_and_its_random_triplets_go_on() -> Result<(), TrainError> {
    let built = |folder: &Path| -> Result<TrainerBuilder<MetricLossOnly>, TrainError> {
        let config = MahalanobisDistanceConfig::new(4);
        let distance = MahalanobisDistance::new(config, DType::F32, &Device::Cpu)?;
        let distance: Arc<dyn Distance> = Arc::new(distance);
        let config = TripletMarginLossConfig {
            triplets_per_anchor: TripletsPerAnchor::Random(4),
            seed: 11,
            ..Default::default()
        };
        let loss = TripletMarginLoss::new(config, distance.clone())?;
        let loss = LearnedDistance::new(Arc::new(loss), distance);
        let objective = Objective::new(loss, AvgNonZeroReducer::default());
        let criterion = Criterion::from(objective).with_optimizer(adam)?;
        let data = Blobs::new(64, 1);
        let order = sampler(&data);
        let config = CheckpointsConfig {
            every_iterations: Some(3),
            ..CheckpointsConfig::default()
        };
        let method = MetricLossOnly::new(trunk(1, 0.4), criterion);
        Ok(Trainer::builder(method, data, order)
            .with_checkpoints(Checkpoints::new(folder, config)?))
    };
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut expected = built(whole.path())?.build()?;
    expected.run(2)?;
    let mut failing = built(broken.path())?
        .on_iteration(|done| match done.step {
            8 => Err("power cut".into()),
            _ => Ok(Flow::Continue),
        })
        .build()?;
    assert!(failing.run(2).is_err());
    let mut resumed = built(broken.path())?.build()?;
    assert_eq!(resumed.resume()?, Some(6));
    resumed.run(2)?;
    assert_eq!(weights(&resumed), weights(&expected));
    let factor = |trainer: &Trainer<MetricLossOnly>| -> Vec<f32> {
        let criterion = trainer.method().criteria()[0].parameter_group();
        let factor = &criterion.parameters()[0].1;
        factor.flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_eq!(factor(&resumed), factor(&expected));
    Ok(())
}

#[test]
fn folders_of_other_runs_are_left_alone() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let mut first = builder(folder.path(), 1).build()?;
    assert_eq!(first.resume()?, None);
    first.run(1)?;
    let refused = builder(folder.path(), 1).build()?.run(1);
    assert!(matches!(refused, Err(TrainError::FolderInUse { .. })));
    // Other random numbers.
    let mut other = builder(folder.path(), 2).build()?;
    assert!(matches!(other.resume(), Err(TrainError::Seeds { name, .. }) if name == "trunk"));
    let mut other = builder(folder.path(), 1).with_seed(3).build()?;
    assert!(matches!(other.resume(), Err(TrainError::Seeds { name, .. }) if name == "data set"));
    // Another model.
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let wide = crate::blobs::named_module("trunk", crate::blobs::network(1, 6, 5, 0.4));
    let wide = wide.with_optimizer(crate::blobs::adam)?;
    let mut other = Trainer::builder(MetricLossOnly::new(wide, triplets()), data, order)
        .with_checkpoints(Checkpoints::new(
            folder.path(),
            CheckpointsConfig::default(),
        )?)
        .build()?;
    let before = weights(&other);
    assert!(matches!(other.resume(), Err(TrainError::Tensors(_))));
    assert_eq!(weights(&other), before);
    Ok(())
}

#[test]
fn a_saved_model_is_its_weights() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let trainer = builder(folder.path(), 1).build()?;
    let path = folder.path().join("model.safetensors");
    trainer.save_model(&path)?;
    let tensors = dml_core::checkpoint::load(&path, &candle_core::Device::Cpu)?;
    for (name, values) in weights(&trainer) {
        assert_eq!(tensors[&name].flatten_all()?.to_vec1::<f32>()?, values);
    }
    assert_eq!(tensors.len(), 4);
    Ok(())
}
