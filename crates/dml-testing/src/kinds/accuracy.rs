//! Accuracies: the metrics of nearest neighbours and of clusters.

use std::collections::BTreeMap;

use anyhow::Context;
use dml::Batch;
use dml::candle_core::{Device, Tensor};
use dml::config::EvaluationConfig;
use dml::eval::{AccuracyMetric, with_queries_among_references};
use serde_json::{Value, json};

use crate::Case;
use crate::answer::Answer;
use crate::case::elements;
use crate::inputs::Inputs;

/// The name that stands for the clusters which the case itself gives.
pub(super) const GIVEN_CLUSTERS: &str = "given_cluster_labels";

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let mut config = case.config()?;
    if config["kmeans_func"]["name"] == GIVEN_CLUSTERS {
        let labels = case.whole("in.cluster_labels")?;
        config["kmeans_func"] = json!({"name": "GivenClusters", "labels": labels});
    }
    let EvaluationConfig::AccuracyCalculator(mut config) = dml::config::from_value(config)?;
    // Before the inputs are read: a case that is about the arguments has none.
    config.build()?;
    let call = case.json("call")?;
    config.include = metrics(&config.include, &config.exclude, &call)?;
    config.count_matches_as_pml = true;

    let embeddings = Inputs::default().required(case, "embeddings")?;
    let (labels, reference) = labels(case)?;
    let mut batch = Batch::new(&embeddings, classes(&labels, &labels))?;
    if let Some(rows) = Inputs::default().optional(case, "ref_emb")? {
        let known = reference.as_ref().context("no reference labels")?;
        // Only the numbers of rows matter for a relation of its own.
        let same = config.label_comparison_fn.is_none();
        let known = if same {
            classes(known, &labels)
        } else {
            vec![0; known.len()]
        };
        batch = batch.with_reference(&rows, known)?;
    }
    if let Some(comparison) = config.label_comparison_fn {
        let reference = reference.map(|labels| labels.concat());
        batch =
            batch.with_relation(comparison.relation(&labels.concat(), reference.as_deref())?)?;
    }
    if call["ref_includes_query"] == true {
        batch = with_queries_among_references(batch)?;
    }

    let mut answer = Answer::default();
    for score in &config.build()?.get_accuracy(&batch)? {
        let values = if config.return_per_class && !score.per_query.is_empty() {
            score.per_class.iter().map(|(_, value)| *value).collect()
        } else {
            vec![score.value]
        };
        let values = Tensor::new(values, &Device::Cpu)?;
        answer.put(format!("out.{}", score.metric), values);
    }
    Ok(answer)
}

/// The metrics that the configuration and the call leave.
fn metrics(
    include: &[AccuracyMetric],
    exclude: &[AccuracyMetric],
    call: &Value,
) -> anyhow::Result<Vec<AccuracyMetric>> {
    let names = |key: &str| -> anyhow::Result<Vec<AccuracyMetric>> {
        match &call[key] {
            Value::Null => Ok(Vec::new()),
            names => Ok(serde_json::from_value(names.clone())?),
        }
    };
    let (called, left_out) = (names("include")?, names("exclude")?);
    let is_left = |metric: &AccuracyMetric| {
        (include.is_empty() || include.contains(metric))
            && (called.is_empty() || called.contains(metric))
            && !exclude.contains(metric)
            && !left_out.contains(metric)
    };
    Ok(AccuracyMetric::ALL.into_iter().filter(is_left).collect())
}

/// What is known of a row: one label, several, or a real number.
type Label = Vec<f64>;

/// The labels of the queries, and of the references if there are any.
fn labels(case: &Case) -> anyhow::Result<(Vec<Label>, Option<Vec<Label>>)> {
    let rows = |name: &str, float_name: &str| -> anyhow::Result<Option<Vec<Label>>> {
        let Some(labels) = case.get(name).or_else(|| case.get(float_name)) else {
            return Ok(None);
        };
        let width = labels.dims().get(1).copied().unwrap_or(1).max(1);
        // Exact: no label of a case is beyond 2⁵³.
        let rows: Vec<f64> = elements(labels)?;
        Ok(Some(rows.chunks(width).map(<[f64]>::to_vec).collect()))
    };
    let query = rows("in.labels", "in.float_labels")?.context("no labels")?;
    Ok((query, rows("in.ref_labels", "in.float_ref_labels")?))
}

/// One number per row, the same for equal labels, in the order of the labels.
fn classes(labels: &[Label], among: &[Label]) -> Vec<i64> {
    let bits = |label: &Label| -> Vec<i64> {
        // Orders real numbers as they are ordered.
        let key = |x: &f64| x.to_bits() as i64 ^ (((x.to_bits() as i64) >> 63) as u64 >> 1) as i64;
        label.iter().map(key).collect()
    };
    let mut all: BTreeMap<Vec<i64>, i64> =
        among.iter().chain(labels).map(|l| (bits(l), 0)).collect();
    for (number, class) in (0..).zip(all.values_mut()) {
        *class = number;
    }
    labels.iter().map(|label| all[&bits(label)]).collect()
}
