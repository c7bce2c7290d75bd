//! Miners: the tuples that they choose, sorted.

use anyhow::Context;
use dml::candle_core::{Device, Tensor};
use dml::config::{MinerConfig, MinerKind};
use dml::miners::HDCMiner;
use dml::{Batch, Miner, Pairs, Triplets, TupleCount, Tuples};

use crate::Case;
use crate::answer::Answer;
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
                let suffix = format!(".{call}");
                put_tuples(&miner.mine(&batch)?, &batch, &suffix, &mut answer)?;
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
        TupleCount::Triplets(_) => sorted(triplet_columns(&*tuples.triplets(batch)?), 3),
        TupleCount::Pairs { .. } => sorted(pair_columns(&*tuples.pairs(batch)?), 2),
    };
    put_columns(columns, suffix, answer)
}

/// Columns of tuples by their names.
pub(super) type Columns = Vec<(&'static str, Vec<u32>)>;

/// Puts columns as `out.NAME` with `suffix`.
pub(super) fn put_columns(
    columns: Columns,
    suffix: &str,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    for (name, column) in columns {
        let column = Tensor::new(column, &Device::Cpu)?;
        answer.put(format!("out.{name}{suffix}"), column);
    }
    Ok(())
}

pub(super) fn triplet_columns(triplets: &Triplets) -> Columns {
    vec![
        ("a", triplets.anchors.clone()),
        ("p", triplets.positives.clone()),
        ("n", triplets.negatives.clone()),
    ]
}

pub(super) fn pair_columns(pairs: &Pairs) -> Columns {
    vec![
        ("a1", pairs.positive_anchors.clone()),
        ("p", pairs.positives.clone()),
        ("a2", pairs.negative_anchors.clone()),
        ("n", pairs.negatives.clone()),
    ]
}

/// Columns whose rows are sorted, where every `width` columns belong together.
pub(super) fn sorted(mut columns: Columns, width: usize) -> Columns {
    for group in columns.chunks_mut(width) {
        let row = |i: usize| group.iter().map(|(_, column)| column[i]).collect();
        let mut rows: Vec<Vec<u32>> = (0..group[0].1.len()).map(row).collect();
        rows.sort_unstable();
        for (k, (_, column)) in group.iter_mut().enumerate() {
            *column = rows.iter().map(|row| row[k]).collect();
        }
    }
    columns
}
