//! How the weights that a loss learns begin: their shape, and the distribution that they are drawn from.

use anyhow::{Context, bail, ensure};
use dml::config::LossConfig;
use dml::{Loss, candle_core::DType};
use serde_json::Value;

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::is_plausible;
use crate::case::Array;

pub(super) fn check(case: &Case) -> anyhow::Result<Answer> {
    let config: LossConfig = dml::config::from_value(case.config()?)?;
    let objective = config.build()?;
    let name = case.meta("param").context("no param")?;
    let parameters = objective.loss().parameters();
    let (_, var) = parameters
        .iter()
        .find(|(known, _)| known == name)
        .with_context(|| format!("the loss learns no {name}"))?;
    let values: Vec<f64> = var.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
    follows(&values, var.dims(), &case.json("rule")?)?;
    let mut answer = Answer::default();
    let shape = var.dims().iter().map(|length| *length as i64).collect();
    answer.put(format!("out.shape.{name}"), Array::whole(shape));
    Ok(answer)
}

/// Whether values look as if they came from the distribution of a rule.
fn follows(values: &[f64], shape: &[usize], rule: &Value) -> anyhow::Result<()> {
    let number = |key: &str| {
        rule.get(key)
            .and_then(Value::as_f64)
            .with_context(|| format!("no {key} in the rule"))
    };
    match rule.get("dist").and_then(Value::as_str) {
        Some("constant") => {
            let value = number("value")?;
            ensure!(values.iter().all(|x| *x == value), "not all are {value}");
        }
        Some("normal") => {
            // Shares of a normal distribution below −1, 0, 1 and 2 standard deviations.
            let std = number("std")?;
            for (bound, share) in [
                (-1.0, 0.158_66),
                (0.0, 0.5),
                (1.0, 0.841_34),
                (2.0, 0.977_25),
            ] {
                share_below(values, bound * std, share)?;
            }
        }
        Some("uniform") => uniform(values, -number("bound")?, number("bound")?)?,
        Some("uniform_between") => uniform(values, number("a")?, number("b")?)?,
        Some("unit_columns") => {
            let columns = *shape.last().context("no columns")?;
            for column in 0..columns {
                let entries = values.iter().skip(column).step_by(columns);
                let length = entries.map(|x| x * x).sum::<f64>().sqrt();
                ensure!(
                    (length - 1.0).abs() < 1e-5,
                    "column {column} has length {length}"
                );
            }
            share_below(values, 0.0, 0.5)?;
        }
        other => bail!("no check of the distribution {other:?}"),
    }
    Ok(())
}

fn uniform(values: &[f64], low: f64, high: f64) -> anyhow::Result<()> {
    for value in values {
        ensure!(
            (low..=high).contains(value),
            "{value} is not in [{low}, {high}]"
        );
    }
    for share in [0.05, 0.25, 0.5, 0.75, 0.95] {
        share_below(values, low + share * (high - low), share)?;
    }
    Ok(())
}

fn share_below(values: &[f64], bound: f64, share: f64) -> anyhow::Result<()> {
    let got = values.iter().filter(|x| **x < bound).count();
    ensure!(
        is_plausible(got as u64, values.len() as u64, share),
        "{got} of {} are below {bound}, expected a share of {share}",
        values.len()
    );
    Ok(())
}
