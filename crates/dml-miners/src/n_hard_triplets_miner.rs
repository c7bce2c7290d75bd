//! Several of the hardest positives and negatives of each anchor, every one with every other.
//!
//! ```text
//! P = the n_positive positives of largest h, the hardest skip_positive of them left out
//! N = the n_negative negatives of smallest h, the hardest skip_negative of them left out
//! triplets {a} × P × N          h: the distance; for similarities its negative
//! ```
//!
//! Between batch-hard mining (one of each) and all triplets. The very hardest are often labelling errors: leaving out
//! the first few of them keeps the training from chasing those. Of equal distances the first row is harder.

use std::cmp::Ordering;
use std::sync::Arc;

use dml_core::autograd::Element;
use dml_core::kernels::{Real, map_rows};
use dml_core::{Batch, Distance, Miner, Result, Triplets, Tuples, check};

use crate::host::{Sides, with_distances};

dml_core::config! {
    /// Configuration of [`NHardTripletsMiner`].
    #[derive(Eq)]
    pub struct NHardTripletsMinerConfig {
        /// How many positives of each anchor, 1 to 4,294,967,295. Default `1`.
        pub n_positive: usize = 1,
        /// How many negatives of each anchor, 1 to 4,294,967,295. Default `1`.
        pub n_negative: usize = 1,
        /// How many of the hardest positives are left out. Default `0`.
        pub skip_positive: usize = 0,
        /// How many of the hardest negatives are left out. Default `0`.
        pub skip_negative: usize = 0,
    }
}

/// Chooses the hardest few positives and negatives of each anchor ([definition](self)), hardest first.
///
/// ```
/// use dml_core::{Batch, Miner, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{NHardTripletsMiner, NHardTripletsMinerConfig};
///
/// let config = NHardTripletsMinerConfig { n_negative: 2, ..Default::default() };
/// let miner = NHardTripletsMiner::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.], [-1., 0.], [0., -1.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1, 2, 3])?;
/// // Nearest to row 0 are rows 2 and 4, both a quarter turn away; to row 1 rows 2 and 4 or 3: it is 4.
/// let triplets = miner.mine(&batch)?.triplets(&batch)?;
/// assert_eq!((&triplets.anchors[..], &triplets.negatives[..]), (&[0, 0, 1, 1][..], &[2, 4, 2, 4][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NHardTripletsMiner {
    config: NHardTripletsMinerConfig,
    distance: Arc<dyn Distance>,
}

impl NHardTripletsMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if no positive or no negative is asked for.
    pub fn new(
        config: NHardTripletsMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        check::at_least_one("n_positive", config.n_positive)?;
        check::at_least_one("n_negative", config.n_negative)?;
        Ok(Self {
            config,
            distance: Arc::new(distance),
        })
    }
}

/// Moves the `n` rows of smallest key to the front, in order, the first `skip` left out.
fn first_by_key<T: Element>(rows: &mut Vec<u32>, n: usize, skip: usize, key: impl Fn(u32) -> T) {
    let order = |a: &u32, b: &u32| -> Ordering {
        key(*a).sort_key().cmp(&key(*b).sort_key()).then(a.cmp(b))
    };
    // What is no number has no place in the order: it is kept whatever is asked for, so that the loss sees it.
    let is_nan = |row: &u32| Real::is_nan(key(*row));
    let nans: Vec<u32> = rows.iter().copied().filter(is_nan).collect();
    if !nans.is_empty() {
        *rows = nans;
        return;
    }
    let wanted = skip.saturating_add(n);
    if wanted < rows.len() {
        rows.select_nth_unstable_by(wanted, order);
        rows.truncate(wanted);
    }
    rows.sort_unstable_by(order);
    rows.drain(..skip.min(rows.len()));
}

impl Miner for NHardTripletsMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("NHardTripletsMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let references = batch.references();
        let sign = self.distance.order().sign();
        let config = &self.config;
        let chosen = with_distances!(batch, &self.distance, |matrix: &[T]| {
            let sign = <T as Real>::from_f64(sign);
            map_rows(batch.queries(), |q, sides: &mut Sides| {
                let row = &matrix[q * references..][..references];
                sides.of(relation, q);
                let (n, skip) = (config.n_positive, config.skip_positive);
                first_by_key(&mut sides.positives, n, skip, |p| -(sign * row[p as usize]));
                let (n, skip) = (config.n_negative, config.skip_negative);
                first_by_key(&mut sides.negatives, n, skip, |n| sign * row[n as usize]);
                (sides.positives.clone(), sides.negatives.clone())
            })
        })?;
        let triplets = (0..).zip(&chosen).flat_map(|(a, (positives, negatives))| {
            let pairs = positives
                .iter()
                .flat_map(move |p| negatives.iter().map(move |n| (*p, *n)));
            pairs.map(move |(p, n)| (a, p, n))
        });
        Ok(triplets.collect::<Triplets>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::example_distance::{DotProduct, Euclidean, triplets};
    use candle_core::{Device, Tensor};
    use dml_core::Error;

    fn mine(
        config: NHardTripletsMinerConfig,
        distance: Arc<dyn Distance>,
        labels: [i64; 6],
    ) -> Result<Vec<[u32; 3]>> {
        let embeddings = Tensor::new(&[[1f32], [2.], [4.], [5.], [7.], [11.]], &Device::Cpu)?;
        let batch = Batch::new(&embeddings, labels)?;
        let mined = NHardTripletsMiner::new(config, distance)?.mine(&batch)?;
        Ok(triplets(&mined, &batch)?
            .into_iter()
            .filter(|t| t[0] == 0)
            .collect())
    }

    #[test]
    fn the_hardest_few_come_hardest_first_and_the_skipped_are_left_out() -> Result<()> {
        let config =
            |n_positive, n_negative, skip_positive, skip_negative| NHardTripletsMinerConfig {
                n_positive,
                n_negative,
                skip_positive,
                skip_negative,
            };
        let labels = [0, 0, 1, 0, 2, 3];
        let mined = |c| mine(c, Arc::new(Euclidean), labels);
        assert_eq!(mined(config(1, 1, 0, 0))?, [[0, 3, 2]]);
        assert_eq!(
            mined(config(2, 2, 0, 0))?,
            [[0, 3, 2], [0, 3, 4], [0, 1, 2], [0, 1, 4]]
        );
        assert_eq!(mined(config(1, 1, 1, 1))?, [[0, 1, 4]]);
        assert_eq!(mined(config(9, 9, 1, 2))?, [[0, 1, 5]]);
        assert!(mined(config(1, 1, 2, 0))?.is_empty());
        assert_eq!(
            mine(config(1, 2, 0, 0), Arc::new(DotProduct), labels)?,
            [[0, 1, 5], [0, 1, 4]]
        );
        Ok(())
    }

    #[test]
    fn errors_name_their_cause() {
        let none = NHardTripletsMinerConfig {
            n_negative: 0,
            ..Default::default()
        };
        assert!(matches!(
            NHardTripletsMiner::new(none, Euclidean),
            Err(Error::InvalidParameter {
                name: "n_negative",
                ..
            })
        ));
    }
}
