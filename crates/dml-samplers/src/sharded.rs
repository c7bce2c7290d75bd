//! One sampler for several processes: each takes its share of what the sampler yields.

use std::sync::Arc;

use dml_core::{Result, Sampler, check};

/// What of a sampler's batches a process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Share {
    /// Its part of the rows of every batch: for a loss over the gathered embeddings of all processes, which then see
    /// the sampler's batch as a whole.
    #[default]
    Rows,
    /// Every `world`-th batch as a whole: for losses of each process by itself.
    Batches,
}

/// Configuration of [`ShardedSampler`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ShardedSamplerConfig {
    /// This process's number, below `world`.
    pub rank: usize,
    /// The number of processes, 1 to 4,294,967,295.
    pub world: usize,
    /// What it takes. Default [`Share::Rows`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub share: Share,
}

/// The share of one process in a sampler; all processes must have the same sampler, seed included.
///
/// The shares are disjoint, together they are what the sampler yields, and all processes see equally many batches, so
/// that none waits for another: under [`Share::Batches`] the last `batches % world` batches are left out. Under
/// [`Share::Rows`] the parts of a batch follow each other, and their lengths differ by one at most, or by none where
/// `world` divides the batch.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::Sampler;
/// use dml_samplers::{ShardedSampler, ShardedSamplerConfig, Share, ShuffleSampler, ShuffleSamplerConfig};
///
/// let config = ShuffleSamplerConfig { batch_size: 8, ..Default::default() };
/// let whole = Arc::new(ShuffleSampler::new(config, 32)?);
/// let part = |rank| {
///     let config = ShardedSamplerConfig { rank, world: 2, share: Share::Rows };
///     ShardedSampler::new(config, whole.clone())
/// };
/// let (first, second) = (part(0)?.epoch(0).next().unwrap(), part(1)?.epoch(0).next().unwrap());
/// assert_eq!([first, second].concat(), whole.epoch(0).next().unwrap());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ShardedSampler {
    config: ShardedSamplerConfig,
    sampler: Arc<dyn Sampler>,
}

impl ShardedSampler {
    /// The share of process `rank` of `world`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `world` is 0 or `rank` is not below it, or if
    /// under [`Share::Batches`] there are fewer batches than processes.
    pub fn new(config: ShardedSamplerConfig, sampler: impl Sampler + 'static) -> Result<Self> {
        check::at_least_one("world", config.world)?;
        let (rank, world) = (config.rank, config.world);
        check::whole(rank < world, "rank", rank, "a number below world")?;
        let fits = config.share == Share::Rows || world <= sampler.batches();
        check::whole(fits, "world", world, "at most the sampler's batches")?;
        Ok(Self {
            config,
            sampler: Arc::new(sampler),
        })
    }
}

impl Sampler for ShardedSampler {
    fn epoch(&self, epoch: u64) -> Box<dyn Iterator<Item = Vec<usize>> + Send + '_> {
        let ShardedSamplerConfig { rank, world, share } = self.config;
        let batches = self.sampler.epoch(epoch);
        match share {
            Share::Rows => Box::new(batches.map(move |batch| {
                // The first `len % world` parts have one row more.
                let start = |r: usize| r * (batch.len() / world) + r.min(batch.len() % world);
                batch[start(rank)..start(rank + 1)].to_vec()
            })),
            Share::Batches => Box::new(batches.skip(rank).step_by(world).take(self.batches())),
        }
    }

    fn batches(&self) -> usize {
        match self.config.share {
            Share::Rows => self.sampler.batches(),
            Share::Batches => self.sampler.batches() / self.config.world,
        }
    }

    fn state(&self) -> Option<Vec<f64>> {
        self.sampler.state()
    }

    fn set_state(&self, state: &[f64]) -> Result<()> {
        self.sampler.set_state(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShuffleSampler, ShuffleSamplerConfig};
    use proptest::prelude::*;

    fn whole(rows: usize, batch_size: usize) -> Arc<dyn Sampler> {
        let config = ShuffleSamplerConfig {
            batch_size,
            ..Default::default()
        };
        Arc::new(ShuffleSampler::new(config, rows).unwrap())
    }

    fn shard(
        rank: usize,
        world: usize,
        share: Share,
        sampler: &Arc<dyn Sampler>,
    ) -> Result<ShardedSampler> {
        ShardedSampler::new(ShardedSamplerConfig { rank, world, share }, sampler.clone())
    }

    proptest! {
        #[test]
        fn shares_make_up_the_whole(rows in 1usize..60, size in 1usize..9, world in 1usize..5, epoch: u64) {
            let sampler = whole(rows, size);
            let batches: Vec<Vec<usize>> = sampler.epoch(epoch).collect();
            let mut parts = vec![Vec::new(); batches.len()];
            for rank in 0..world {
                let part = shard(rank, world, Share::Rows, &sampler).unwrap();
                let part: Vec<Vec<usize>> = part.epoch(epoch).collect();
                prop_assert_eq!(part.len(), batches.len());
                for (all, part) in parts.iter_mut().zip(&part) {
                    all.extend_from_slice(part);
                }
            }
            prop_assert_eq!(&parts, &batches);

            if batches.len() >= world {
                for rank in 0..world {
                    let part = shard(rank, world, Share::Batches, &sampler).unwrap();
                    let part: Vec<Vec<usize>> = part.epoch(epoch).collect();
                    prop_assert_eq!(part.len(), batches.len() / world);
                    for (i, batch) in part.iter().enumerate() {
                        prop_assert_eq!(batch, &batches[i * world + rank]);
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_parameters_are_named() {
        let sampler = whole(10, 4); // three batches
        for (rank, world, share, message) in [
            (
                0,
                0,
                Share::Rows,
                "world: expected a whole number >= 1, got 0",
            ),
            (
                2,
                2,
                Share::Rows,
                "rank: expected a number below world, got 2",
            ),
            (
                0,
                4,
                Share::Batches,
                "world: expected at most the sampler's batches, got 4",
            ),
        ] {
            let error = shard(rank, world, share, &sampler).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
