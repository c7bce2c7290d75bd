//! Losses: value and gradients of one call.

use std::sync::Arc;

use dml::config::{LossConfig, ReducerConfig};
use dml::{Batch, Objective, Pairs, Triplets, Tuples};

use super::unsupported;
use crate::Case;
use crate::answer::{Answer, Inputs};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: LossConfig = dml::config::from_value(case.config()?)?;
    let objective = config.build()?;
    if case.op() != "forward" {
        return Err(unsupported(format!("loss op {}", case.op())));
    }
    let mut inputs = Inputs::default();
    let batch = super::batch(case, &mut inputs)?;
    let tuples = tuples(case)?;
    let mut answer = Answer::default();
    let loss = if matches!(config.reducer, Some(ReducerConfig::DoNothingReducer(_))) {
        super::reducer::put_terms(
            &objective.terms(&batch, &tuples)?,
            &batch.zero()?,
            &mut answer,
        )?
    } else {
        evaluate(&objective, &batch, &tuples, &mut answer)?
    };
    answer.put_gradients(&inputs, &loss.backward()?)?;
    Ok(answer)
}

/// The reduced loss, put as `out.loss`.
pub(super) fn evaluate(
    objective: &Objective,
    batch: &Batch,
    tuples: &Tuples,
    answer: &mut Answer,
) -> anyhow::Result<dml::candle_core::Tensor> {
    let loss = objective.evaluate_tuples(batch, tuples)?.loss;
    answer.put_tensor("out.loss", &loss)?;
    Ok(loss)
}

/// The tuples of a case; all of them if it has none.
pub(super) fn tuples(case: &Case) -> anyhow::Result<Tuples> {
    let column = |name: &str| case.row_numbers(&format!("in.tuples.{name}"));
    let (a, a1, p, a2, n) = (
        column("a")?,
        column("a1")?,
        column("p")?,
        column("a2")?,
        column("n")?,
    );
    Ok(match (a, a1, p, a2, n) {
        (Some(a), _, Some(p), _, Some(n)) => Tuples::Triplets(Arc::new(Triplets::new(a, p, n)?)),
        (_, Some(a1), Some(p), Some(a2), Some(n)) => {
            Tuples::Pairs(Arc::new(Pairs::new(a1, p, a2, n)?))
        }
        _ => Tuples::All,
    })
}
