//! Losses that add to an angle need its cosine.

use dml_core::{Distance, DistanceKind, Error, Result};

/// # Errors
/// [`Error::Unsupported`] unless the distance is the cosine similarity.
pub(crate) fn needs_cosine(component: &'static str, distance: &dyn Distance) -> Result<()> {
    if distance.kind() == DistanceKind::Cosine {
        return Ok(());
    }
    Err(Error::Unsupported {
        component,
        reason: "it needs CosineSimilarity, whose angles the margin belongs to",
    })
}
