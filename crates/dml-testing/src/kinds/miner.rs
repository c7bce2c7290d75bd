//! Miners: the tuples that they choose, sorted.

use dml::config::MinerConfig;
use dml::{Batch, Miner, Pairs, Triplets, Tuples};

use super::unsupported;
use crate::Case;
use crate::answer::{Answer, Inputs};
use crate::case::Array;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: MinerConfig = dml::config::from_value(case.config()?)?;
    let miner = config.build()?;
    let batch = super::batch(case, &mut Inputs::default())?;
    let mut answer = Answer::default();
    match case.op() {
        "mine" => put_tuples(&miner.mine(&batch)?, &batch, "", &mut answer)?,
        other => return Err(unsupported(format!("miner op {other}"))),
    }
    Ok(answer)
}

pub(super) fn check_property(case: &Case) -> anyhow::Result<Answer> {
    Err(unsupported(format!("no runner for {}", case.path)))
}

/// Puts the tuples as `out.a` … with `suffix`: triplets by (a, p, n), pairs by (anchor, other).
fn put_tuples(
    tuples: &Tuples,
    batch: &Batch,
    suffix: &str,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    let columns = match tuples {
        Tuples::Triplets(_) | Tuples::Ranges(_) => sorted_triplets(&*tuples.triplets(batch)?),
        _ => sorted_pairs(&*tuples.pairs(batch)?),
    };
    for (name, column) in columns {
        answer.put(format!("out.{name}{suffix}"), Array::rows(&column));
    }
    Ok(())
}

pub(super) fn triplet_columns(t: &Triplets) -> Vec<(&'static str, Vec<u32>)> {
    vec![
        ("a", t.anchors.clone()),
        ("p", t.positives.clone()),
        ("n", t.negatives.clone()),
    ]
}

pub(super) fn sorted_triplets(t: &Triplets) -> Vec<(&'static str, Vec<u32>)> {
    let mut rows: Vec<_> = (0..t.len())
        .map(|i| (t.anchors[i], t.positives[i], t.negatives[i]))
        .collect();
    rows.sort_unstable();
    vec![
        ("a", rows.iter().map(|r| r.0).collect()),
        ("p", rows.iter().map(|r| r.1).collect()),
        ("n", rows.iter().map(|r| r.2).collect()),
    ]
}

pub(super) fn pair_columns(pairs: &Pairs) -> Vec<(&'static str, Vec<u32>)> {
    vec![
        ("a1", pairs.positive_anchors.clone()),
        ("p", pairs.positives.clone()),
        ("a2", pairs.negative_anchors.clone()),
        ("n", pairs.negatives.clone()),
    ]
}

pub(super) fn sorted_pairs(pairs: &Pairs) -> Vec<(&'static str, Vec<u32>)> {
    let sorted = |anchors: &[u32], others: &[u32]| {
        let mut rows: Vec<_> = anchors
            .iter()
            .copied()
            .zip(others.iter().copied())
            .collect();
        rows.sort_unstable();
        rows.into_iter().unzip()
    };
    let (a1, p) = sorted(&pairs.positive_anchors, &pairs.positives);
    let (a2, n) = sorted(&pairs.negative_anchors, &pairs.negatives);
    vec![("a1", a1), ("p", p), ("a2", a2), ("n", n)]
}
