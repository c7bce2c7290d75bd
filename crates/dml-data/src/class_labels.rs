//! Labels that are positions in a list of class names.

use std::fmt::Display;
use std::ops::Range;

use crate::{DataError, Result};

/// Refuses labels that are not one per image or lie outside of `known`, which ends at the number of classes. `labels_of`
/// says where they come from.
pub(crate) fn check_labels(
    labels_of: impl Display,
    labels: &[i64],
    images: usize,
    known: Range<i64>,
) -> Result<()> {
    if labels.len() != images {
        return Err(DataError::LabelCount {
            labels: labels_of.to_string(),
            expected: images,
            found: labels.len(),
        });
    }
    match labels.iter().position(|label| !known.contains(label)) {
        None => Ok(()),
        Some(position) => Err(DataError::Label {
            labels: labels_of.to_string(),
            classes: known.end as usize,
            position,
            found: labels[position],
        }),
    }
}
