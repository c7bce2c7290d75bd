//! Losses: value and gradients of one call.

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use dml::config::{LossConfig, LossKind, ReducerConfig};
use dml::losses::{SeededVars, SubCenterArcFaceLoss};
use dml::{Loss, Objective};

use super::objective::{build, evaluate};
use crate::Case;
use crate::answer::Answer;
use crate::inputs::{Inputs, batch, batch_labeled, tuples};
use crate::unsupported::unsupported;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: LossConfig = dml::config::from_value(case.config()?)?;
    let objective = build(case, &config)?;
    match case.op() {
        "forward" | "self_supervised" | "multiple" => forward(case, &config, &objective),
        "get_logits" => logits(case, objective.loss()),
        "get_outliers" => outliers(case, &config),
        op => Err(unsupported(format!("loss op {op}"))),
    }
}

fn forward(case: &Case, config: &LossConfig, objective: &Objective) -> anyhow::Result<Answer> {
    let mut inputs = Inputs::default();
    inputs.parameters(case, objective.loss())?;
    let batch = batch_labeled(case, &mut inputs, labels(case)?)?;
    let tuples = tuples(case)?;
    let mut answer = Answer::default();
    let loss = if matches!(config.reducer, Some(ReducerConfig::DoNothingReducer(_))) {
        super::reducer::put_terms(
            &objective.terms(&batch, &tuples)?,
            &batch.zero()?,
            &mut answer,
        )?
    } else {
        evaluate(objective, &batch, &tuples, &mut answer)?
    };
    answer.put_state(objective.loss())?;
    answer.put_gradients(&inputs, &loss.backward()?)?;
    Ok(answer)
}

/// How near embeddings are to classes, with the gradients of `Σ logits · weights`.
fn logits(case: &Case, loss: &dyn Loss) -> anyhow::Result<Answer> {
    let classes = loss
        .as_class_loss()
        .ok_or_else(|| unsupported("logits of a loss that learns no classes"))?;
    let mut inputs = Inputs::default();
    inputs.parameters(case, loss)?;
    let batch = batch(case, &mut inputs)?;
    let logits = classes.logits(batch.embeddings())?;
    let weights = case.tensor("in.weights")?.context("no in.weights")?;
    let mut answer = Answer::from([("out.logits", logits.clone())]);
    let sum = (logits * weights)?.sum_all()?;
    answer.put_gradients(&inputs, &sum.backward()?)?;
    Ok(answer)
}

/// Rows far from the main centre of their class.
fn outliers(case: &Case, config: &LossConfig) -> anyhow::Result<Answer> {
    let LossKind::SubCenterArcFaceLoss(arguments) = &config.loss else {
        return Err(unsupported(format!("outliers of {}", config.loss.name())));
    };
    let distance = match &config.distance {
        Some(distance) => distance.build()?,
        None => dml::defaults::cosine(),
    };
    let vars = SeededVars::new(0).builder(case.precision, &case.device);
    let loss = SubCenterArcFaceLoss::new(arguments.clone(), distance, vars)?;
    let mut inputs = Inputs::default();
    inputs.parameters(case, &loss)?;
    let batch = batch(case, &mut inputs)?;
    let threshold = case.meta("threshold").context("no threshold")?;
    let outliers = loss.outliers(&batch, threshold.parse()?)?;
    Ok(Answer::from([
        ("out.outliers", Tensor::new(outliers.rows, &Device::Cpu)?),
        ("out.dominant_centers", outliers.dominant_centers),
    ]))
}

/// The labels of a batch; the meta classes of a loss that takes these instead.
fn labels(case: &Case) -> anyhow::Result<Option<Tensor>> {
    match (case.tensor("in.labels")?, case.tensor("in.meta_classes")?) {
        (Some(_), Some(_)) => Err(dml::Error::unsupported(
            "Batch",
            "a row has one label: its class or its meta class",
        )
        .into()),
        (labels, meta_classes) => Ok(labels.or(meta_classes)),
    }
}
