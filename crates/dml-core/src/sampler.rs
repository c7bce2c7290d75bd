//! Samplers: which rows of a data set make a batch.

use std::fmt::Debug;
use std::sync::Arc;

use crate::forward;
use crate::{Error, Result};

/// Chooses the batches of an epoch.
///
/// ```
/// use dml_core::Sampler;
///
/// /// Blocks of successive rows, in an order that turns with the epoch.
/// #[derive(Debug)]
/// struct Blocks {
///     rows: usize,
///     size: usize,
/// }
///
/// impl Sampler for Blocks {
///     fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
///         let first = epoch as usize % self.batches();
///         let batch = move |i: usize| {
///             let start = (first + i) % self.batches() * self.size;
///             (start..(start + self.size).min(self.rows)).collect()
///         };
///         Box::new((0..self.batches()).map(batch))
///     }
///     fn batches(&self) -> usize {
///         self.rows.div_ceil(self.size)
///     }
/// }
///
/// let sampler = Blocks { rows: 5, size: 2 };
/// assert_eq!(sampler.epoch(0).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3], vec![4]]);
/// assert_eq!(sampler.epoch(1).next(), Some(vec![2, 3]));
/// ```
pub trait Sampler: Debug + Send + Sync {
    /// The batches of an epoch, each a list of rows of the data set. The same epoch gives the same batches, as long as
    /// the [state](Sampler::state) is the same.
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_>;

    /// Number of batches that [`epoch`](Sampler::epoch) yields.
    fn batches(&self) -> usize;

    /// State that batches depend on beside the epoch, as numbers for a checkpoint: weights of rows that change during a
    /// run, for example. `None` for samplers without such state.
    ///
    /// A training loop draws the batches of an epoch from a sampler with a state only when it needs the first of them.
    fn state(&self) -> Option<Vec<f64>> {
        None
    }

    /// Goes on from what [`state`](Sampler::state) gave.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no state to be set; others if these numbers are none of this sampler's.
    fn set_state(&self, _state: &[f64]) -> Result<()> {
        Err(Error::unsupported(
            "Sampler::set_state",
            "this sampler has no state",
        ))
    }
}

forward!(Sampler for [&T, Box<T>, Arc<T>] {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_>;
    fn batches(&self) -> usize;
    fn state(&self) -> Option<Vec<f64>>;
    fn set_state(&self, state: &[f64]) -> Result<()>;
});
