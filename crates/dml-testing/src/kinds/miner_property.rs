//! Random miners: how many tuples they choose, among which, and how often each.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, bail, ensure};
use dml::candle_core::{Device, Tensor};
use dml::config::{MinerConfig, MinerKind};
use dml::{Batch, Miner};

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::ensure_plausible;
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
    let pairs = anchors.iter().zip(others);
    Ok(pairs.map(|(anchor, other)| (*anchor, *other)).collect())
}

/// The pairs that a case lists under a name.
fn listed(case: &Case, name: &str) -> anyhow::Result<Vec<(u32, u32)>> {
    let rows = case.row_numbers(name)?;
    let pairs = rows.chunks_exact(2);
    Ok(pairs.map(|pair| (pair[0], pair[1])).collect())
}

/// So many pairs of each bin, all pairs of a bin alike.
fn uniform_histogram(case: &Case, miner: &dyn Miner, batch: &Batch) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    for name in ["pos", "neg"] {
        let allowed = listed(case, &format!("out.{name}.allowed"))?;
        let bins = case.row_numbers(&format!("out.{name}.bin"))?;
        let bins = bins.into_iter().map(|bin| bin as usize);
        let bin_of: HashMap<(u32, u32), usize> = allowed.into_iter().zip(bins).collect();
        let want = case.whole(&format!("out.{name}.count"))?;
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
            let is_as_asked = counts == want;
            ensure!(
                is_as_asked,
                "{name}: expected {want:?} pairs a bin, got {counts:?}"
            );
        }
        for (pair, bin) in &bin_of {
            let peers = bin_of.values().filter(|other| *other == bin).count();
            let got = seen.get(pair).copied().unwrap_or(0);
            let draws = ROUNDS as u64 * want[*bin] as u64;
            let what = format_args!("{name}: {pair:?}");
            ensure_plausible(what, got, draws, 1.0 / peers as f64)?;
        }
        for what in ["allowed", "bin", "count"] {
            answer.accept(case, &format!("out.{name}.{what}"));
        }
    }
    Ok(answer)
}

/// So many triplets of each anchor; positives alike, negatives by weight.
fn distance_weighted(case: &Case, miner: &dyn Miner, batch: &Batch) -> anyhow::Result<Answer> {
    let want = case.whole("out.count")?;
    let weights = case.real("out.weights")?;
    let references = batch.references();
    let relation = batch.require_relation("DistanceWeightedMiner")?;
    let (mut positives, mut negatives): (HashMap<_, u64>, HashMap<_, u64>) = Default::default();
    for _ in 0..ROUNDS {
        let triplets = miner.mine(batch)?.triplets(batch)?;
        let mut counts = vec![0i64; want.len()];
        for (a, p, n) in triplets.iter() {
            counts[a as usize] += 1;
            *positives.entry((a, p)).or_default() += 1;
            *negatives.entry((a, n)).or_default() += 1;
        }
        let is_as_asked = counts == want;
        ensure!(
            is_as_asked,
            "expected {want:?} triplets an anchor, got {counts:?}"
        );
    }
    for (a, count) in want.iter().enumerate().filter(|(_, count)| **count > 0) {
        let draws = ROUNDS as u64 * *count as u64;
        let (mut same, mut others) = (Vec::new(), Vec::new());
        relation.split(a, &mut same, &mut others);
        let drawn = positives.keys().filter(|(b, _)| *b as usize == a);
        for (_, p) in drawn {
            ensure!(same.contains(p), "anchor {a}: {p} is no positive");
        }
        for p in &same {
            let got = positives.get(&(a as u32, *p)).copied().unwrap_or(0);
            let what = format_args!("anchor {a}: positive {p}");
            ensure_plausible(what, got, draws, 1.0 / same.len() as f64)?;
        }
        for n in 0..references {
            let got = negatives.get(&(a as u32, n as u32)).copied().unwrap_or(0);
            let share = weights[a * references + n];
            let can_be_drawn = share > 0.0 || got == 0;
            ensure!(can_be_drawn, "anchor {a}: negative {n} has no weight");
            let what = format_args!("anchor {a}: negative {n}");
            ensure_plausible(what, got, draws, share)?;
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
        let allowed = listed(case, &format!("out.{name}.allowed"))?;
        let is_allowed = distinct.is_subset(&allowed.into_iter().collect());
        ensure!(is_allowed, "{name}: a pair that is not allowed");
        let required = listed(case, &format!("out.{name}.required"))?;
        if let Some(pair) = required.iter().find(|pair| !distinct.contains(pair)) {
            bail!("{name}: {pair:?} is missing");
        }
        let count = Tensor::new(chosen.len() as i64, &Device::Cpu)?;
        answer.put(format!("out.{name}.count"), count);
        answer.accept(case, &format!("out.{name}.allowed"));
        answer.accept(case, &format!("out.{name}.required"));
    }
    Ok(answer)
}
