//! The relation of a training batch, where labels alone do not say who belongs together.

use std::fmt;
use std::sync::Arc;

use dml_core::{Labels, Relation, Result};

type MakeRelation = dyn Fn(&[usize], &Labels) -> Result<Relation> + Send + Sync;

/// Makes the relation of a batch from the rows of the data set in it and their labels.
#[derive(Clone)]
pub(crate) struct BatchRelation(Arc<MakeRelation>);

impl BatchRelation {
    pub(crate) fn new(
        make: impl Fn(&[usize], &Labels) -> Result<Relation> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn of(&self, rows: &[usize], labels: &Labels) -> Result<Relation> {
        (self.0)(rows, labels)
    }
}

impl fmt::Debug for BatchRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchRelation").finish_non_exhaustive()
    }
}
