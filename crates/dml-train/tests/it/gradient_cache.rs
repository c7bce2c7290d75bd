//! A gradient cache gives the gradients of one pass, and the memory of a chunk.

use std::sync::Arc;

use dml_core::candle_core::{DType, Device};
use dml_core::{Dataset, Objective, Reducer};
use dml_distances::{CosineSimilarity, LpDistance};
use dml_losses::{
    ArcFaceLoss, ArcFaceLossConfig, ContrastiveLoss, ContrastiveLossConfig, CrossBatchMemory,
    CrossBatchMemoryConfig, MultiSimilarityLoss, MultiSimilarityLossConfig, NTXentLoss,
    NTXentLossConfig, TripletMarginLoss, TripletMarginLossConfig,
};
use dml_miners::{TripletMarginMiner, TripletMarginMinerConfig};
use dml_nn::{Layer, Sgd, SgdConfig};
use dml_reducers::{AvgNonZeroReducer, MeanReducer};
use dml_train::{Criterion, MetricLossOnly, NamedModule, TrainError, Trainer};

use crate::blobs::{
    Blobs, CLASSES, WIDTH, named_module, network, normalized_network, sampler, weights,
};

type Parameters = Vec<(String, dml_core::candle_core::Var)>;

/// Plain descent: the change of a weight is its gradient.
fn descent(parameters: Parameters) -> dml_core::Result<Sgd> {
    let config = SgdConfig {
        lr: 1.0,
        ..SgdConfig::default()
    };
    Sgd::new(parameters, config)
}

fn objectives() -> Vec<(&'static str, Objective)> {
    let cosine = || Arc::new(CosineSimilarity::default());
    let mean = || -> Arc<dyn Reducer> { Arc::new(MeanReducer) };
    let margin = TripletMarginLossConfig::default();
    let triplet = TripletMarginLoss::new(margin, LpDistance::default()).unwrap();
    let semihard = TripletMarginMinerConfig::default();
    let miner = TripletMarginMiner::new(semihard, LpDistance::default()).unwrap();
    let contrastive = || {
        let config = ContrastiveLossConfig::default();
        ContrastiveLoss::new(config, LpDistance::default()).unwrap()
    };
    let memory = CrossBatchMemory::new(
        CrossBatchMemoryConfig {
            memory_size: 64,
            ..CrossBatchMemoryConfig::new(4)
        },
        Objective::new(contrastive(), mean()),
    );
    let variables = candle_nn::VarMap::new();
    let builder = candle_nn::VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let config = ArcFaceLossConfig::new(CLASSES, 4);
    let arc_face = ArcFaceLoss::new(config, cosine(), builder).unwrap();
    for (_, var) in dml_core::Loss::parameters(&arc_face) {
        // Candle draws from a generator without seed.
        let values: Vec<f32> = (0..var.elem_count()).map(|i| (i as f32).sin()).collect();
        let values = candle_core::Tensor::from_vec(values, var.shape(), &Device::Cpu);
        var.set(&values.unwrap()).unwrap();
    }
    let similarity = MultiSimilarityLossConfig::default();
    vec![
        (
            "triplet",
            Objective::new(triplet, AvgNonZeroReducer::default()).with_miner(miner),
        ),
        ("contrastive", Objective::new(contrastive(), mean())),
        ("memory", Objective::new(memory.unwrap(), mean())),
        (
            "multi-similarity",
            Objective::new(
                MultiSimilarityLoss::new(similarity, cosine()).unwrap(),
                mean(),
            ),
        ),
        (
            "ntxent",
            Objective::new(
                NTXentLoss::new(NTXentLossConfig::default(), cosine()).unwrap(),
                mean(),
            ),
        ),
        ("arcface", Objective::new(arc_face, mean())),
    ]
}

/// The weights of network and loss after a step.
fn after_a_step(
    objective: Objective,
    chunk: Option<usize>,
    trunk: NamedModule,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let learned: Parameters = objective.loss().parameters();
    let criterion = Criterion::from(objective).with_optimizer(descent)?;
    let data = Blobs::new(64, 1);
    let order = sampler(&data);
    let method = MetricLossOnly::new(trunk, criterion);
    let mut builder = Trainer::builder(method, data, order).with_iterations_per_epoch(1);
    if let Some(rows) = chunk {
        builder = builder.with_gradient_cache(rows);
    }
    let mut trainer = builder.build()?;
    trainer.run(1)?;
    let mut all: Vec<Vec<f32>> = weights(&trainer).into_iter().map(|own| own.1).collect();
    for (_, var) in learned {
        all.push(var.flatten_all()?.to_vec1()?);
    }
    Ok(all)
}

fn trunk(dropout: f64) -> NamedModule {
    let trunk = named_module("trunk", network(7, WIDTH, 4, dropout));
    trunk.with_optimizer(descent).unwrap()
}

#[test]
fn the_gradient_is_that_of_one_pass_for_every_kind_of_objective() -> Result<(), TrainError> {
    let names: Vec<&str> = objectives().iter().map(|own| own.0).collect();
    for (i, name) in names.iter().enumerate() {
        let objective = || objectives().swap_remove(i).1;
        let start = {
            let parameters = network(7, WIDTH, 4, 0.0).parameters();
            let values = |(_, var): (&str, &candle_core::Var)| var.flatten_all()?.to_vec1::<f32>();
            let mut all: Vec<Vec<f32>> = parameters.iter().map(values).collect::<Result<_, _>>()?;
            for (_, var) in objective().loss().parameters() {
                all.push(var.flatten_all()?.to_vec1()?);
            }
            all
        };
        // Memories differ from call to call, so each run gets an objective of its own.
        let whole = after_a_step(objective(), None, trunk(0.0))?;
        for rows in [1, 5, 11] {
            let cached = after_a_step(objective(), Some(rows), trunk(0.0))?;
            for ((start, whole), cached) in start.iter().zip(&whole).zip(&cached) {
                let gradient = |after: &[f32]| -> Vec<f64> {
                    let both = start.iter().zip(after);
                    both.map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
                };
                let (whole, cached) = (gradient(whole), gradient(cached));
                let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
                let difference: Vec<f64> = whole.iter().zip(&cached).map(|(a, b)| a - b).collect();
                let change = norm(&difference);
                // Weights near 1 are rounded to 6e-8 when they are read back.
                let limit = 1e-5 * norm(&whole) + 1e-7 * (whole.len() as f64).sqrt();
                assert!(change <= limit, "{name}, {rows} rows: {change} > {limit}");
            }
        }
    }
    Ok(())
}

#[test]
fn dropout_is_the_same_in_both_passes() -> Result<(), TrainError> {
    // A chunk as long as the batch draws the masks of the one pass.
    let objective = || objectives().swap_remove(1).1;
    let config = dml_samplers::MPerClassSamplerConfig {
        batch_size: Some(12),
        length_before_new_iter: 24,
        ..dml_samplers::MPerClassSamplerConfig::new(3)
    };
    let run = |chunk: Option<usize>| -> Result<Vec<(String, Vec<f32>)>, TrainError> {
        let data = Blobs::new(64, 1);
        let order = dml_samplers::MPerClassSampler::new(config.clone(), data.labels())?;
        let method = MetricLossOnly::new(trunk(0.5), objective());
        let builder = Trainer::builder(method, data, order);
        let builder = match chunk {
            None => builder,
            Some(rows) => builder.with_gradient_cache(rows),
        };
        let mut trainer = builder.build()?;
        trainer.run(2)?;
        Ok(weights(&trainer))
    };
    assert_eq!(run(Some(12))?, run(None)?);
    assert_eq!(run(Some(5))?, run(Some(5))?);
    Ok(())
}

#[test]
fn dropout_that_nobody_told_of_is_noticed() {
    let network = network(7, WIDTH, 4, 0.5);
    let parameters = network.parameters();
    let trunk = NamedModule::new("trunk", network, parameters);
    let trunk = trunk.with_optimizer(descent).unwrap();
    let objective = objectives().swap_remove(1).1;
    let error = after_a_step(objective, Some(5), trunk).unwrap_err();
    assert!(error.to_string().contains("with_seeds"), "{error}");
}

#[test]
fn batch_normalisation_in_training_is_refused() -> Result<(), TrainError> {
    let objective = || objectives().swap_remove(1).1;
    let refused = after_a_step(objective(), Some(5), normalized(7)).unwrap_err();
    assert!(
        refused.to_string().contains("freeze_statistics"),
        "{refused}"
    );
    after_a_step(objective(), None, normalized(7))?;
    // Frozen, it treats rows by themselves, and the gradients are those of one pass.
    let frozen = || {
        let network = normalized_network(7, 0.0);
        network.freeze_statistics();
        NamedModule::of("trunk", network)
            .with_optimizer(descent)
            .unwrap()
    };
    let (whole, cached) = (
        after_a_step(objective(), None, frozen())?,
        after_a_step(objective(), Some(5), frozen())?,
    );
    for (a, b) in whole.concat().iter().zip(cached.concat()) {
        approx::assert_abs_diff_eq!(*a, b, epsilon = 1e-4);
    }
    Ok(())
}

/// A trunk with batch normalisation, under plain descent.
fn normalized(seed: u64) -> NamedModule {
    let module = NamedModule::of("trunk", normalized_network(seed, 0.0));
    module.with_optimizer(descent).unwrap()
}
