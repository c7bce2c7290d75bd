//! How the components of each role are called.

mod accuracy;
mod distance;
mod inference;
mod init_property;
mod loss;
mod miner;
mod miner_property;
mod pipeline;
mod reducer;
mod regularizer;
mod sampler;
mod sequence;
mod tuples;

use dml::Batch;
use dml::candle_core::Tensor;

use crate::Case;
use crate::answer::{Answer, Inputs};
use crate::run::Unsupported;

/// What the component of a case answers.
///
/// # Errors
/// The component's own error, [`Unsupported`], or that the case can't be read.
pub(crate) fn answer(case: &Case) -> anyhow::Result<Answer> {
    match case.kind() {
        "distance" => distance::answer(case),
        "reducer" => reducer::answer(case),
        "regularizer" => regularizer::answer(case),
        "miner" => miner::answer(case),
        "miner_property" => miner_property::check(case),
        "loss" => loss::answer(case),
        "init_property" => init_property::check(case),
        "pipeline" => pipeline::answer(case),
        "accuracy" => accuracy::answer(case),
        "inference" => inference::answer(case),
        "sampler_property" => sampler::check_property(case),
        "tuples" => tuples::answer(case),
        "tuples_property" => tuples::check_property(case),
        other => Err(unsupported(format!("no runner for kind {other}"))),
    }
}

/// Whether the cases of that name are about a function instead of a component.
pub(crate) fn is_function(name: &str) -> bool {
    tuples::FUNCTIONS.contains(&name) || name == accuracy::GIVEN_CLUSTERS
}

pub(crate) fn unsupported(what: impl Into<String>) -> anyhow::Error {
    Unsupported(what.into()).into()
}

/// The batch of a case: embeddings, labels and reference set, as far as it has them.
pub(crate) fn batch(case: &Case, inputs: &mut Inputs) -> anyhow::Result<Batch> {
    batch_labeled(case, inputs, case.tensor("in.labels")?)
}

/// The batch of a case whose embeddings have these labels.
pub(crate) fn batch_labeled(
    case: &Case,
    inputs: &mut Inputs,
    labels: Option<Tensor>,
) -> anyhow::Result<Batch> {
    let embeddings = inputs.required(case, "embeddings")?;
    let batch = match &labels {
        Some(labels) => Batch::new(&embeddings, labels)?,
        None => Batch::unlabeled(&embeddings)?,
    };
    let Some(reference) = inputs.optional(case, "ref_emb")? else {
        return Ok(batch);
    };
    Ok(match case.tensor("in.ref_labels")? {
        Some(labels) => batch.with_reference(&reference, &labels)?,
        None => batch.with_unlabeled_reference(&reference)?,
    })
}
