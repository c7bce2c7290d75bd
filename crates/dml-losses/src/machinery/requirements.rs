//! Requirements of losses on their distance, batch and tuples: an error where they are not met.

use dml_core::{Batch, Distance, DistanceKind, Error, Loss, Result, Tuples, check};

/// The distance must be the cosine similarity, for the given reason.
pub(crate) fn cosine(
    component: &'static str,
    distance: &dyn Distance,
    reason: &'static str,
) -> Result<()> {
    let is_cosine = matches!(distance.kind(), DistanceKind::Cosine { .. });
    check::supported(is_cosine, component, reason)
}

/// Refuses a distance that is no signal-to-noise ratio.
pub(crate) fn signal_to_noise(
    component: &'static str,
    distance: &dyn Distance,
    reason: &'static str,
) -> Result<()> {
    let is_ratio = matches!(distance.kind(), DistanceKind::SignalToNoise { .. });
    check::supported(is_ratio, component, reason)
}

/// Why a loss over whole rankings asks for the cosine similarity.
pub(crate) const DEFINED_FOR_COSINE: &str = "it is defined for CosineSimilarity only";
/// Why a loss over classes that adds to an angle or its cosine does.
pub(crate) const MARGIN_OF_AN_ANGLE: &str =
    "it needs CosineSimilarity, whose angles the margin belongs to";

/// The distance must be Euclidean between normalised rows, raised to any power: the power.
pub(crate) fn unit_euclidean_power(
    component: &'static str,
    distance: &dyn Distance,
) -> Result<f64> {
    match distance.kind() {
        DistanceKind::Lp {
            p: 2.0,
            power,
            normalized: true,
        } => Ok(power),
        _ => Err(Error::unsupported(
            component,
            "it is defined for LpDistance of normalised rows with p = 2 only",
        )),
    }
}

/// The batch and the tuples must be such as the loss says that it takes: weights that it reads, a reference set, tuples.
pub(crate) fn check(
    loss: &dyn Loss,
    component: &'static str,
    batch: &Batch,
    tuples: &Tuples,
) -> Result<()> {
    if !loss.reads_weights() {
        check::unweighted(component, batch)?;
    }
    if !loss.takes_tuples() {
        no_tuples(component, tuples)?;
    }
    if !loss.takes_reference() {
        no_reference(component, batch)?;
    }
    Ok(())
}

/// The batch must be compared with itself.
pub(crate) fn no_reference(component: &'static str, batch: &Batch) -> Result<()> {
    let reason = "it compares the rows of a batch among themselves, not with a reference set";
    check::supported(batch.reference().is_none(), component, reason)
}

/// No tuples may be chosen: the loss looks at the whole batch.
pub(crate) fn no_tuples(component: &'static str, tuples: &Tuples) -> Result<()> {
    let reason = "it looks at the whole batch and takes no tuples";
    check::supported(tuples.is_all(), component, reason)
}
