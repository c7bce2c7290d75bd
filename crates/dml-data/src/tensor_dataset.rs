//! Tensors in memory as a data set.

use dml_core::candle_core::{Device, Tensor};
use dml_core::{Dataset, Examples, IntoLabels, Labels, Result, check};

/// Rows of tensors with a label each, such as features that another network computed.
///
/// ```
/// use dml_core::Dataset;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_data::TensorDataset;
///
/// let features = Tensor::new(&[[0f32, 1.], [2., 3.], [4., 5.]], &Device::Cpu)?;
/// let set = TensorDataset::new(features, [7i64, 7, 9])?;
/// let examples = set.fetch(&[2, 0], 0)?;
/// assert_eq!(examples.views()[0].to_vec2::<f32>()?, [[4., 5.], [0., 1.]]);
/// assert_eq!(examples.labels().as_slice(), [9, 7]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TensorDataset {
    views: Vec<Tensor>,
    labels: Labels,
}

impl TensorDataset {
    /// Rows `[rows, …]` of any element type; a tensor of another device is copied to the CPU.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) unless there is one label per row,
    /// [`Error::Tensor`](dml_core::Error::Tensor) if a device can't be read.
    pub fn new(rows: Tensor, labels: impl IntoLabels) -> Result<Self> {
        Self::with_views(vec![rows], labels)
    }

    /// Several views of the same rows: one tensor `[rows, …]` each.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) without a view, and as [`new`](Self::new).
    pub fn with_views(views: Vec<Tensor>, labels: impl IntoLabels) -> Result<Self> {
        let labels = labels.into_labels()?;
        check::present(views.first(), "TensorDataset", "at least one view")?;
        for view in &views {
            let rows = view.dims().first().copied().unwrap_or(0);
            check::length("labels", rows, labels.len())?;
        }
        // Without the graph that made them, which every batch would otherwise hold on to.
        let views = views
            .iter()
            .map(|view| Ok(view.detach().to_device(&Device::Cpu)?));
        Ok(Self {
            views: views.collect::<Result<_>>()?,
            labels,
        })
    }

    /// All rows of each view.
    #[must_use]
    pub fn views(&self) -> &[Tensor] {
        &self.views
    }
}

impl Dataset for TensorDataset {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], _: u64) -> Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.labels.len())?;
        let indices: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        let indices = Tensor::from_vec(indices, rows.len(), &Device::Cpu)?;
        let views = self.views.iter().map(|view| {
            if rows.is_empty() {
                return Ok(view.narrow(0, 0, 0)?);
            }
            Ok(view.index_select(&indices, 0)?)
        });
        Examples::with_views(views.collect::<Result<_>>()?, rows, &self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn views_stay_side_by_side() -> Result<()> {
        let first = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
        let second = Tensor::new(&[10u32, 11, 12], &Device::Cpu)?;
        let set = TensorDataset::with_views(vec![first, second], [0i64, 1, 2])?;
        let examples = set.fetch(&[1, 1, 0], 0)?;
        assert_eq!(examples.views()[0].to_vec2::<f32>()?, [[1.], [1.], [0.]]);
        assert_eq!(examples.views()[1].to_vec1::<u32>()?, [11, 11, 10]);
        assert_eq!(set.fetch(&[], 0)?.views()[0].dims(), [0, 1]);
        assert_eq!(set.len(), 3);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let rows = Tensor::new(&[[0f32], [1.]], &Device::Cpu)?;
        let message = TensorDataset::new(rows.clone(), [0i64]).unwrap_err();
        assert_eq!(message.to_string(), "labels: expected length 2, got 1");
        let scalar = Tensor::new(1f32, &Device::Cpu)?;
        assert!(TensorDataset::new(scalar, [0i64]).is_err());
        assert!(matches!(
            TensorDataset::with_views(vec![], [0i64]),
            Err(Error::Missing { .. })
        ));
        let set = TensorDataset::new(rows, [0i64, 1])?;
        let message = set.fetch(&[2], 0).unwrap_err().to_string();
        assert_eq!(message, "rows[0]: expected an index below 2, got 2");
        Ok(())
    }
}
