//! Two families of losses on the same digits: `ArcFace`, which learns a direction for each class, and triplets, which
//! learn from distances between digits alone.
//!
//! Deng, Guo, Xue and Zafeiriou, "`ArcFace`" (2018, arXiv:1801.07698); Schroff, Kalenichenko and Philbin, "`FaceNet`" (2015, arXiv:1503.03832).

use std::io::Write;

use dml::Objective;
use dml::candle_core::{DType, Device};
use dml::data::Normalization;
use dml::distances::CosineSimilarity;
use dml::losses::{ArcFaceLoss, ArcFaceLossConfig, SeededVars};
use dml::reducers::MeanReducer;
use dml::train::{Criterion, MetricLossOnly};

use super::{Args, EMBEDDING, Precision};
use crate::triplets;

/// Ten digits.
const CLASSES: usize = 10;

/// Learns by each loss, judges, prints to `out`; the names of the losses with their figures.
///
/// # Errors
/// One sentence for arguments out of range and for a folder without MNIST.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Vec<(&'static str, Precision)>> {
    let digits = args.digits()?;
    let mut figures = Vec::new();
    for (name, criterion) in [
        ("ArcFace", arc_face(args)?),
        ("triplets", triplets::objective()?.into()),
    ] {
        let method = MetricLossOnly::new(args.trunk()?, criterion);
        let train = digits.train.clone().normalized(Normalization::UNIT);
        let precision = args.learn(method, train, &digits.test)?;
        writeln!(
            out,
            "{name:<9} Precision@1 {:.4} (untrained {:.4})",
            precision.trained, precision.untrained
        )?;
        figures.push((name, precision));
    }
    Ok(figures)
}

/// Directions of classes, which learn beside the network.
fn arc_face(args: &Args) -> anyhow::Result<Criterion> {
    let vars = SeededVars::new(args.seed);
    let loss = ArcFaceLoss::new(
        ArcFaceLossConfig::new(CLASSES, EMBEDDING),
        CosineSimilarity::default(),
        vars.builder(DType::F32, &Device::Cpu),
    )?;
    let objective = Objective::new(loss, MeanReducer);
    Ok(Criterion::new("arc_face", objective).with_optimizer(|parameters| args.adam(parameters))?)
}
