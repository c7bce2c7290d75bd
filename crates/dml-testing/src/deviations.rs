//! Where the reference is wrong and the file does not say what is right: what we do instead, and why.
//!
//! `docs/deviations.md` explains each to a reader. A case listed here passes with a typed error or with any finite
//! answer; a case whose file carries the corrected answer (`alt.*`) is never listed, it has to give that answer.

use crate::Case;

/// A prefix of the paths of cases, and what we do there.
const DEVIATIONS: &[(&str, &str)] = &[
    (
        "loss/VICRegLoss/edge-n1",
        "a single row varies by 0: the loss is finite",
    ),
    (
        "sampler_property/MPerClassSampler/shorter-than-a-pass",
        "an epoch is never longer than it says: batches hold fewer classes instead",
    ),
    (
        "error/SmoothAPLoss/negative-labels",
        "labels are whole numbers of any sign",
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

/// Cases without input, in which the reference refuses to build what we build; unit tests use it.
const BUILT: &[&str] = &["error/SelfSupervisedLoss/unsupported-vicregloss"];

/// Whether a case only asks for the refusal of something that we build.
pub(crate) fn is_built(case: &Case) -> bool {
    BUILT.contains(&case.path.as_str())
}

/// The same where the file does not mark the reference's answer as disputed.
const UNMARKED: &[(&str, &str)] = &[(
    "loss/CrossBatchMemory/ncaloss-",
    "a row's own copy in the memory is no neighbour of the row",
)];

/// Why the answer to a case may differ from the reference's; `None` if it may not.
#[must_use]
pub fn reason(case: &Case) -> Option<&'static str> {
    let marked = case.meta("disputed").map_or(&[][..], |_| DEVIATIONS);
    let mut listed = marked.iter().chain(UNMARKED);
    listed
        .find(|(prefix, _)| case.path.starts_with(prefix))
        .map(|(_, reason)| *reason)
}
