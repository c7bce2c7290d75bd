//! Labelled things that come as tensors, batch by batch.

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::Tensor;

use crate::forward;
use crate::{IntoLabels, Labels, Result, check};

/// Things with a label each, fetched by their numbers.
///
/// A data set knows nothing of order or batches, which are a [`Sampler`](crate::Sampler)'s, and holds no state: the same
/// rows and seed give the same examples, whoever asks, in whatever order. Fetching can so be done ahead, by any number
/// of threads, and taken up again after an interruption.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Dataset, Examples, IntoLabels, Labels, Result};
///
/// /// Numbers and whether they are odd.
/// #[derive(Debug)]
/// struct Numbers(Labels);
/// impl Dataset for Numbers {
///     fn labels(&self) -> &Labels {
///         &self.0
///     }
///     fn fetch(&self, rows: &[usize], _seed: u64) -> Result<Examples> {
///         let values: Vec<f32> = rows.iter().map(|&row| row as f32).collect();
///         Examples::new(Tensor::from_vec(values, (rows.len(), 1), &Device::Cpu)?, rows, &self.0)
///     }
/// }
///
/// let numbers = Numbers([0i64, 1, 0, 1].into_labels()?);
/// let examples = numbers.fetch(&[3, 0], 0)?;
/// assert_eq!(examples.views()[0].to_vec2::<f32>()?, [[3.], [0.]]);
/// assert_eq!(examples.labels().as_slice(), [1, 0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Dataset: Debug + Send + Sync {
    /// The label of every thing.
    fn labels(&self) -> &Labels;

    /// The things of `rows` as tensors on the CPU; `seed` decides what is random about them.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a row without a thing, [`Error::Dataset`](crate::Error::Dataset) if
    /// one can't be read.
    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples>;

    /// How many things there are.
    fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there is nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The examples of a list of rows: tensors whose first dimension is the rows, and labels.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Examples, IntoLabels};
///
/// let labels = [7i64, 8, 9].into_labels()?; // of the whole data set
/// let view = Tensor::new(&[[2f32], [0.]], &Device::Cpu)?;
/// let examples = Examples::new(view, &[2, 0], &labels)?;
/// assert_eq!(examples.labels().as_slice(), [9, 7]);
/// assert_eq!(examples.select(&[1])?.rows(), [0]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Examples {
    views: Vec<Tensor>,
    rows: Vec<usize>,
    labels: Labels,
}

impl Examples {
    /// The things of `rows` once; `labels` are those of the whole data set.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) unless there is one thing per row, [`Error::Index`](crate::Error::Index)
    /// for a row without a label.
    pub fn new(view: Tensor, rows: &[usize], labels: &Labels) -> Result<Self> {
        Self::with_views(vec![view], rows, labels)
    }

    /// Several views of the same things, such as augmentations of an image or a photo and a sketch: one tensor each.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) without a view, [`Error::Length`](crate::Error::Length) unless there
    /// is one thing per row, [`Error::Index`](crate::Error::Index) for a row without a label.
    pub fn with_views(views: Vec<Tensor>, rows: &[usize], labels: &Labels) -> Result<Self> {
        check::present(views.first(), "Examples", "at least one view")?;
        for view in &views {
            let got = view.dims().first().copied().unwrap_or(0);
            check::length("views", rows.len(), got)?;
        }
        let labels = labels.as_slice();
        check::indices("rows", rows.iter().copied(), labels.len())?;
        let labels: Vec<i64> = rows.iter().map(|&row| labels[row]).collect();
        Ok(Self {
            views,
            rows: rows.to_vec(),
            labels: labels.into_labels()?,
        })
    }

    /// The views, at least one: `[rows, …]` each.
    #[must_use]
    pub fn views(&self) -> &[Tensor] {
        &self.views
    }

    /// Which rows of the data set these are. Fewer than were asked for, if the data set skips what it can't read.
    #[must_use]
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The label of each row.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Some of the examples, by their place among these, in that order and as often as they are named.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a place without an example.
    pub fn select(&self, places: &[usize]) -> Result<Self> {
        check::indices("places", places.iter().copied(), self.len())?;
        let labels = places.iter().map(|&place| self.labels.as_slice()[place]);
        let labels: Vec<i64> = labels.collect();
        let numbers: Vec<u32> = places.iter().map(|&place| place as u32).collect();
        let select = |view: &Tensor| {
            let numbers = Tensor::new(numbers.as_slice(), view.device())?;
            Ok(view.index_select(&numbers, 0)?)
        };
        Ok(Self {
            views: self.views.iter().map(select).collect::<Result<_>>()?,
            rows: places.iter().map(|&place| self.rows[place]).collect(),
            labels: labels.into_labels()?,
        })
    }

    /// The same examples with each view changed: put on a device, say, or into another element type.
    ///
    /// # Errors
    /// As `f`.
    pub fn map(self, f: impl FnMut(Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self {
            views: self.views.into_iter().map(f).collect::<Result<_>>()?,
            ..self
        })
    }
}

forward!(Dataset for [&T, Box<T>, Arc<T>] {
    fn labels(&self) -> &Labels;
    fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples>;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool;
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use candle_core::{DType, Device};

    #[test]
    fn some_examples_are_views_rows_and_labels_alike() -> Result<()> {
        let labels = [7i64, 8, 9].into_labels()?;
        let view = Tensor::new(&[[0f32, 1.], [2., 3.]], &Device::Cpu)?;
        let examples = Examples::with_views(vec![view.clone(), view], &[2, 0], &labels)?;
        let some = examples.select(&[1, 1, 0])?;
        assert_eq!(some.rows(), [0, 0, 2]);
        assert_eq!(some.labels().as_slice(), [7, 7, 9]);
        for view in some.views() {
            assert_eq!(view.to_vec2::<f32>()?, [[2., 3.], [2., 3.], [0., 1.]]);
        }
        assert!(examples.select(&[])?.is_empty());
        let outside = examples.select(&[0, 2]);
        assert!(matches!(
            outside,
            Err(Error::Index {
                arg: "places",
                position: 1,
                ..
            })
        ));
        Ok(())
    }

    #[test]
    fn examples_are_checked() -> Result<()> {
        fn _object(_: &dyn Dataset) {}
        let labels = [4i64, 5].into_labels()?;
        let two = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        let examples = Examples::new(two.clone(), &[1, 1], &labels)?;
        assert_eq!(examples.labels().as_slice(), [5, 5]);
        assert_eq!((examples.len(), examples.is_empty()), (2, false));
        let wide = examples.map(|view| Ok(view.to_dtype(DType::F64)?))?;
        assert_eq!(wide.views()[0].dtype(), DType::F64);
        let wrong = |views: Vec<Tensor>, rows: &[usize]| Examples::with_views(views, rows, &labels);
        assert!(matches!(wrong(vec![], &[]), Err(Error::Missing { .. })));
        assert!(matches!(
            wrong(vec![two.clone()], &[0]),
            Err(Error::Length { arg: "views", .. })
        ));
        assert!(matches!(
            wrong(vec![two], &[0, 2]),
            Err(Error::Index { position: 1, .. })
        ));
        Ok(())
    }
}
