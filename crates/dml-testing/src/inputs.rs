//! The inputs of a case: tensors with gradients, the batch and the tuples.

use anyhow::{Context, ensure};
use dml::candle_core::{Tensor, Var};
use dml::{Batch, Loss, Pairs, Triplets, Tuples};

use crate::case::Case;

/// The inputs of a case whose gradients are compared, by name.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    vars: Vec<(String, Var)>,
}

impl Inputs {
    /// The input `in.NAME` as a variable; `None` if the case has none.
    pub(crate) fn optional(&mut self, case: &Case, name: &str) -> anyhow::Result<Option<Var>> {
        let var = case.var(&format!("in.{name}"))?;
        if let Some(var) = &var {
            self.vars.push((name.to_owned(), var.clone()));
        }
        Ok(var)
    }

    /// What a loss learns, set to the `param.NAME` of the case.
    pub(crate) fn parameters(&mut self, case: &Case, loss: &dyn Loss) -> anyhow::Result<()> {
        let parameters = loss.parameters();
        for (name, var) in &parameters {
            let name = format!("param.{name}");
            if let Some(value) = case.tensor(&name)? {
                var.set(&value.to_dtype(var.dtype())?)?;
                self.vars.push((name, var.clone()));
            }
        }
        for name in case.tensors().keys() {
            if let Some(name) = name.strip_prefix("param.") {
                ensure!(
                    parameters.iter().any(|(known, _)| known == name),
                    "{}: the loss learns no {name}",
                    case.path
                );
            }
        }
        Ok(())
    }

    /// The input `in.NAME` as a variable.
    pub(crate) fn required(&mut self, case: &Case, name: &str) -> anyhow::Result<Var> {
        self.optional(case, name)?
            .with_context(|| format!("{}: no in.{name}", case.path))
    }

    /// Name and variable of each input, in the order of reading.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().map(|(name, var)| (name.as_str(), var))
    }
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

/// The tuples of a case; all of them if it has none.
pub(crate) fn tuples(case: &Case) -> anyhow::Result<Tuples> {
    let name = |column: &str| format!("in.tuples.{column}");
    let has = |columns: &[&str]| {
        columns
            .iter()
            .all(|column| case.get(&name(column)).is_some())
    };
    let rows = |column: &str| case.row_numbers(&name(column));
    Ok(if has(&["a", "p", "n"]) {
        Triplets::new(rows("a")?, rows("p")?, rows("n")?)?.into()
    } else if has(&["a1", "p", "a2", "n"]) {
        Pairs::new(rows("a1")?, rows("p")?, rows("a2")?, rows("n")?)?.into()
    } else {
        Tuples::all()
    })
}
