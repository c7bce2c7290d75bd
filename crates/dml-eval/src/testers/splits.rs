//! What is tested: named inputs with labels.

use std::sync::Arc;

use dml_core::{IntoLabels, Labels, Result, check};

use crate::inputs::Inputs;

/// A part of a data set.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::TestSplit;
///
/// let rows = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
/// // Breeds, and one level up animals.
/// let split = TestSplit::new("test", rows, [3i64, 4, 9])?.with_parent_labels([0i64, 0, 1])?;
/// # Ok::<(), dml_core::Error>(())
/// ```
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
    /// [`Error::Length`](dml_core::Error::Length) if there is not one label for each input; as [`IntoLabels::into_labels`].
    pub fn new(
        name: impl Into<String>,
        inputs: impl Inputs + 'static,
        labels: impl IntoLabels,
    ) -> Result<Self> {
        let split = Self {
            name: name.into(),
            inputs: Arc::new(inputs),
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
        check::length("labels", self.inputs.rows(), labels.len())?;
        self.levels.push(labels);
        Ok(self)
    }

    /// Second inputs with the same labels, for [two streams](super::GlobalTwoStreamEmbeddingSpaceTester).
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there are not as many as first ones.
    pub fn with_second_inputs(mut self, inputs: impl Inputs + 'static) -> Result<Self> {
        check::length("second inputs", self.inputs.rows(), inputs.rows())?;
        self.second = Some(Arc::new(inputs));
        Ok(self)
    }
}
