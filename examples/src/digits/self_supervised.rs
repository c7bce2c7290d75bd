//! Embeddings of digits without labels: two views of a digit belong together, all others apart.
//!
//! ```text
//! view: turned by up to 15°, moved by up to a tenth, scaled, sheared      loss: NT-Xent, temperature 0.2, cosine
//! ```
//!
//! Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations" (2020,
//! arXiv:2002.05709). Labels serve for nothing but the judgement at the end.
//!
//! A digit has no mirror image and no colour, so views are neither flipped nor jittered. The first steps make the
//! embeddings worse than random weights do, since all views draw together before they draw apart: some hundred steps are
//! needed to see anything.

use std::io::Write;

use dml::Objective;
use dml::data::AugmentedImages;
use dml::data::augment::{Affine, AffineConfig};
use dml::distances::CosineSimilarity;
use dml::losses::{NTXentLoss, NTXentLossConfig};
use dml::reducers::MeanReducer;
use dml::train::UnsupervisedEmbeddingsUsingAugmentations;

use super::{Args, Precision};

/// Learns, judges, prints to `out`.
///
/// # Errors
/// One sentence for arguments out of range and for a folder without MNIST.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Precision> {
    let digits = args.digits()?;
    let affine = Affine::new(AffineConfig {
        degrees: 15.0,
        translate: [0.1, 0.1],
        scale: [0.85, 1.15],
        shear: 10.0,
        ..AffineConfig::default()
    })?;
    let pairs = AugmentedImages::two_views(digits.train, affine)?;
    let config = NTXentLossConfig { temperature: 0.2 };
    let loss = NTXentLoss::new(config, CosineSimilarity::default())?;
    let objective = Objective::new(loss, MeanReducer);
    let method = UnsupervisedEmbeddingsUsingAugmentations::new(args.trunk()?, objective);
    let precision = args.learn(method, pairs, &digits.test)?;
    writeln!(
        out,
        "Precision@1 without a label: {:.4} (untrained {:.4})",
        precision.trained, precision.untrained
    )?;
    Ok(precision)
}
