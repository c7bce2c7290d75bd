//! Metrics of the ranking of all other rows by squared distance, by their definitions, for labels of 64 bits.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::Correction;
use super::rows::{number, rows, squared_distance};
use crate::case::Case;

pub(super) fn correction(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure!(
        config["k"].is_null() && case.get("in.ref_emb").is_none(),
        "{}: expected no k and no reference set",
        case.path
    );
    let labels = case.whole("in.labels")?;
    let x = rows(case, "in.embeddings")?;
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    let mut queries = 0;
    for query in 0..x.len() {
        let mut others: Vec<usize> = (0..x.len()).filter(|row| *row != query).collect();
        let far = |row: &usize| squared_distance(&x[query], &x[*row]);
        others.sort_by(|a, b| far(a).total_cmp(&far(b)));
        let hits: Vec<bool> = others
            .iter()
            .map(|row| labels[*row] == labels[query])
            .collect();
        let relevant = hits.iter().filter(|hit| **hit).count();
        if relevant == 0 {
            continue;
        }
        queries += 1;
        let among = |k: usize| hits[..k].iter().filter(|hit| **hit).count() as f64;
        let average = |k: usize| {
            let ranks = (1..=k).filter(|rank| hits[rank - 1]);
            ranks.map(|rank| among(rank) / rank as f64).sum::<f64>() / relevant as f64
        };
        let first = hits.iter().position(|hit| *hit);
        for (metric, value) in [
            ("precision_at_1", among(1)),
            ("r_precision", among(relevant) / relevant as f64),
            ("mean_average_precision", average(hits.len())),
            ("mean_average_precision_at_r", average(relevant)),
            (
                "mean_reciprocal_rank",
                first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            ),
        ] {
            *sums.entry(metric).or_default() += value;
        }
    }
    ensure!(queries > 0, "{}: no query has a match", case.path);
    let mean = |(metric, sum): (&str, f64)| -> anyhow::Result<_> {
        Ok((format!("out.{metric}"), number(sum / f64::from(queries))?))
    };
    let means: anyhow::Result<_> = sums.into_iter().map(mean).collect();
    Ok(Correction::Values(means?))
}
