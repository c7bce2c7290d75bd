//! `SmoothAPLoss` by its definition, for labels of any sign.
//!
//! ```text
//! G_i: the rows of the label of i, and rank(j, S) = 1 + Σ_{k ∈ S, k ≠ j} σ((s_ik − s_ij) / t)
//! mean over i of 1 − mean over j ∈ G_i of rank(j, G_i) / rank(j, all rows)
//! ```

use std::collections::BTreeMap;

use anyhow::Context;

use super::Correction;
use super::rows::{Rows, cosine, ensure_mean_reducer};
use crate::case::{Array, Case};

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure_mean_reducer(case, &config["reducer"])?;
    let temperature = config["temperature"].as_f64().unwrap_or(0.01);
    let labels = case.whole("in.labels")?.context("no labels")?;
    let x = Rows::of(case, "in.embeddings")?;
    let rows = x.len();
    let loss = |x: &Rows| {
        let precision = |i: usize| {
            let similarity = |k: usize| cosine(x.row(i), x.row(k));
            let group = || (0..rows).filter(|k| labels[*k] == labels[i]);
            let rank = |j: usize, others: &mut dyn Iterator<Item = usize>| {
                let above = |k| 1.0 / (1.0 + ((similarity(j) - similarity(k)) / temperature).exp());
                1.0 + others.filter(|k| *k != j).map(above).sum::<f64>()
            };
            let ratios = group().map(|j| rank(j, &mut group()) / rank(j, &mut (0..rows)));
            ratios.sum::<f64>() / group().count() as f64
        };
        (0..rows).map(|i| 1.0 - precision(i)).sum::<f64>() / rows as f64
    };
    Ok(Correction::Values(BTreeMap::from([
        ("out.loss".to_owned(), Array::number(loss(&x))),
        ("grad.embeddings".to_owned(), x.gradient(loss)),
    ])))
}
