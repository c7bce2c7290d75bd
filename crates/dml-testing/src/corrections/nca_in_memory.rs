//! `NCALoss` within `CrossBatchMemory`: a row's own copy in the memory is no neighbour of the row.
//!
//! ```text
//! q_i = Σ_{j: y_j = y_i} e^{−s d_ij} / Σ_j e^{−s d_ij}   over the filled part of the memory but the copy of i
//! d_ij: squared distance of the normalised rows; the loss is the mean of −ln q_i over rows with a positive
//! ```

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::Correction;
use super::rows::{cosine, ensure_mean_reducer, gradient, number, rows};
use crate::case::Case;

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    let loss = &config["loss"];
    ensure_mean_reducer(case, &loss["reducer"])?;
    let (distance, miner) = (&loss["distance"], &config["miner"]);
    let is_default = distance["name"] == "LpDistance"
        && distance["p"] == 2
        && distance["power"] == 2
        && distance["normalize_embeddings"] == true;
    ensure!(
        is_default && miner.is_null() && loss["embedding_regularizer"].is_null(),
        "{}: expected the default distance, no miner and no regularizer",
        case.path
    );
    let scale = loss["softmax_scale"].as_f64().context("no softmax_scale")?;
    let size = config["memory_size"].as_u64().context("no memory_size")? as usize;
    let steps: usize = case.meta("steps").context("no steps")?.parse()?;

    let mut memory: Vec<Option<(Vec<f64>, i64)>> = vec![None; size];
    let (mut next, mut values) = (0, BTreeMap::new());
    for step in 0..steps {
        let x = rows(case, &format!("in.embeddings.{step}"))?;
        let labels = case.whole(&format!("in.labels.{step}"))?;
        ensure!(x.len() <= size, "a batch larger than the memory");
        let own: Vec<usize> = (0..x.len()).map(|i| (next + i) % size).collect();
        for (i, place) in own.iter().enumerate() {
            memory[*place] = Some((x[i].clone(), labels[i]));
        }
        next = (next + x.len()) % size;
        let of_row = |i: usize, row: &[f64]| {
            let (mut near, mut all) = (0.0, 0.0);
            for (place, filled) in memory.iter().enumerate() {
                let Some((other, label)) = filled.as_ref().filter(|_| place != own[i]) else {
                    continue;
                };
                let weight = (-scale * (2.0 - 2.0 * cosine(row, other))).exp();
                all += weight;
                near += if *label == labels[i] { weight } else { 0.0 };
            }
            (near > 0.0).then(|| -(near / all).ln())
        };
        let loss = |x: &[Vec<f64>]| {
            let rows: Vec<f64> = (0..x.len()).filter_map(|i| of_row(i, &x[i])).collect();
            rows.iter().sum::<f64>() / rows.len().max(1) as f64
        };
        values.insert(format!("out.loss.{step}"), number(loss(&x))?);
        values.insert(format!("grad.embeddings.{step}"), gradient(&x, loss)?);
    }
    Ok(Correction::Values(values))
}
