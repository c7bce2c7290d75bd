//! Some rows of a data set as a data set of its own.

use dml_core::{Dataset, Examples, IntoLabels, Labels, Result, check};

use crate::{Image, ImageSource};

/// The rows `rows` of a data set or source of images, in their order. Cloning is as cheap as that of the whole.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::{ImageDataset, Normalization, Subset};
///
/// let images = ImageDataset::new("x", (1, 1), vec![0, 51, 102], [0u8, 1, 1], ["a", "b"])?;
/// let last = Subset::new(images.normalized(Normalization::UNIT), vec![2, 1])?;
/// let examples = last.fetch(&[0], 0)?;
/// assert_eq!(examples.views()[0].flatten_all()?.to_vec1::<f32>()?, [0.4]);
/// assert_eq!(examples.rows(), [0]); // rows of the subset
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<D> {
    whole: D,
    rows: Vec<usize>,
    labels: Labels,
}

impl<D: Dataset> Subset<D> {
    /// Rows of a data set. Any row may come several times.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) for a row that the data set doesn't have.
    pub fn new(whole: D, rows: Vec<usize>) -> Result<Self> {
        let labels = pick(whole.labels(), &rows)?;
        Ok(Self {
            whole,
            rows,
            labels,
        })
    }
}

impl<S: ImageSource> Subset<S> {
    /// Rows of a source of images, to be augmented.
    ///
    /// # Errors
    /// [`Error::Index`](dml_core::Error::Index) for a row that the source doesn't have.
    pub fn of_source(whole: S, rows: Vec<usize>) -> Result<Self> {
        let labels = pick(whole.labels(), &rows)?;
        Ok(Self {
            whole,
            rows,
            labels,
        })
    }
}

impl<D> Subset<D> {
    /// What the rows are of.
    #[must_use]
    pub fn whole(&self) -> &D {
        &self.whole
    }

    /// The same rows with labels from 0 to the number of classes − 1, in the order of the labels before: what a classifier
    /// and losses with weights of classes ask for. The label k stands for `classes()[k]` of before.
    ///
    /// ```
    /// use dml_core::Dataset;
    /// use dml_data::{ImageDataset, Normalization, Subset};
    ///
    /// let images = ImageDataset::new("x", (1, 1), vec![0, 51, 102], [2u8, 1, 0], ["a", "b", "c"])?;
    /// let some = Subset::new(images.normalized(Normalization::UNIT), vec![0, 2])?;
    /// assert_eq!((some.labels().as_slice(), some.classes()), (&[2, 0][..], vec![0, 2]));
    /// let dense = some.with_dense_labels()?;
    /// assert_eq!(dense.labels().as_slice(), [1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`IntoLabels::into_labels`].
    pub fn with_dense_labels(self) -> Result<Self> {
        let classes = self.classes();
        let labels = self.labels.as_slice().iter();
        // Every label is among the classes, so the search always finds it.
        let dense = labels.map(|label| classes.partition_point(|class| class < label) as i64);
        let labels = dense.collect::<Vec<i64>>().into_labels()?;
        Ok(Self { labels, ..self })
    }

    /// The labels that some row has, in ascending order.
    #[must_use]
    pub fn classes(&self) -> Vec<i64> {
        let mut classes = self.labels.as_slice().to_vec();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// The rows of the whole, in the order of the subset.
    #[must_use]
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }
}

/// The labels of these rows.
pub(crate) fn pick(labels: &Labels, rows: &[usize]) -> Result<Labels> {
    check::indices("rows", rows.iter().copied(), labels.len())?;
    let labels: Vec<i64> = rows.iter().map(|&row| labels.as_slice()[row]).collect();
    labels.into_labels()
}

impl<D: Dataset> Dataset for Subset<D> {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
        check::indices("rows", rows.iter().copied(), self.rows.len())?;
        let of_whole: Vec<usize> = rows.iter().map(|&row| self.rows[row]).collect();
        let examples = self.whole.fetch(&of_whole, seed)?;
        if examples.rows() == of_whole {
            return Examples::with_views(examples.views().to_vec(), rows, &self.labels);
        }
        // The whole left rows out, and kept the order of the others.
        let mut left = rows.iter().zip(&of_whole);
        let kept: Vec<usize> = examples
            .rows()
            .iter()
            .filter_map(|row| left.find(|(_, own)| *own == row).map(|(&own, _)| own))
            .collect();
        Examples::with_views(examples.views().to_vec(), &kept, &self.labels)
    }
}

impl<S: ImageSource> ImageSource for Subset<S> {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn shape(&self) -> [usize; 3] {
        self.whole.shape()
    }

    fn image(&self, row: usize) -> crate::Result<Image> {
        check::indices("rows", [row], self.rows.len())?;
        self.whole.image(self.rows[row])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageDataset, Normalization};

    fn images() -> ImageDataset {
        let pixels = vec![0, 51, 102, 153];
        ImageDataset::new("x", (1, 1), pixels, [0u8, 1, 1, 0], ["a", "b"]).unwrap()
    }

    #[test]
    fn rows_and_labels_are_those_of_the_subset() -> Result<()> {
        let subset = Subset::new(images().normalized(Normalization::UNIT), vec![3, 1, 3])?;
        assert_eq!(subset.labels().as_slice(), [0, 1, 0]);
        let examples = subset.fetch(&[2, 1], 0)?;
        let values = examples.views()[0].flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(values, [0.6, 0.2]);
        assert_eq!(examples.rows(), [2, 1]);
        assert_eq!(examples.labels().as_slice(), [0, 1]);
        Ok(())
    }

    #[test]
    fn dense_labels_count_the_classes_that_are_there() -> Result<()> {
        use dml_core::IntoLabels;

        let labels = [40i64, 7, 20, 40, -3].into_labels()?;
        let values = dml_core::candle_core::Tensor::zeros(
            (5, 1),
            dml_core::candle_core::DType::F32,
            &dml_core::candle_core::Device::Cpu,
        )?;
        let whole = crate::TensorDataset::new(values, labels)?;
        let subset = Subset::new(whole, vec![3, 2, 0, 2])?;
        assert_eq!(subset.classes(), [20, 40]);
        let dense = subset.with_dense_labels()?;
        assert_eq!(
            (dense.labels().as_slice(), dense.classes()),
            (&[1, 0, 1, 0][..], vec![0, 1])
        );
        let examples = dense.fetch(&[2, 1], 0)?;
        assert_eq!(examples.labels().as_slice(), [1, 0]);
        assert_eq!(dense.rows(), [3, 2, 0, 2]);
        Ok(())
    }

    #[test]
    fn a_subset_of_images_is_a_source_of_images() -> crate::Result<()> {
        let subset = Subset::of_source(images(), vec![2])?;
        assert_eq!(subset.image(0)?.values(), [0.4]);
        assert_eq!(ImageSource::labels(&subset).as_slice(), [1]);
        assert!(subset.image(1).is_err());
        Ok(())
    }

    #[test]
    fn rows_that_are_not_there_are_errors() -> Result<()> {
        let whole = images().normalized(Normalization::UNIT);
        let message = Subset::new(&whole, vec![0, 4]).unwrap_err().to_string();
        assert_eq!(message, "rows[1]: expected an index below 4, got 4");
        let subset = Subset::new(&whole, vec![0])?;
        let message = subset.fetch(&[1], 0).unwrap_err().to_string();
        assert_eq!(message, "rows[0]: expected an index below 1, got 1");
        Ok(())
    }

    /// Leaves out the row with number 1.
    #[derive(Debug)]
    struct Leaky(crate::NormalizedImages);
    impl Dataset for Leaky {
        fn labels(&self) -> &Labels {
            self.0.labels()
        }
        fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
            let kept: Vec<usize> = rows.iter().copied().filter(|&row| row != 1).collect();
            self.0.fetch(&kept, seed)
        }
    }

    #[test]
    fn rows_that_the_whole_leaves_out_are_left_out() -> Result<()> {
        let leaky = Leaky(images().normalized(Normalization::UNIT));
        let subset = Subset::new(leaky, vec![2, 1, 3])?;
        let examples = subset.fetch(&[2, 1, 0, 2], 0)?;
        assert_eq!(examples.rows(), [2, 0, 2]);
        assert_eq!(examples.labels().as_slice(), [0, 1, 0]);
        Ok(())
    }
}
