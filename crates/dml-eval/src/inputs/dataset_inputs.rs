//! A data set as inputs of a network.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::{Dataset, Result, check};

use super::Inputs;

/// The things of a [`Dataset`] in their order, as they are fetched with seed 0: the first view, on the CPU.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_core::{Dataset, Examples, IntoLabels, Labels, Result};
/// use dml_eval::{DatasetInputs, Inputs, TestSplit};
///
/// /// Numbers and whether they are odd.
/// #[derive(Debug)]
/// struct Numbers(Labels);
///
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
/// let numbers = Arc::new(Numbers([0i64, 1, 0].into_labels()?));
/// let inputs = DatasetInputs::new(numbers.clone());
/// assert_eq!(inputs.batch(1..3)?.to_vec2::<f32>()?, [[1.], [2.]]);
/// let split = TestSplit::new("numbers", inputs, numbers.labels())?;
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DatasetInputs {
    dataset: Arc<dyn Dataset>,
    view: usize,
    seed: u64,
    device: Device,
}

impl DatasetInputs {
    /// The first view of every thing.
    #[must_use]
    pub fn new(dataset: impl Dataset + 'static) -> Self {
        Self {
            dataset: Arc::new(dataset),
            view: 0,
            seed: 0,
            device: Device::Cpu,
        }
    }

    dml_core::setters! {
        /// Another view, from 0 on: the second of photos and sketches, say.
        pub fn with_view(self, view: usize) { self.view = view }

        /// Another seed, for what is random about the things.
        pub fn with_seed(self, seed: u64) { self.seed = seed }

        /// Puts the things on the device of the network.
        pub fn with_device(self, device: &Device) { self.device = device.clone() }
    }
}

impl Inputs for DatasetInputs {
    fn rows(&self) -> usize {
        self.dataset.len()
    }

    /// # Errors
    /// Those of the data set; [`Error::Length`](dml_core::Error::Length) if it skips things, as labels would not fit
    /// what is left; [`Error::Index`](dml_core::Error::Index) if there is no such view.
    fn batch(&self, rows: Range<usize>) -> Result<Tensor> {
        let rows: Vec<usize> = rows.collect();
        let examples = self.dataset.fetch(&rows, self.seed)?;
        if examples.rows() != rows {
            check::length("things of the data set", rows.len(), examples.len())?;
        }
        let views = examples.views();
        check::indices("view", [self.view], views.len())?;
        Ok(views[self.view].to_device(&self.device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;
    use dml_core::{Examples, IntoLabels, Labels};

    /// Two views of numbers plus the seed; the number 3 can't be read.
    #[derive(Debug)]
    struct Numbers(Labels);

    impl Dataset for Numbers {
        fn labels(&self) -> &Labels {
            &self.0
        }

        fn fetch(&self, rows: &[usize], seed: u64) -> Result<Examples> {
            let rows: Vec<usize> = rows.iter().copied().filter(|row| *row != 3).collect();
            let view = |sign: f32| {
                let values = rows.iter().map(|row| sign * (*row as f32 + seed as f32));
                let values: Vec<f32> = values.collect();
                Tensor::from_vec(values, (rows.len(), 1), &Device::Cpu)
            };
            Examples::with_views(vec![view(1.0)?, view(-1.0)?], &rows, &self.0)
        }
    }

    #[test]
    fn views_and_seeds_are_chosen_and_gaps_are_errors() -> Result<()> {
        let inputs = DatasetInputs::new(Arc::new(Numbers([0i64; 5].into_labels()?)));
        assert_eq!(inputs.rows(), 5);
        let second = inputs.clone().with_view(1).with_seed(10);
        assert_eq!(second.batch(1..3)?.to_vec2::<f32>()?, [[-11.], [-12.]]);
        assert!(matches!(
            inputs.batch(2..5),
            Err(Error::Length {
                expected: 3,
                got: 2,
                ..
            })
        ));
        assert!(matches!(
            inputs.with_view(2).batch(0..1),
            Err(Error::Index {
                arg: "view",
                limit: 2,
                got: 2,
                ..
            })
        ));
        Ok(())
    }
}
