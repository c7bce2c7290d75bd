//! The loss of a case with its collaborators, and its value.

use dml::candle_core::{DType, Tensor};
use dml::config::LossConfig;
use dml::losses::SeededVars;
use dml::{Batch, Objective, Tuples};

use crate::Case;
use crate::answer::Answer;

/// The loss with its parameters on the device of the case.
pub(super) fn build(case: &Case, config: &LossConfig) -> anyhow::Result<Objective> {
    let vars = SeededVars::new(0).builder(DType::F32, &case.device);
    Ok(config.build_with(&vars)?)
}

/// The reduced loss, put as `out.loss`.
pub(super) fn evaluate(
    objective: &Objective,
    batch: &Batch,
    tuples: &Tuples,
    answer: &mut Answer,
) -> anyhow::Result<Tensor> {
    let loss = objective.evaluate_tuples(batch, tuples)?.loss;
    answer.put("out.loss", loss.clone());
    Ok(loss)
}
