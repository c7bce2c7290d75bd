//! Accuracies: the metrics of nearest neighbours.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use dml::config::{EvaluationConfig, MetricName};
use dml::eval::{AccuracyMetric, with_queries_among_references};
use dml::{Batch, Relation, Verdict};
use serde_json::Value;

use crate::Case;
use crate::answer::{Answer, Inputs};
use crate::case::{Array, Data};

pub(super) fn answer(case: &Case) -> anyhow::Result<Answer> {
    let mut config = case.config()?;
    let comparison = config["label_comparison_fn"].take();
    let comparison = comparison.as_str();
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
        let same = comparison.is_none();
        let known = if same {
            classes(known, &labels)
        } else {
            vec![0; known.len()]
        };
        batch = batch.with_reference(&rows, known)?;
    }
    if let Some(comparison) = comparison {
        let relation = relation(comparison, labels, reference.clone())?;
        batch = batch.with_relation(match reference {
            None => relation.with_diagonal_identity()?,
            Some(_) => relation,
        })?;
    }
    if call["ref_includes_query"] == true {
        batch = with_queries_among_references(batch)?;
    }

    let mut answer = Answer::default();
    for score in &config.build()?.get_accuracy(&batch)? {
        let values = if config.return_per_class {
            score.per_class.iter().map(|(_, value)| *value).collect()
        } else {
            vec![score.value]
        };
        let shape = vec![values.len()];
        let data = Data::Real(values);
        answer.put(format!("out.{}", score.metric), Array { shape, data });
    }
    Ok(answer)
}

/// The metrics that the configuration and the call leave.
fn metrics(
    include: &[AccuracyMetric],
    exclude: &[MetricName],
    call: &Value,
) -> anyhow::Result<Vec<AccuracyMetric>> {
    let names = |key: &str| -> anyhow::Result<Vec<MetricName>> {
        match &call[key] {
            Value::Null => Ok(Vec::new()),
            names => Ok(serde_json::from_value(names.clone())?),
        }
    };
    let (called, left_out) = (names("include")?, names("exclude")?);
    let is_left = |metric: &AccuracyMetric| {
        let name = MetricName::Rank(*metric);
        (include.is_empty() || include.contains(metric))
            && (called.is_empty() || called.contains(&name))
            && !exclude.contains(&name)
            && !left_out.contains(&name)
    };
    Ok(AccuracyMetric::ALL.into_iter().filter(is_left).collect())
}

/// What is known of a row: one label, several, or a real number.
type Label = Vec<f64>;

/// The labels of the queries, and of the references if there are any.
fn labels(case: &Case) -> anyhow::Result<(Vec<Label>, Option<Vec<Label>>)> {
    let rows = |name: &str, float_name: &str| {
        let array = case.get(name).or_else(|| case.get(float_name))?;
        let width = array.shape.get(1).copied().unwrap_or(1).max(1);
        // Exact: no label of a case is beyond 2⁵³.
        Some(array.to_real().chunks(width).map(<[f64]>::to_vec).collect())
    };
    let query = rows("in.labels", "in.float_labels").context("no labels")?;
    Ok((query, rows("in.ref_labels", "in.float_ref_labels")))
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

/// Who matches whom by a comparison of that name.
fn relation(
    comparison: &str,
    query: Vec<Label>,
    reference: Option<Vec<Label>>,
) -> anyhow::Result<Relation> {
    let equal: fn(&Label, &Label) -> bool = match comparison {
        "both_equal" => |a, b| a[0] == b[0] && a[1] == b[1],
        "first_equal_second_different" => |a, b| a[0] == b[0] && a[1] != b[1],
        "closer_than_one" => |a, b| (a[0] - b[0]).abs() < 1.0,
        other => bail!("no comparison is called {other}"),
    };
    let reference = reference.unwrap_or_else(|| query.clone());
    Ok(Relation::closure(
        query.len(),
        reference.len(),
        move |q, r| {
            if equal(&query[q], &reference[r]) {
                Verdict::POSITIVE
            } else {
                Verdict::NEGATIVE
            }
        },
    ))
}
