//! Miners: the tuples that they choose, sorted.

use anyhow::Context;
use dml::config::{MinerConfig, MinerKind};
use dml::miners::HDCMiner;
use dml::{Batch, Miner, Pairs, Triplets, TupleCount, Tuples};

use crate::Case;
use crate::answer::Answer;
use crate::case::Array;
use crate::inputs::{Inputs, batch, tuples};
use crate::unsupported::unsupported;

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let config: MinerConfig = dml::config::from_value(case.config()?)?;
    // Before the inputs are read: a case that is about the arguments has none.
    let miner = config.build()?;
    let batch = batch(case, &mut Inputs::default())?;
    let mut answer = Answer::default();
    match (case.op(), &config.miner) {
        ("mine", _) => put_tuples(&miner.mine(&batch)?, &batch, "", &mut answer)?,
        ("mine_external", MinerKind::HDCMiner(own)) => {
            let miner = HDCMiner::new(own.clone(), config.build_distance()?)?;
            miner.set_tuples(tuples(case)?);
            let calls = case.json("calls")?.as_u64().context("no calls")?;
            for call in 0..calls {
                put_tuples(
                    &miner.mine(&batch)?,
                    &batch,
                    &format!(".{call}"),
                    &mut answer,
                )?;
            }
            miner.reset_tuples();
            put_tuples(&miner.mine(&batch)?, &batch, ".after_reset", &mut answer)?;
        }
        (op, _) => return Err(unsupported(format!("miner op {op}"))),
    }
    Ok(answer)
}

/// Puts the tuples as `out.a` … with `suffix`: triplets by (a, p, n), pairs by (anchor, other).
fn put_tuples(
    tuples: &Tuples,
    batch: &Batch,
    suffix: &str,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    let columns = match tuples.count(batch)? {
        TupleCount::Triplets(_) => sorted_triplets(&*tuples.triplets(batch)?),
        TupleCount::Pairs { .. } => sorted_pairs(&*tuples.pairs(batch)?),
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
