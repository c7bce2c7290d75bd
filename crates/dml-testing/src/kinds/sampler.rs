//! Samplers: their length, and the rules that every batch keeps.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, ensure};
use dml::candle_core::{Device, Tensor};
use dml::config::{SampledData, SamplerConfig};
use dml::core::check;
use dml::samplers::{HierarchicalSamplerConfig, SamplesPerClass, TuplesToWeightsSampler};
use dml::{IntoLabels, Labels, Sampler};
use serde_json::Value;

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::ensure_plausible;
use crate::unsupported::unsupported;

/// Epochs that are looked at.
const EPOCHS: u64 = 3;

pub(super) fn check_property(case: &Case) -> anyhow::Result<Answer> {
    let mut config = case.config()?;
    if let Value::Object(map) = &mut config {
        // How PML loads the data has no influence on what is drawn.
        map.remove("dataloader_num_workers");
    }
    let config: SamplerConfig = dml::config::from_value(config)?;
    let levels = levels(case)?;
    let embeddings = case.tensor("in.embeddings")?;
    let embed = |rows: &[usize]| {
        let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let all = check::present(embeddings.as_ref(), "the case", "embeddings")?;
        Ok(all.index_select(&Tensor::new(rows, all.device())?, 0)?)
    };
    let data = SampledData {
        levels: &levels,
        embed: Some(&embed),
    };
    if let SamplerConfig::TuplesToWeightsSampler(config) = &config {
        return tuples_to_weights(&config.build(data)?, config.own.subset_size);
    }
    let sampler = config.build_with(data)?;
    match &config {
        SamplerConfig::MPerClassSampler(config) => {
            m_per_class(&*sampler, &levels[0], config.m, config.batch_size)
        }
        SamplerConfig::HierarchicalSampler(config) => {
            hierarchical(case, &*sampler, &levels, config)
        }
        SamplerConfig::FixedSetOfTriplets(_) => fixed_triplets(&*sampler, &levels[0]),
        other => Err(unsupported(format!("no runner for {}", other.name()))),
    }
}

/// Number of rows or batches.
fn length(length: usize) -> anyhow::Result<Tensor> {
    Ok(Tensor::new(length as i64, &Device::Cpu)?)
}

/// The columns of the labels: `[N]` has one, `[N, L]` has L.
fn levels(case: &Case) -> anyhow::Result<Vec<Labels>> {
    let labels = case.tensor("in.labels")?.context("no in.labels")?;
    if labels.rank() == 1 {
        return Ok(vec![labels.into_labels()?]);
    }
    (0..labels.dims()[1])
        .map(|level| Ok(labels.narrow(1, level, 1)?.squeeze(1)?.into_labels()?))
        .collect()
}

/// Refuses an epoch of another number of batches than the sampler says.
fn ensure_batches(sampler: &dyn Sampler, epoch: u64, batches: usize) -> anyhow::Result<()> {
    ensure!(
        batches == sampler.batches(),
        "epoch {epoch}: {batches} batches"
    );
    Ok(())
}

/// Every combination of super classes as often as asked, and of each inner class the rows that are asked for.
fn hierarchical(
    case: &Case,
    sampler: &dyn Sampler,
    levels: &[Labels],
    config: &HierarchicalSamplerConfig,
) -> anyhow::Result<Answer> {
    let inner = levels[config.inner_label].as_slice();
    let outer = levels[config.outer_label].as_slice();
    let mut batches = 0;
    for epoch in 0..EPOCHS {
        let mut combinations: BTreeMap<Vec<i64>, usize> = BTreeMap::new();
        batches = 0;
        for batch in sampler.epoch(epoch) {
            batches += 1;
            let size = batch.len();
            ensure!(size <= config.batch_size, "a batch of {size}");
            let mut per_super: BTreeMap<i64, usize> = BTreeMap::new();
            let mut per_inner: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
            for &row in &batch {
                *per_super.entry(outer[row]).or_default() += 1;
                let class = (outer[row], inner[row]);
                per_inner.entry(class).or_default().push(row);
            }
            let k = config.super_classes_per_batch;
            ensure!(per_super.len() == k, "super classes {per_super:?}");
            let share = config.batch_size / k;
            let fits = per_super.values().all(|rows| *rows <= share);
            ensure!(fits, "more than {share} rows of a super class");
            for ((super_class, class), rows) in &per_inner {
                let is_in = |r: &usize| inner[*r] == *class && outer[*r] == *super_class;
                let size = (0..inner.len()).filter(is_in).count();
                let distinct = rows.iter().collect::<HashSet<_>>().len();
                let fits = match config.samples_per_class {
                    SamplesPerClass::Exactly(n) => rows.len() == n && (distinct == n || size < n),
                    SamplesPerClass::All => distinct == rows.len() && rows.len() <= size,
                };
                ensure!(fits, "class {class}: {rows:?}");
            }
            let combination = per_super.into_keys().collect();
            *combinations.entry(combination).or_default() += 1;
        }
        ensure_batches(sampler, epoch, batches)?;
        let each = config.batches_per_super_tuple;
        let fits = combinations.values().all(|times| *times == each);
        ensure!(fits, "combinations {combinations:?}");
    }
    let mut answer = Answer::from([("out.length", length(batches)?)]);
    answer.accept(case, "out.super_labels");
    Ok(answer)
}

/// Anchor, positive, negative, and the same triplets in every epoch.
fn fixed_triplets(sampler: &dyn Sampler, labels: &Labels) -> anyhow::Result<Answer> {
    let labels = labels.as_slice();
    let mut first: Option<Vec<[usize; 3]>> = None;
    let mut yielded = 0;
    for epoch in 0..EPOCHS {
        let rows: Vec<usize> = sampler.epoch(epoch).flatten().collect();
        yielded = rows.len();
        let (triplets, _) = rows.as_chunks::<3>();
        let mut triplets = triplets.to_vec();
        for [a, p, n] in &triplets {
            let class = labels.iter().filter(|label| **label == labels[*a]).count();
            let is_positive = labels[*a] == labels[*p] && (a != p || class == 1);
            ensure!(is_positive, "({a}, {p}) is no positive pair");
            ensure!(labels[*a] != labels[*n], "({a}, {n}) is no negative pair");
        }
        triplets.sort_unstable();
        let is_same = *first.get_or_insert_with(|| triplets.clone()) == triplets;
        ensure!(is_same, "epoch {epoch} has other triplets");
    }
    Ok(Answer::from([("out.length", length(yielded)?)]))
}

/// As many draws as asked, in proportion to how often each row appears in mined tuples.
fn tuples_to_weights(
    sampler: &TuplesToWeightsSampler,
    subset: Option<usize>,
) -> anyhow::Result<Answer> {
    let weights = sampler.weights();
    let mut counts = vec![0u64; weights.len()];
    let mut yielded = 0;
    for epoch in 0..400 {
        let rows: Vec<usize> = sampler.epoch(epoch).flatten().collect();
        yielded = rows.len();
        rows.into_iter().for_each(|row| counts[row] += 1);
    }
    let fits = subset.is_none_or(|size| yielded == size);
    ensure!(fits, "an epoch of {yielded} rows");
    let (total, draws) = (weights.iter().sum::<f64>(), counts.iter().sum());
    for (row, (weight, count)) in weights.iter().zip(&counts).enumerate() {
        ensure_plausible(format_args!("row {row}"), *count, draws, weight / total)?;
    }
    Ok(Answer::from([
        ("out.weights", Tensor::new(&*weights, &Device::Cpu)?),
        ("out.length", length(yielded)?),
    ]))
}

/// Runs of `m` rows of one class; no class twice in a batch; no row twice in a run unless the class is smaller.
fn m_per_class(
    sampler: &dyn Sampler,
    labels: &Labels,
    m: usize,
    batch_size: Option<usize>,
) -> anyhow::Result<Answer> {
    let labels = labels.as_slice();
    let mut sizes: HashMap<i64, usize> = HashMap::new();
    for label in labels {
        *sizes.entry(*label).or_default() += 1;
    }
    let mut yielded = 0;
    for epoch in 0..EPOCHS {
        yielded = 0;
        let batches: Vec<Vec<usize>> = sampler.epoch(epoch).collect();
        ensure_batches(sampler, epoch, batches.len())?;
        for batch in batches {
            let size = batch.len();
            yielded += size;
            ensure!(
                batch_size.is_none_or(|want| want == size),
                "a batch of {size}"
            );
            ensure!(
                size % m == 0,
                "a batch of {size} is not made of runs of {m}"
            );
            let mut classes = HashSet::new();
            for run in batch.chunks(m) {
                let class = labels[run[0]];
                let is_one_class = run.iter().all(|row| labels[*row] == class);
                ensure!(is_one_class, "a run of several classes: {run:?}");
                ensure!(classes.insert(class), "class {class} twice in a batch");
                let distinct = run.iter().collect::<HashSet<_>>().len();
                let fits = distinct == m || sizes[&class] < m;
                ensure!(fits, "a row twice in a run: {run:?}");
            }
        }
    }
    Ok(Answer::from([
        ("out.length", length(yielded)?),
        ("out.yielded", length(yielded)?),
    ]))
}
