//! Where the reference is wrong and the file does not say what is right: what we do instead, and why.
//!
//! `docs/deviations.md` explains each to a reader. A case listed here passes with a typed error or with any finite
//! answer; a case whose file carries the corrected answer (`alt.*`) is never listed, it has to give that answer.

use crate::Case;

/// A prefix of the paths of cases, and what we do there.
const DEVIATIONS: &[(&str, &str)] = &[
    (
        "sampler_property/MPerClassSampler/shorter-than-a-pass",
        "an epoch is never longer than it says: batches hold fewer classes instead",
    ),
    (
        "loss/NormalizedSoftmaxLoss/label-minus-100",
        "a label that is no class is an error, -100 as any other",
    ),
    (
        "loss/P2SGradLoss/edge-zero-row",
        "a zero row has cosine 0 with every class",
    ),
    (
        "loss/ProxyNCALoss/labels-outside",
        "a label without a proxy is an error",
    ),
    (
        "accuracy/AccuracyCalculator/huge-labels",
        "labels are whole numbers of 64 bits: those above 2^24 stay apart",
    ),
];

/// Why the answer to a case may differ from the reference's; `None` if it may not.
#[must_use]
pub fn reason(case: &Case) -> Option<&'static str> {
    case.meta("disputed")?;
    DEVIATIONS
        .iter()
        .find(|(prefix, _)| case.path.starts_with(prefix))
        .map(|(_, reason)| *reason)
}
