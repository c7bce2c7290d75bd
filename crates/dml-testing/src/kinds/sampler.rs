//! Samplers: their length, and the rules that every batch keeps.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, ensure};
use dml::candle_core::Tensor;
use dml::config::{SampledData, SamplerConfig};
use dml::samplers::{HierarchicalSamplerConfig, SamplesPerClass, TuplesToWeightsSampler};
use dml::{Error, IntoLabels, Labels, Sampler};
use serde_json::Value;

use crate::Case;
use crate::answer::Answer;
use crate::binomial_test::is_plausible;
use crate::case::{Array, Data};
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
        let all = embeddings.as_ref().ok_or(Error::Missing {
            component: "the case",
            needed: "embeddings",
        })?;
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

/// The columns of the labels: `[N]` has one, `[N, L]` has L.
fn levels(case: &Case) -> anyhow::Result<Vec<Labels>> {
    let labels = case
        .tensor("in.labels")?
        .with_context(|| format!("{}: no in.labels", case.path))?;
    if labels.rank() == 1 {
        return Ok(vec![labels.into_labels()?]);
    }
    (0..labels.dims()[1])
        .map(|level| Ok(labels.narrow(1, level, 1)?.squeeze(1)?.into_labels()?))
        .collect()
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
            ensure!(
                batch.len() <= config.batch_size,
                "a batch of {}",
                batch.len()
            );
            let mut per_super: BTreeMap<i64, usize> = BTreeMap::new();
            let mut per_inner: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
            for &row in &batch {
                *per_super.entry(outer[row]).or_default() += 1;
                per_inner
                    .entry((outer[row], inner[row]))
                    .or_default()
                    .push(row);
            }
            ensure!(
                per_super.len() == config.super_classes_per_batch,
                "super classes {per_super:?}"
            );
            let share = config.batch_size / config.super_classes_per_batch;
            ensure!(
                per_super.values().all(|rows| *rows <= share),
                "more than {share} rows of a super class"
            );
            for ((super_class, class), rows) in &per_inner {
                let size = (0..inner.len())
                    .filter(|&r| inner[r] == *class && outer[r] == *super_class)
                    .count();
                let distinct: HashSet<&usize> = rows.iter().collect();
                match config.samples_per_class {
                    SamplesPerClass::Exactly(samples) => {
                        ensure!(rows.len() == samples, "class {class}: {} rows", rows.len());
                        ensure!(
                            distinct.len() == samples || size < samples,
                            "class {class}: a row twice"
                        );
                    }
                    SamplesPerClass::All => {
                        ensure!(
                            distinct.len() == rows.len() && rows.len() <= size,
                            "class {class}: {rows:?}"
                        );
                    }
                }
            }
            *combinations
                .entry(per_super.into_keys().collect())
                .or_default() += 1;
        }
        ensure!(
            batches == sampler.batches(),
            "epoch {epoch}: {batches} batches"
        );
        let each = config.batches_per_super_tuple;
        ensure!(
            combinations.values().all(|times| *times == each),
            "combinations {combinations:?}"
        );
    }
    let mut answer = Answer::default();
    answer.put("out.length", Array::whole(vec![batches as i64]));
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
        let mut triplets: Vec<[usize; 3]> =
            rows.chunks_exact(3).map(|t| [t[0], t[1], t[2]]).collect();
        for [a, p, n] in &triplets {
            let class = labels.iter().filter(|label| **label == labels[*a]).count();
            ensure!(
                labels[*a] == labels[*p] && (a != p || class == 1),
                "({a}, {p}) is no positive pair"
            );
            ensure!(labels[*a] != labels[*n], "({a}, {n}) is no negative pair");
        }
        triplets.sort_unstable();
        ensure!(
            first.get_or_insert_with(|| triplets.clone()) == &triplets,
            "epoch {epoch} has other triplets"
        );
    }
    let mut answer = Answer::default();
    answer.put("out.length", Array::whole(vec![yielded as i64]));
    Ok(answer)
}

/// As many draws as asked, in proportion to how often each row appears in mined tuples.
fn tuples_to_weights(
    sampler: &TuplesToWeightsSampler,
    subset: Option<usize>,
) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    let weights = sampler.weights();
    answer.put(
        "out.weights",
        Array {
            shape: vec![weights.len()],
            data: Data::Real(weights.to_vec()),
        },
    );
    let mut counts = vec![0u64; weights.len()];
    let mut yielded = 0;
    for epoch in 0..400 {
        let rows: Vec<usize> = sampler.epoch(epoch).flatten().collect();
        yielded = rows.len();
        rows.into_iter().for_each(|row| counts[row] += 1);
    }
    ensure!(
        subset.is_none_or(|size| yielded == size),
        "an epoch of {yielded} rows"
    );
    let (total, draws) = (weights.iter().sum::<f64>(), counts.iter().sum());
    for (row, (weight, count)) in weights.iter().zip(&counts).enumerate() {
        ensure!(
            is_plausible(*count, draws, weight / total),
            "row {row} was drawn {count} times of {draws}"
        );
    }
    answer.put("out.length", Array::whole(vec![yielded as i64]));
    Ok(answer)
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
        ensure!(
            batches.len() == sampler.batches(),
            "epoch {epoch}: {} batches",
            batches.len()
        );
        for batch in batches {
            yielded += batch.len();
            ensure!(
                batch_size.is_none_or(|size| size == batch.len()),
                "a batch of {}",
                batch.len()
            );
            ensure!(
                batch.len() % m == 0,
                "a batch of {} is not made of runs of {m}",
                batch.len()
            );
            let mut classes = HashSet::new();
            for run in batch.chunks(m) {
                let class = labels[run[0]];
                ensure!(
                    run.iter().all(|row| labels[*row] == class),
                    "a run of several classes: {run:?}"
                );
                ensure!(classes.insert(class), "class {class} twice in a batch");
                let distinct: HashSet<&usize> = run.iter().collect();
                ensure!(
                    distinct.len() == m || sizes[&class] < m,
                    "a row twice in a run: {run:?}"
                );
            }
        }
    }
    let mut answer = Answer::default();
    let length = Array::whole(vec![yielded as i64]);
    answer.put("out.length", length.clone());
    answer.put("out.yielded", length);
    Ok(answer)
}
