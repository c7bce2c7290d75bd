//! Losses that remember: several calls of one object, each with its value and gradients.

use std::sync::Arc;

use anyhow::Context;
use dml::candle_core::DType;
use dml::config::{LossConfig, LossKind};
use dml::losses::{CrossBatchMemory, SeededVars};
use dml::{Loss, Reducer, defaults};

use crate::Case;
use crate::answer::Answer;
use crate::inputs::{Inputs, batch, tuples};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: LossConfig = dml::config::from_value(case.config()?)?;
    let mut answer = Answer::default();
    let memory: Option<Arc<CrossBatchMemory>> = match &config.loss {
        LossKind::CrossBatchMemory(config) => {
            let vars = SeededVars::new(0).builder(DType::F32, &case.device);
            Some(Arc::new(config.build_memory(&vars)?))
        }
        _ => None,
    };
    let loss: Arc<dyn Loss> = match &memory {
        Some(memory) => memory.clone(),
        None => super::objective::build(case, &config)?.loss().clone(),
    };
    // A case of a call that must fail has one step and does not say so.
    let steps = case.meta("steps").map_or(Ok(1), str::parse::<usize>)?;
    for step in 0..steps {
        let call = case.step(step);
        let mut inputs = Inputs::default();
        inputs.parameters(&call, &*loss)?;
        let batch = batch(&call, &mut inputs)?;
        let tuples = tuples(&call)?;
        let terms = match call.get("in.enqueue_mask") {
            None => loss.terms(&batch, &tuples)?,
            Some(_) => {
                if !tuples.is_all() {
                    return Err(dml::Error::unsupported(
                        "CrossBatchMemory::terms_with_mask",
                        "it takes no tuples",
                    )
                    .into());
                }
                let memory = memory.as_ref().context("only a memory takes a mask")?;
                let mask = call.whole("in.enqueue_mask")?;
                let mask: Vec<bool> = mask.iter().map(|x| *x != 0).collect();
                memory.terms_with_mask(&batch, &mask)?
            }
        };
        let value = defaults::mean().reduce(&terms, &batch)?.loss;
        let mut part = Answer::from([("out.loss", value.clone())]);
        part.put_gradients(&inputs, &value.backward()?)?;
        if memory.is_none() {
            part.put_state(&*loss)?;
        }
        answer.put_step(step, part);
    }
    answer.put_state(&*loss)?;
    if case.has_correction() {
        // Such a file corrects losses and gradients, and keeps the reference's wrong flag.
        answer.accept(case, "out.has_been_filled");
    }
    Ok(answer)
}
