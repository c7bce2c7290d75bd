//! Right answers where the reference is wrong and the case's file does not carry the right one.
//!
//! Each is computed from the case's own inputs by the definition, in double precision and without any component of the
//! library. `docs/deviations.md` explains them to a reader.

mod accuracy_of_exact_labels;
mod nca_in_memory;
mod p2s_grad_zero_row;
mod rows;
mod smooth_ap;
mod vic_reg_one_row;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use dml::candle_core::{Device, Tensor};

use crate::case::Case;

/// What has to come out instead of the reference's answer.
pub(crate) enum Correction {
    /// These values; all other outputs are the file's.
    Values(BTreeMap<String, Tensor>),
    /// A typed error whose message contains this text.
    Error(&'static str),
    /// A component that can be built; the case has no inputs.
    Component,
}

impl Correction {
    /// Values by their names.
    fn values<const N: usize>(values: [(&str, Tensor); N]) -> Self {
        Self::Values(values.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

type Definition = fn(&Case) -> anyhow::Result<Correction>;

/// The beginning of the case's path, and what is right there.
const CORRECTIONS: &[(&str, Definition)] = &[
    (
        "accuracy/AccuracyCalculator/huge-labels",
        accuracy_of_exact_labels::correction,
    ),
    // A row's own copy in the memory is no neighbour of the row.
    ("loss/CrossBatchMemory/ncaloss-", nca_in_memory::correction),
    // A label that is no class is an error, −100 as any other.
    ("loss/NormalizedSoftmaxLoss/label-minus-100", |_| {
        Ok(Correction::Error("labels["))
    }),
    (
        "loss/P2SGradLoss/edge-zero-row",
        p2s_grad_zero_row::correction,
    ),
    // A label without a proxy is an error.
    ("loss/ProxyNCALoss/labels-outside", |_| {
        Ok(Correction::Error("labels["))
    }),
    ("loss/VICRegLoss/edge-n1", vic_reg_one_row::correction),
    // Labels are whole numbers of any sign.
    ("error/SmoothAPLoss/negative-labels", smooth_ap::correction),
    // Two views are compared without labels.
    ("error/SelfSupervisedLoss/unsupported-vicregloss", |_| {
        Ok(Correction::Component)
    }),
    (
        "sampler_property/MPerClassSampler/shorter-than-a-pass",
        whole_classes,
    ),
];

/// What is right for a case; `None` if the file says it.
pub(crate) fn correction(case: &Case) -> anyhow::Result<Option<Correction>> {
    let found = CORRECTIONS
        .iter()
        .find(|(path, _)| case.path.starts_with(path));
    found.map(|(_, definition)| definition(case)).transpose()
}

/// An epoch that is shorter than one pass has as many whole runs of `m` rows as fit into its length.
fn whole_classes(case: &Case) -> anyhow::Result<Correction> {
    let config = case.config()?;
    ensure!(config["batch_size"].is_null(), "expected no batch_size");
    let number = |key: &str| config[key].as_i64().with_context(|| format!("no {key}"));
    let (m, length) = (number("m")?, number("length_before_new_iter")?);
    let rows = Tensor::new(length / m * m, &Device::Cpu)?;
    Ok(Correction::values([
        ("out.length", rows.clone()),
        ("out.yielded", rows),
    ]))
}
