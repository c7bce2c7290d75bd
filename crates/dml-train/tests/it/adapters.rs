//! Training the adapters of a network alone, and with activations that are computed again.

use std::path::Path;

use candle_core::Var;
use dml_nn::{ActivationCheckpoint, Layer, Lora, LoraConfig};
use dml_train::{Checkpoints, CheckpointsConfig, MetricLossOnly, NamedModule, TrainError, Trainer};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::blobs::{Blobs, WIDTH, adam, network, sampler, triplets, weights};

/// Weights by name.
type Weights = Vec<(String, Var)>;

/// The trainer, and the weights of the network below the adapters.
fn trainer(
    folder: &Path,
    checkpointed: bool,
    cache: Option<usize>,
) -> Result<(Trainer<MetricLossOnly>, Weights), TrainError> {
    let network = network(1, WIDTH, 4, 0.3);
    let below = network.parameters().into_iter().collect();
    let network: Box<dyn Layer> = match checkpointed {
        true => Box::new(ActivationCheckpoint::new(network)),
        false => Box::new(network),
    };
    let config = LoraConfig {
        rank: 2,
        dropout: 0.2,
        ..LoraConfig::default()
    };
    let lora = Lora::new(network, config, &mut ChaCha8Rng::seed_from_u64(4))?;
    let trunk = NamedModule::of("trunk", lora).with_optimizer(adam)?;
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let mut builder = Trainer::builder(MetricLossOnly::new(trunk, triplets()), data, order)
        .with_checkpoints(Checkpoints::new(folder, CheckpointsConfig::default())?);
    if let Some(rows) = cache {
        builder = builder.with_gradient_cache(rows);
    }
    Ok((builder.build()?, below))
}

fn values(variables: &[(String, Var)]) -> Vec<Vec<f32>> {
    let values = |(_, var): &(String, Var)| var.flatten_all().unwrap().to_vec1().unwrap();
    variables.iter().map(values).collect()
}

#[test]
fn adapters_learn_and_the_network_stays() -> Result<(), TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let (mut whole, below) = trainer(folder.path(), false, None)?;
    let (network, adapters) = (values(&below), weights(&whole));
    assert_eq!(adapters.len(), 4);
    assert_eq!(adapters[0].0, "trunk/base_model.model.fc1.lora_A.weight");
    whole.run(2)?;
    assert_eq!(values(&below), network);
    for ((name, before), (_, after)) in adapters.iter().zip(weights(&whole)) {
        assert_ne!(*before, after, "{name}");
    }
    let broken = tempfile::tempdir().unwrap();
    trainer(broken.path(), false, None)?.0.run(1)?;
    let (mut resumed, _) = trainer(broken.path(), false, None)?;
    assert_eq!(resumed.resume()?, Some(8));
    resumed.run(2)?;
    assert_eq!(weights(&resumed), weights(&whole));
    Ok(())
}

#[test]
fn activations_that_are_computed_again_change_nothing() -> Result<(), TrainError> {
    let trained = |checkpointed, cache| -> Result<Vec<(String, Vec<f32>)>, TrainError> {
        let folder = tempfile::tempdir().unwrap();
        let (mut trainer, _) = trainer(folder.path(), checkpointed, cache)?;
        trainer.run(1)?;
        Ok(weights(&trainer))
    };
    assert_eq!(trained(true, None)?, trained(false, None)?);
    assert_eq!(trained(true, Some(5))?, trained(false, Some(5))?);
    Ok(())
}
