//! How the weights that a loss learns begin: their shape, and the distribution that they are drawn from.

use anyhow::{Context, bail, ensure};
use dml::Loss;
use dml::candle_core::{Device, Tensor};
use dml::config::LossConfig;
use serde_json::Value;

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::is_plausible;
use crate::case::elements;

pub(super) fn check(case: &Case) -> anyhow::Result<Answer> {
    let config: LossConfig = dml::config::from_value(case.config()?)?;
    let objective = config.build()?;
    let name = case.meta("param").context("no param")?;
    let parameters = objective.loss().parameters();
    let found = parameters.iter().find(|(known, _)| known == name);
    let (_, var) = found.with_context(|| format!("the loss learns no {name}"))?;
    follows(&elements(var)?, var.dims(), &case.json("rule")?)?;
    let shape: Vec<u32> = var.dims().iter().map(|length| *length as u32).collect();
    let shape = Tensor::new(shape, &Device::Cpu)?;
    Ok(Answer::from([(&*format!("out.shape.{name}"), shape)]))
}

/// Whether values look as if they came from the distribution of a rule.
fn follows(values: &[f64], shape: &[usize], rule: &Value) -> anyhow::Result<()> {
    let number = |key: &str| {
        let value = rule[key].as_f64();
        value.with_context(|| format!("no {key} in the rule"))
    };
    match rule["dist"].as_str() {
        Some("constant") => {
            let value = number("value")?;
            ensure!(values.iter().all(|x| *x == value), "not all are {value}");
        }
        Some("normal") => {
            // Shares of a normal distribution below −1, 0, 1 and 2 standard deviations.
            let std = number("std")?;
            let shares = [0.158_66, 0.5, 0.841_34, 0.977_25];
            for (bound, share) in [-1.0, 0.0, 1.0, 2.0].into_iter().zip(shares) {
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
                let is_one = (length - 1.0).abs() < 1e-5;
                ensure!(is_one, "column {column} has length {length}");
            }
            share_below(values, 0.0, 0.5)?;
        }
        other => bail!("no check of the distribution {other:?}"),
    }
    Ok(())
}

fn uniform(values: &[f64], low: f64, high: f64) -> anyhow::Result<()> {
    if let Some(value) = values.iter().find(|x| !(low..=high).contains(*x)) {
        bail!("{value} is not in [{low}, {high}]");
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
