//! Epoch after epoch without an end, from any position on.

use dml_core::{Result, Sampler, check};

/// A place in the batches of all epochs: all that has to be stored to take up a run where it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Position {
    /// The epoch, from 0 on.
    pub epoch: u64,
    /// The batch within the epoch, from 0 on.
    pub batch: usize,
}

/// The batches of all epochs of a sampler, each with its [`Position`].
///
/// ```
/// use dml_core::Sampler;
/// use dml_samplers::{BatchStream, Position, ShuffleSampler, ShuffleSamplerConfig};
///
/// let config = ShuffleSamplerConfig { batch_size: 4, ..Default::default() };
/// let sampler = ShuffleSampler::new(config, 10)?; // three batches in an epoch
/// let mut stream = BatchStream::new(&sampler, Position::default())?;
/// stream.by_ref().take(5).for_each(drop);
/// let stored = stream.position();
/// assert_eq!(stored, Position { epoch: 1, batch: 2 });
/// assert_eq!(BatchStream::new(&sampler, stored)?.next(), stream.next());
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct BatchStream<'a> {
    sampler: &'a dyn Sampler,
    /// The rest of the position's epoch, once one of its batches was asked for.
    rest: Option<Box<dyn Iterator<Item = Vec<usize>> + Send + 'a>>,
    position: Position,
}

impl<'a> BatchStream<'a> {
    /// The batches from `position` on.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the position is no batch of an epoch, as when
    /// it was stored with another sampler.
    pub fn new(sampler: &'a dyn Sampler, position: Position) -> Result<Self> {
        let batch = position.batch;
        let exists = batch == 0 || batch < sampler.batches();
        check::whole(exists, "batch", batch, "a batch of the sampler's epochs")?;
        Ok(Self {
            sampler,
            rest: None,
            position,
        })
    }

    /// The position of the batch that [`next`](Iterator::next) gives.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Iterator for BatchStream<'_> {
    type Item = Vec<usize>;

    /// The next batch, of the next epoch after the last of one; `None` only if epochs have no batches.
    fn next(&mut self) -> Option<Vec<usize>> {
        let Position { epoch, batch } = self.position;
        let rest = self.rest.get_or_insert_with(|| {
            let mut batches = self.sampler.epoch(epoch);
            batches.by_ref().take(batch).for_each(drop);
            batches
        });
        let rows = rest.next()?;
        self.position.batch += 1;
        if self.position.batch >= self.sampler.batches() {
            self.position = Position {
                epoch: epoch.wrapping_add(1),
                batch: 0,
            };
            self.rest = None;
        }
        Some(rows)
    }
}

dml_core::debug_fields!(BatchStream<'_>, |own| { sampler: own.sampler, position: own.position });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MPerClassSampler, MPerClassSamplerConfig};

    fn sampler() -> MPerClassSampler {
        let labels: Vec<i64> = (0..30).map(|i| i % 6).collect();
        let config = MPerClassSamplerConfig {
            batch_size: Some(4),
            length_before_new_iter: 12,
            ..MPerClassSamplerConfig::new(2)
        };
        MPerClassSampler::new(config, &labels).unwrap()
    }

    #[test]
    fn a_stream_is_epoch_after_epoch_and_can_be_taken_up_anywhere() -> Result<()> {
        let sampler = sampler(); // three batches in an epoch
        let all: Vec<Vec<usize>> = (0..4).flat_map(|epoch| sampler.epoch(epoch)).collect();
        let mut stream = BatchStream::new(&sampler, Position::default())?;
        for (i, batch) in all.iter().enumerate() {
            let position = stream.position();
            assert_eq!((position.epoch, position.batch), (i as u64 / 3, i % 3));
            let taken_up: Vec<Vec<usize>> = BatchStream::new(&sampler, position)?
                .take(all.len() - i)
                .collect();
            assert_eq!(taken_up, all[i..]);
            assert_eq!(stream.next().as_ref(), Some(batch));
        }
        assert_eq!(stream.position(), Position { epoch: 4, batch: 0 });
        Ok(())
    }

    #[test]
    fn a_position_of_another_sampler_is_refused() {
        let sampler = sampler();
        let error = BatchStream::new(&sampler, Position { epoch: 0, batch: 3 }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "batch: expected a batch of the sampler's epochs, got 3"
        );
        let text = format!(
            "{:?}",
            BatchStream::new(&sampler, Position::default()).unwrap()
        );
        assert!(text.contains("Position { epoch: 0, batch: 0 }"), "{text}");
    }

    #[test]
    fn a_sampler_without_batches_ends_the_stream() -> Result<()> {
        #[derive(Debug)]
        struct Nothing;
        impl Sampler for Nothing {
            fn epoch(&self, _: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
                Box::new(std::iter::empty())
            }
            fn batches(&self) -> usize {
                0
            }
        }
        assert_eq!(
            BatchStream::new(&Nothing, Position::default())?.next(),
            None
        );
        Ok(())
    }
}
