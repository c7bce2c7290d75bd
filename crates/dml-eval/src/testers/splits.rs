//! What is tested: named inputs with labels.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{Error, IntoLabels, Labels, Result};

/// Inputs of a network that are made when they are needed.
pub trait Inputs: Debug + Send + Sync {
    /// How many there are.
    fn rows(&self) -> usize;

    /// Some of them `[rows, …]`.
    ///
    /// # Errors
    /// If they can't be made.
    fn batch(&self, rows: Range<usize>) -> Result<Tensor>;
}

/// Inputs that are there: `[rows, …]`.
impl Inputs for Tensor {
    fn rows(&self) -> usize {
        self.dims().first().copied().unwrap_or(0)
    }

    fn batch(&self, rows: Range<usize>) -> Result<Tensor> {
        Ok(self.narrow(0, rows.start, rows.len())?)
    }
}

/// A part of a data set.
#[derive(Clone, Debug)]
pub struct TestSplit {
    pub(super) name: String,
    pub(super) inputs: Arc<dyn Inputs>,
    pub(super) second: Option<Arc<dyn Inputs>>,
    pub(super) levels: Vec<Labels>,
}

impl TestSplit {
    /// Inputs and their labels.
    ///
    /// # Errors
    /// [`Error::Length`] if there is not one label for each input; as [`IntoLabels::into_labels`].
    pub fn new(
        name: impl Into<String>,
        inputs: Arc<dyn Inputs>,
        labels: impl IntoLabels,
    ) -> Result<Self> {
        let split = Self {
            name: name.into(),
            inputs,
            second: None,
            levels: Vec::new(),
        };
        split.with_parent_labels(labels)
    }

    /// The labels one level further up.
    ///
    /// # Errors
    /// As [`new`](TestSplit::new).
    pub fn with_parent_labels(mut self, labels: impl IntoLabels) -> Result<Self> {
        let labels = labels.into_labels()?;
        if labels.len() != self.inputs.rows() {
            return Err(Error::Length {
                arg: "labels",
                expected: self.inputs.rows(),
                got: labels.len(),
            });
        }
        self.levels.push(labels);
        Ok(self)
    }

    /// Second inputs with the same labels, for [two streams](super::GlobalTwoStreamEmbeddingSpaceTester).
    ///
    /// # Errors
    /// [`Error::Length`] if there are not as many as first ones.
    pub fn with_second_inputs(mut self, inputs: Arc<dyn Inputs>) -> Result<Self> {
        if inputs.rows() != self.inputs.rows() {
            return Err(Error::Length {
                arg: "second inputs",
                expected: self.inputs.rows(),
                got: inputs.rows(),
            });
        }
        self.second = Some(inputs);
        Ok(self)
    }
}
