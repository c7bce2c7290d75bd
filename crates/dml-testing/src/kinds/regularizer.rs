//! Regularizers, on embeddings.

use dml::config::RegularizerConfig;

use crate::Case;
use crate::answer::Answer;
use crate::inputs::Inputs;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: RegularizerConfig = dml::config::from_value(case.config()?)?;
    let regularizer = config.build()?;
    let mut inputs = Inputs::default();
    let rows = inputs.required(case, "embeddings")?;
    let penalty = regularizer.penalty(&rows)?;
    let mut answer = Answer::from([("out.loss", penalty.clone())]);
    answer.put_gradients(&inputs, &penalty.backward()?)?;
    Ok(answer)
}
