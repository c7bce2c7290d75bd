//! Random miners: how many tuples they choose, among which, and how often each.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, bail, ensure};
use dml::config::{MinerConfig, MinerKind};
use dml::{Batch, Miner};

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::is_plausible;
use crate::case::{Array, Data};
use crate::inputs::{Inputs, batch};
use crate::unsupported::unsupported;

/// Calls whose choices are counted together.
const ROUNDS: usize = 300;

pub(super) fn check(case: &Case) -> anyhow::Result<Answer> {
    let config: MinerConfig = dml::config::from_value(case.config()?)?;
    let miner = config.build()?;
    let batch = batch(case, &mut Inputs::default())?;
    match &config.miner {
        MinerKind::UniformHistogramMiner(_) => uniform_histogram(case, &*miner, &batch),
        MinerKind::DistanceWeightedMiner(_) => distance_weighted(case, &*miner, &batch),
        MinerKind::HDCMiner(_) => hardest_with_ties(case, &*miner, &batch),
        other => Err(unsupported(format!("no runner for {}", other.name()))),
    }
}

/// The pairs of a side, in the order of the miner.
fn side(miner: &dyn Miner, batch: &Batch, name: &str) -> anyhow::Result<Vec<(u32, u32)>> {
    let pairs = miner.mine(batch)?.pairs(batch)?;
    let (anchors, others) = match name {
        "pos" => (&pairs.positive_anchors, &pairs.positives),
        _ => (&pairs.negative_anchors, &pairs.negatives),
    };
    Ok(anchors
        .iter()
        .copied()
        .zip(others.iter().copied())
        .collect())
}

/// The pairs that a case lists under a name.
fn listed(case: &Case, name: &str) -> anyhow::Result<Vec<(u32, u32)>> {
    let rows = case
        .row_numbers(name)?
        .with_context(|| format!("no {name}"))?;
    Ok(rows
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect())
}

/// So many pairs of each bin, all pairs of a bin alike.
fn uniform_histogram(case: &Case, miner: &dyn Miner, batch: &Batch) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    for name in ["pos", "neg"] {
        let allowed = listed(case, &format!("out.{name}.allowed"))?;
        let bins = case.whole(&format!("out.{name}.bin"))?.context("no bins")?;
        let bin_of: HashMap<(u32, u32), usize> = allowed
            .iter()
            .copied()
            .zip(bins.iter().map(|bin| *bin as usize))
            .collect();
        let want = case
            .whole(&format!("out.{name}.count"))?
            .context("no counts")?;
        let mut seen: HashMap<(u32, u32), u64> = HashMap::new();
        for _ in 0..ROUNDS {
            let mut counts = vec![0i64; want.len()];
            for pair in side(miner, batch, name)? {
                let bin = *bin_of
                    .get(&pair)
                    .with_context(|| format!("{name}: {pair:?} is not allowed"))?;
                counts[bin] += 1;
                *seen.entry(pair).or_default() += 1;
            }
            ensure!(
                counts == want,
                "{name}: expected {want:?} pairs a bin, got {counts:?}"
            );
        }
        for (pair, bin) in &bin_of {
            let peers = bin_of.values().filter(|other| *other == bin).count();
            let (got, draws) = (
                seen.get(pair).copied().unwrap_or(0),
                ROUNDS as u64 * want[*bin] as u64,
            );
            ensure!(
                is_plausible(got, draws, 1.0 / peers as f64),
                "{name}: {pair:?} was drawn {got} times of {draws}"
            );
        }
        for what in ["allowed", "bin", "count"] {
            answer.accept(case, &format!("out.{name}.{what}"));
        }
    }
    Ok(answer)
}

/// So many triplets of each anchor; positives alike, negatives by weight.
fn distance_weighted(case: &Case, miner: &dyn Miner, batch: &Batch) -> anyhow::Result<Answer> {
    let want = case.whole("out.count")?.context("no out.count")?;
    let weights = case.get("out.weights").context("no out.weights")?.to_real();
    let references = batch.references();
    let relation = batch.require_relation("DistanceWeightedMiner")?;
    let (mut positives, mut negatives): (HashMap<_, u64>, HashMap<_, u64>) = Default::default();
    for _ in 0..ROUNDS {
        let triplets = miner.mine(batch)?.triplets(batch)?;
        let mut counts = vec![0i64; want.len()];
        for i in 0..triplets.len() {
            let (a, p, n) = (
                triplets.anchors[i],
                triplets.positives[i],
                triplets.negatives[i],
            );
            counts[a as usize] += 1;
            *positives.entry((a, p)).or_default() += 1;
            *negatives.entry((a, n)).or_default() += 1;
        }
        ensure!(
            counts == want,
            "expected {want:?} triplets an anchor, got {counts:?}"
        );
    }
    for (a, count) in want.iter().enumerate().filter(|(_, count)| **count > 0) {
        let draws = ROUNDS as u64 * *count as u64;
        let (mut same, mut others) = (Vec::new(), Vec::new());
        relation.split(a, &mut same, &mut others);
        let drawn: HashSet<u32> = positives
            .keys()
            .filter(|(b, _)| *b as usize == a)
            .map(|(_, p)| *p)
            .collect();
        ensure!(
            drawn.iter().all(|p| same.contains(p)),
            "anchor {a}: {drawn:?} are not all positives"
        );
        for p in &same {
            let got = positives.get(&(a as u32, *p)).copied().unwrap_or(0);
            ensure!(
                is_plausible(got, draws, 1.0 / same.len() as f64),
                "anchor {a}: positive {p} was drawn {got} times of {draws}"
            );
        }
        for n in 0..references {
            let got = negatives.get(&(a as u32, n as u32)).copied().unwrap_or(0);
            let share = weights[a * references + n];
            ensure!(
                share > 0.0 || got == 0,
                "anchor {a}: negative {n} has no weight"
            );
            ensure!(
                is_plausible(got, draws, share),
                "anchor {a}: negative {n} was drawn {got} times of {draws}, share {share}"
            );
        }
    }
    let mut answer = Answer::default();
    answer.accept(case, "out.count");
    answer.accept(case, "out.weights");
    Ok(answer)
}

/// So many pairs, none twice, all that must be in and only those that may.
fn hardest_with_ties(case: &Case, miner: &dyn Miner, batch: &Batch) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    for name in ["pos", "neg"] {
        let chosen = side(miner, batch, name)?;
        let distinct: HashSet<_> = chosen.iter().copied().collect();
        ensure!(distinct.len() == chosen.len(), "{name}: a pair comes twice");
        let allowed: HashSet<_> = listed(case, &format!("out.{name}.allowed"))?
            .into_iter()
            .collect();
        let required = listed(case, &format!("out.{name}.required"))?;
        ensure!(
            distinct.is_subset(&allowed),
            "{name}: a pair that is not allowed"
        );
        if let Some(pair) = required.iter().find(|pair| !distinct.contains(pair)) {
            bail!("{name}: {pair:?} is missing");
        }
        let count = Array {
            shape: vec![1],
            data: Data::Whole(vec![chosen.len() as i64]),
        };
        answer.put(format!("out.{name}.count"), count);
        answer.accept(case, &format!("out.{name}.allowed"));
        answer.accept(case, &format!("out.{name}.required"));
    }
    Ok(answer)
}
