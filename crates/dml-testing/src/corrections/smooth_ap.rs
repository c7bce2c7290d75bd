//! `SmoothAPLoss` by its definition, for labels of any sign.
//!
//! ```text
//! G_i: the rows of the label of i, and rank(j, S) = 1 + Σ_{k ∈ S, k ≠ j} σ((s_ik − s_ij) / t)
//! mean over i of 1 − mean over j ∈ G_i of rank(j, G_i) / rank(j, all rows)
//! ```

use super::Correction;
use super::rows::{cosine, ensure_mean_reducer, gradient, number, rows};
use crate::case::Case;

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure_mean_reducer(case, &config["reducer"])?;
    let temperature = config["temperature"].as_f64().unwrap_or(0.01);
    let labels = case.whole("in.labels")?;
    let x = rows(case, "in.embeddings")?;
    let n = x.len();
    let loss = |x: &[Vec<f64>]| {
        let precision = |i: usize| {
            let similarity = |k: usize| cosine(&x[i], &x[k]);
            let group = || (0..n).filter(|k| labels[*k] == labels[i]);
            let rank = |j: usize, others: &mut dyn Iterator<Item = usize>| {
                let above = |k| 1.0 / (1.0 + ((similarity(j) - similarity(k)) / temperature).exp());
                1.0 + others.filter(|k| *k != j).map(above).sum::<f64>()
            };
            let ratios = group().map(|j| rank(j, &mut group()) / rank(j, &mut (0..n)));
            ratios.sum::<f64>() / group().count() as f64
        };
        (0..n).map(|i| 1.0 - precision(i)).sum::<f64>() / n as f64
    };
    Ok(Correction::values([
        ("out.loss", number(loss(&x))?),
        ("grad.embeddings", gradient(&x, loss)?),
    ]))
}
