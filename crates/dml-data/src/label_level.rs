//! One level of a hierarchy of labels as the labels of a data set.

use dml_core::candle_core::Tensor;
use dml_core::{Dataset, Examples, IntoLabels, Labels, Result, check};

/// A data set whose labels are one level of a hierarchy, PML's `label_hierarchy_level`: species, say, or genus.
///
/// Samplers and trainers read the labels of a data set, so that both follow.
///
/// ```
/// use dml_core::candle_core::{DType, Device, Tensor};
/// use dml_core::Dataset;
/// use dml_data::{LabelLevel, TensorDataset};
///
/// let rows = Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?;
/// let birds = TensorDataset::new(rows, &[0i64, 1, 2])?;
/// // Species and genus of each row.
/// let hierarchy = Tensor::new(&[[0i64, 5], [1, 5], [2, 6]], &Device::Cpu)?;
/// let genera = LabelLevel::new(birds, &hierarchy, 1)?;
/// assert_eq!(genera.labels().as_slice(), [5, 5, 6]);
/// assert_eq!(genera.fetch(&[2, 0], 0)?.labels().as_slice(), [6, 5]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LabelLevel<D> {
    dataset: D,
    labels: Labels,
}

impl<D: Dataset> LabelLevel<D> {
    /// The data set with the labels in column `level` of `hierarchy`, whole numbers `[rows, levels]`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) unless the hierarchy has two dimensions,
    /// [`Error::Length`](dml_core::Error::Length) if it has not one row for each of the data set,
    /// [`Error::Index`](dml_core::Error::Index) for a level that it has not, [`Error::DType`](dml_core::Error::DType)
    /// for real numbers.
    pub fn new(dataset: D, hierarchy: &Tensor, level: usize) -> Result<Self> {
        let is_matrix = hierarchy.rank() == 2;
        check::shape(is_matrix, "hierarchy", hierarchy, "[rows, levels]")?;
        let (rows, levels) = hierarchy.dims2()?;
        check::length("hierarchy", dataset.len(), rows)?;
        check::indices("level", [level], levels)?;
        let is_int = hierarchy.dtype().is_int();
        check::dtype(is_int, "hierarchy", hierarchy, "an integer type")?;
        let labels = hierarchy.narrow(1, level, 1)?.squeeze(1)?;
        let labels = (&labels).into_labels()?;
        Ok(Self { dataset, labels })
    }

    /// The data set with the labels that it came with.
    #[must_use]
    pub fn dataset(&self) -> &D {
        &self.dataset
    }
}

impl<D: Dataset> Dataset for LabelLevel<D> {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
        let examples = self.dataset.fetch(rows, seed)?;
        Examples::with_views(examples.views().to_vec(), examples.rows(), &self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorDataset;
    use dml_core::Error;
    use dml_core::candle_core::{DType, Device};

    #[test]
    fn every_level_is_a_data_set_and_others_are_refused() -> Result<()> {
        let rows = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu)?;
        let data = || TensorDataset::new(rows.clone(), [0i64, 1, 2]);
        for dtype in [DType::I64, DType::U32, DType::U8] {
            let hierarchy = Tensor::new(&[[3i64, 1], [4, 1], [5, 0]], &Device::Cpu)?;
            let hierarchy = hierarchy.to_dtype(dtype)?;
            for (level, expected) in [[3i64, 4, 5], [1, 1, 0]].iter().enumerate() {
                let level = LabelLevel::new(data()?, &hierarchy, level)?;
                assert_eq!(level.labels().as_slice(), expected);
                let examples = level.fetch(&[2, 1], 0)?;
                assert_eq!(examples.labels().as_slice(), [expected[2], expected[1]]);
                assert_eq!(examples.views()[0].to_vec2::<f32>()?, [[3.], [2.]]);
            }
            let none = LabelLevel::new(data()?, &hierarchy, 2).unwrap_err();
            assert_eq!(
                none.to_string(),
                "level[0]: expected an index below 2, got 2"
            );
        }
        let refused = |hierarchy: &Tensor| LabelLevel::new(data()?, hierarchy, 0).map(|_| ());
        let real = Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?;
        assert!(matches!(refused(&real), Err(Error::DType { .. })));
        let short = Tensor::zeros((2, 2), DType::I64, &Device::Cpu)?;
        assert!(matches!(refused(&short), Err(Error::Length { got: 2, .. })));
        let flat = Tensor::zeros(3, DType::I64, &Device::Cpu)?;
        assert!(matches!(refused(&flat), Err(Error::Shape { .. })));
        Ok(())
    }
}
