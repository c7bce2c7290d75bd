//! How the components of each role are called.

mod accuracy;
mod distance;
mod inference;
mod init_property;
mod loss;
mod miner;
mod miner_property;
mod objective;
mod pipeline;
mod reducer;
mod regularizer;
mod sampler;
mod sequence;
mod tuples;

use crate::Case;
use crate::answer::Answer;
use crate::unsupported::unsupported;

/// What the component of a case answers.
///
/// # Errors
/// The component's own error, [`Unsupported`](crate::unsupported::Unsupported), or that the case can't be read.
pub(crate) fn answer(case: &Case) -> anyhow::Result<Answer> {
    match case.kind() {
        "distance" => distance::answer(case),
        "reducer" => reducer::answer(case),
        "regularizer" => regularizer::answer(case),
        "miner" => miner::answer(case),
        "miner_property" => miner_property::check(case),
        "loss" if case.op() == "sequence" => sequence::answer(case),
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
