//! Single crates, five lines each: what is needed when one thing is needed.

use std::io::Write;

use dml_core::candle_core::{Device, Tensor, Var};
use dml_core::{Batch, Distance, Miner, Objective, Result, Sampler};
use dml_distances::CosineSimilarity;
use dml_eval::{AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, FlatIndex};
use dml_losses::{TripletMarginLoss, TripletMarginLossConfig};
use dml_miners::{TripletMarginMiner, TripletMarginMinerConfig, TripletType};
use dml_reducers::MeanReducer;
use dml_samplers::{MPerClassSampler, MPerClassSamplerConfig};

/// Four rows of length 1, two of each class.
const ROWS: [[f32; 2]; 4] = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]];
const LABELS: [i64; 4] = [0, 0, 1, 1];

/// Cosines, by dml-distances.
///
/// # Errors
/// As the distance.
pub fn cosines() -> Result<Vec<Vec<f32>>> {
    let rows = Tensor::new(&ROWS, &Device::Cpu)?;
    let cosines = CosineSimilarity::default().matrix(&rows, None)?;
    Ok(cosines.to_vec2()?)
}

/// A loss and its gradient, by dml-losses.
///
/// # Errors
/// As the loss.
pub fn loss() -> Result<(f32, Vec<Vec<f32>>)> {
    let rows = Var::new(&ROWS, &Device::Cpu)?;
    let config = TripletMarginLossConfig {
        margin: 0.2,
        ..Default::default()
    };
    let loss = TripletMarginLoss::new(config, CosineSimilarity::default())?;
    let value = Objective::new(loss, MeanReducer).forward(&Batch::new(&rows, LABELS)?)?;
    let gradients = value.backward()?;
    let gradient = gradients
        .get(rows.as_tensor())
        .map_or_else(|| rows.zeros_like(), |own| Ok(own.clone()))?;
    Ok((value.to_scalar()?, gradient.to_vec2()?))
}

/// How many triplets have a negative nearer than the positive, by dml-miners.
///
/// # Errors
/// As the miner.
pub fn hard_triplets() -> Result<u64> {
    let batch = Batch::new(&Tensor::new(&ROWS, &Device::Cpu)?, LABELS)?;
    let config = TripletMarginMinerConfig {
        margin: 0.0,
        type_of_triplets: TripletType::Hard,
    };
    let miner = TripletMarginMiner::new(config, CosineSimilarity::default())?;
    Ok(miner.mine(&batch)?.count(&batch)?.total())
}

/// The first batch of an epoch, two rows of each of two classes, by dml-samplers.
///
/// # Errors
/// As the sampler.
pub fn batch() -> Result<Vec<usize>> {
    let labels = [0i64, 0, 0, 1, 1, 1, 2, 2, 2];
    let config = MPerClassSamplerConfig {
        batch_size: Some(4),
        ..MPerClassSamplerConfig::new(2)
    };
    let sampler = MPerClassSampler::new(config, labels)?;
    Ok(sampler.epoch(1).next().unwrap_or_default())
}

/// How often the nearest other row is of the own class, by dml-eval.
///
/// # Errors
/// As the calculator.
pub fn precision_at_1() -> Result<f64> {
    let batch = Batch::new(&Tensor::new(&ROWS, &Device::Cpu)?, LABELS)?;
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        ..Default::default()
    };
    let calculator = AccuracyCalculator::new(config, FlatIndex::default())?;
    let accuracies = calculator.get_accuracy(&batch)?;
    Ok(accuracies
        .iter()
        .next()
        .map_or(f64::NAN, |score| score.value))
}

/// All of them, a line each.
///
/// # Errors
/// As the crates, and if `out` can't be written to.
pub fn run(out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "dml-distances: the cosine of rows 0 and 1 is {:.2}",
        cosines()?[0][1]
    )?;
    writeln!(
        out,
        "dml-losses: the triplet margin loss is {:.2}",
        loss()?.0
    )?;
    writeln!(out, "dml-miners: {} triplets are hard", hard_triplets()?)?;
    writeln!(out, "dml-samplers: the first batch is rows {:?}", batch()?)?;
    writeln!(out, "dml-eval: Precision@1 is {:.2}", precision_at_1()?)?;
    Ok(())
}
