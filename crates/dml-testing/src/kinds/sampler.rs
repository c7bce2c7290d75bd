//! Samplers: their length, and the rules that every batch keeps.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, ensure};
use dml::config::SamplerConfig;
use dml::{IntoLabels, Labels, Sampler};

use super::unsupported;
use crate::Case;
use crate::answer::Answer;
use crate::case::Array;

/// Epochs that are looked at.
const EPOCHS: u64 = 3;

pub(super) fn check_property(case: &Case) -> anyhow::Result<Answer> {
    let config: SamplerConfig = dml::config::from_value(case.config()?)?;
    let labels: Labels = case
        .tensor("in.labels")?
        .with_context(|| format!("{}: no in.labels", case.path))?
        .into_labels()?;
    let sampler = config.build(&labels)?;
    match &config {
        SamplerConfig::MPerClassSampler(config) => {
            m_per_class(&*sampler, &labels, config.m, config.batch_size)
        }
        other => Err(unsupported(format!("no runner for {}", other.name()))),
    }
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
