//! Reducers, on terms as they stand in the case.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use dml::candle_core::{Device, Tensor};
use dml::config::ReducerConfig;
use dml::{Indices, Over, Term, Terms, Triplets};

use crate::Case;
use crate::answer::Answer;
use crate::inputs::{Inputs, batch};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: ReducerConfig = dml::config::from_value(case.config()?)?;
    let reducer = config.build()?;
    let mut inputs = Inputs::default();
    let batch = batch(case, &mut inputs)?;
    let kinds: BTreeMap<String, String> = serde_json::from_value(case.json("reduction_types")?)?;
    let mut terms = Terms::default();
    for (name, kind) in &kinds {
        terms.push(term(case, &mut inputs, name, kind)?);
    }
    let mut answer = Answer::default();
    let loss = if matches!(config, ReducerConfig::DoNothingReducer(_)) {
        put_terms(&terms, &batch.zero()?, &mut answer)?
    } else {
        let reduced = reducer.reduce(&terms, &batch)?;
        answer.put("out.loss", reduced.loss.clone());
        reduced.loss
    };
    answer.put_gradients(&inputs, &loss.backward()?)?;
    Ok(answer)
}

/// Writes terms out unreduced, and returns the sum of all their values.
pub(super) fn put_terms(
    terms: &Terms,
    zero: &Tensor,
    answer: &mut Answer,
) -> anyhow::Result<Tensor> {
    let mut sum = zero.clone();
    for term in terms.iter() {
        let name = term.name();
        if term.is_empty() {
            answer.put(format!("out.sub.{name}"), Tensor::new(0.0, &Device::Cpu)?);
            continue;
        }
        let (values, indices) = term.values()?;
        answer.put(format!("out.sub.{name}"), values.flatten_all()?);
        let columns: Vec<&[u32]> = match &indices {
            Indices::Elements(rows) => vec![rows],
            Indices::Pairs { anchors, others } => vec![anchors, others],
            Indices::Triplets(t) => vec![&t.anchors, &t.positives, &t.negatives],
            _ => vec![],
        };
        for (i, column) in columns.into_iter().enumerate() {
            let column = Tensor::new(column, &Device::Cpu)?;
            answer.put(format!("out.sub.{name}.indices.{i}"), column);
        }
        sum = (sum + values.sum_all()?)?;
    }
    Ok(sum)
}

fn term(case: &Case, inputs: &mut Inputs, name: &str, kind: &str) -> anyhow::Result<Term> {
    // Terms are named by the code of a loss; here the name comes from a file that is read once.
    let label: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let Some(values) = inputs.optional(case, &format!("{name}.losses"))? else {
        return Ok(Term::empty(label));
    };
    let values = values.as_tensor().clone();
    let column = |i: usize| case.row_numbers(&format!("in.{name}.indices.{i}"));
    let pairs = || -> anyhow::Result<Indices> {
        Ok(Indices::Pairs {
            anchors: column(0)?,
            others: column(1)?,
        })
    };
    let term = match kind {
        "already_reduced" => Term::scalar(label, values)?,
        "element" => Term::explicit(label, Over::Elements, values, Indices::Elements(column(0)?))?,
        "pos_pair" => Term::explicit(label, Over::PositivePairs, values, pairs()?)?,
        "neg_pair" => Term::explicit(label, Over::NegativePairs, values, pairs()?)?,
        "triplet" => {
            let triplets = Arc::new(Triplets::new(column(0)?, column(1)?, column(2)?)?);
            Term::explicit(label, Over::Triplets, values, Indices::Triplets(triplets))?
        }
        other => bail!("{}: unknown reduction type {other}", case.path),
    };
    let divisor = format!("in.{name}.divisor");
    Ok(match case.get(&divisor) {
        Some(_) => term.with_divisor(case.real(&divisor)?[0]),
        None => term,
    })
}
