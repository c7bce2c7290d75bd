//! The hardest pairs of the whole batch, of a cascade of ever harder ones.
//!
//! ```text
//! positives: the ⌈filter_percentage · count⌉ of largest h      h: the distance; for similarities its negative
//! negatives: the ⌈filter_percentage · count⌉ of smallest h
//! ```
//!
//! Yuan, Yang and Zhang, "Hard-Aware Deeply Cascaded Embedding" (2017, arXiv:1611.05720). Of equally hard pairs at the
//! cut the first ones stay, row by row.

use std::sync::{Arc, Mutex, PoisonError};

use dml_core::autograd::Element;
use dml_core::kernels::{KthSmallest, MaskRow, PairMask, Real, map_rows};
use dml_core::{Batch, Distance, Miner, Pairs, Result, TupleSet, Tuples, check};

use crate::host::{Sides, with_distances};

dml_core::config! {
    /// Configuration of [`HDCMiner`].
    pub struct HDCMinerConfig {
        /// The share of pairs that stays, in `[0, 1]`. Default `0.5`.
        pub filter_percentage: f64 = 0.5,
    }
}

/// Chooses the hardest pairs of the batch ([definition](self)).
///
/// Miners of a cascade hand their pairs on: [`filter`](HDCMiner::filter) chooses among given tuples. Or a miner is
/// told once with [`set_tuples`](HDCMiner::set_tuples), and then filters what is left at every call.
///
/// ```
/// use dml_core::{Batch, Miner, Tuples, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{HDCMiner, HDCMinerConfig};
///
/// let miner = HDCMiner::new(HDCMinerConfig::default(), LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.], [-1., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 0, 1])?;
/// let hard = miner.mine(&batch)?;
/// let pairs = hard.pairs(&batch)?;
/// // Six positive pairs, of which (0, 2) and (2, 0) are farthest and (1, 2) is next; six negative ones.
/// assert_eq!(pairs.positive_anchors, [0, 1, 2]);
/// let harder = miner.filter(&batch, &hard)?.pairs(&batch)?;
/// assert_eq!((&harder.positive_anchors[..], &harder.positives[..]), (&[0, 2][..], &[2, 0][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct HDCMiner {
    filter_percentage: f64,
    distance: Arc<dyn Distance>,
    given: Mutex<Option<Tuples>>,
}

impl Clone for HDCMiner {
    fn clone(&self) -> Self {
        Self {
            filter_percentage: self.filter_percentage,
            distance: self.distance.clone(),
            given: Mutex::new(self.given()),
        }
    }
}

impl HDCMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a share outside of `[0, 1]`.
    pub fn new(config: HDCMinerConfig, distance: impl Distance + 'static) -> Result<Self> {
        let share = config.filter_percentage;
        let fits = (0.0..=1.0).contains(&share);
        check::parameter(fits, "filter_percentage", share, "a number in [0, 1]")?;
        Ok(Self {
            filter_percentage: share,
            distance: Arc::new(distance),
            given: Mutex::new(None),
        })
    }

    /// From now on mines among these tuples, and after each call among those that it chose.
    pub fn set_tuples(&self, tuples: Tuples) {
        self.put(Some(tuples));
    }

    /// Mines among all pairs again.
    pub fn reset_tuples(&self) {
        self.put(None);
    }

    fn given(&self) -> Option<Tuples> {
        let given = self.given.lock();
        given.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, tuples: Option<Tuples>) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = tuples;
    }

    /// The hardest pairs among `tuples`; triplets count as their pairs.
    ///
    /// Lists stay lists, in their order; all pairs and masks become a mask.
    ///
    /// # Errors
    /// [`Error::Missing`](dml_core::Error::Missing) for [`Tuples::all`] of a batch without a relation, [`Error::Index`](dml_core::Error::Index) for a row outside of the
    /// batch, and as the distance.
    pub fn filter(&self, batch: &Batch, tuples: &Tuples) -> Result<Tuples> {
        tuples.check(batch)?;
        if batch.spoiled(tuples)?.is_some() {
            return Ok(tuples.clone());
        }
        let among = if tuples.is_triplets() || tuples.as_pairs().is_some() {
            Among::List(tuples.pairs(batch)?)
        } else {
            Among::Rows(tuples.by_anchor("HDCMiner", batch)?)
        };
        with_distances!(batch, &self.distance, |matrix: &[T]| {
            let hardest = Hardest {
                matrix,
                references: batch.references(),
                sign: <T as Real>::from_f64(self.distance.order().sign()),
                share: self.filter_percentage,
            };
            match &among {
                Among::List(pairs) => hardest.of_list(pairs).into(),
                Among::Rows(set) => {
                    let mask = hardest.of_rows(batch.queries(), |q, sides| {
                        sides.clear();
                        set.split(q, &mut sides.positives, &mut sides.negatives);
                    });
                    Tuples::from_set(mask)
                }
            }
        })
    }
}

impl Miner for HDCMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        match self.given() {
            None => self.filter(batch, &Tuples::all()),
            Some(given) => {
                let chosen = self.filter(batch, &given)?;
                self.put(Some(chosen.clone()));
                Ok(chosen)
            }
        }
    }

    fn mine_among(&self, batch: &Batch, tuples: &Tuples) -> Result<Tuples> {
        self.filter(batch, tuples)
    }
}

/// The pairs that are chosen among.
enum Among {
    /// In the order of a list, repeats included.
    List(Arc<Pairs>),
    /// Row by row, each once.
    Rows(Arc<dyn TupleSet>),
}

struct Hardest<'a, T> {
    matrix: &'a [T],
    references: usize,
    sign: T,
    share: f64,
}

/// How easy a pair is; NaN, which has no place in the order, is the hardest, so that the loss sees it.
fn ease<T: Element>(ease: T) -> T {
    if Real::is_nan(ease) {
        <T as Real>::from_f64(f64::NEG_INFINITY)
    } else {
        ease
    }
}

impl<T: Element> Hardest<'_, T> {
    fn keep(&self, count: u64) -> u64 {
        (self.share * count as f64).ceil() as u64
    }

    /// How easy a negative pair is; a positive one is the easier the nearer it is.
    fn far(&self, q: usize, r: u32) -> T {
        self.sign * self.matrix[q * self.references + r as usize]
    }

    fn of_rows(&self, queries: usize, find: impl Fn(usize, &mut Sides) + Sync) -> PairMask {
        let ease = map_rows(queries, |q, sides: &mut Sides| {
            find(q, sides);
            let positives = sides.positives.iter().map(|&p| ease(-self.far(q, p)));
            let positives = positives.collect();
            let negatives = sides.negatives.iter().map(|&n| ease(self.far(q, n)));
            let negatives = negatives.collect();
            (positives, negatives)
        });
        let rows = ease
            .iter()
            .map(|(positives, negatives): &(Vec<T>, Vec<T>)| (&positives[..], &negatives[..]));
        let (positives, negatives): (Vec<_>, Vec<_>) = rows.unzip();
        let (positive, negative) = (self.cut(positives), self.cut(negatives));
        PairMask::select(
            queries,
            self.references,
            |q, positives, negatives, sides: &mut Sides| {
                find(q, sides);
                let mark = |cut: &Option<(KthSmallest, Vec<u64>)>,
                            rows: &[u32],
                            ease: &[T],
                            chosen: &mut MaskRow<'_>| {
                    if let Some((cut, room)) = cut {
                        let mut room = room[q];
                        for (r, ease) in rows.iter().zip(ease) {
                            chosen.insert_if(*r as usize, cut.keeps(*ease, &mut room));
                        }
                    }
                };
                mark(&positive, &sides.positives, &ease[q].0, positives);
                mark(&negative, &sides.negatives, &ease[q].1, negatives);
            },
        )
    }

    /// The cut through the values of many rows, and the room at the cut of each row.
    fn cut(&self, rows: Vec<&[T]>) -> Option<(KthSmallest, Vec<u64>)> {
        let count = rows.iter().map(|row| row.len() as u64).sum();
        let cut = KthSmallest::smallest(&rows, self.keep(count))?;
        Some((cut, cut.room(&rows)))
    }

    fn of_list(&self, pairs: &Pairs) -> Pairs {
        let (positive_anchors, positives) =
            self.of_kind(-<T as Real>::ONE, &pairs.positive_anchors, &pairs.positives);
        let (negative_anchors, negatives) =
            self.of_kind(<T as Real>::ONE, &pairs.negative_anchors, &pairs.negatives);
        Pairs {
            positive_anchors,
            positives,
            negative_anchors,
            negatives,
        }
    }

    fn of_kind(&self, direction: T, anchors: &[u32], others: &[u32]) -> (Vec<u32>, Vec<u32>) {
        /// How many pairs of a list count as a row.
        const RUN: usize = 4096;
        let pairs = anchors.iter().zip(others);
        let ease: Vec<T> = pairs
            .map(|(a, r)| ease(direction * self.far(*a as usize, *r)))
            .collect();
        let Some((cut, room)) = self.cut(ease.chunks(RUN).collect()) else {
            return Default::default();
        };
        let mut kept = (Vec::new(), Vec::new());
        for (run, mut room) in room.into_iter().enumerate() {
            for i in run * RUN..ease.len().min((run + 1) * RUN) {
                if cut.keeps(ease[i], &mut room) {
                    kept.0.push(anchors[i]);
                    kept.1.push(others[i]);
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests;
