//! A miner and a loss, one after the other.

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use dml::config::{LossConfig, MinerConfig};
use dml::{Miner, TupleCount};

use crate::Case;
use crate::answer::Answer;
use crate::inputs::{Inputs, batch};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config = case.config()?;
    let part = |name: &str| {
        config
            .get(name)
            .cloned()
            .with_context(|| format!("no {name}"))
    };
    let miner: MinerConfig = dml::config::from_value(part("miner")?)?;
    let loss: LossConfig = dml::config::from_value(part("loss")?)?;
    let mut inputs = Inputs::default();
    let batch = batch(case, &mut inputs)?;
    let tuples = miner.build()?.mine(&batch.detach())?;
    let count = match tuples.count(&batch)? {
        TupleCount::Triplets(n) => vec![n as i64],
        TupleCount::Pairs { positive, negative } => vec![positive as i64, negative as i64],
    };
    let mut answer = Answer::from([("out.num_tuples", Tensor::new(count, &Device::Cpu)?)]);
    let objective = super::objective::build(case, &loss)?;
    inputs.parameters(case, objective.loss())?;
    let loss = super::objective::evaluate(&objective, &batch, &tuples, &mut answer)?;
    answer.put_gradients(&inputs, &loss.backward()?)?;
    Ok(answer)
}
