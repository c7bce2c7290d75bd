//! One positive and one negative for each anchor: the hardest, the easiest, or the next beyond the other.
//!
//! ```text
//! h: the distance; for similarities its negative
//! positive   hard: largest h      easy: smallest h     semihard: largest h below the chosen negative's
//! negative   hard: smallest h     easy: largest h      semihard: smallest h above the chosen positive's
//! all        every pair of that kind
//! ```
//!
//! Xuan, Stylianou and Pless, "Improved Embeddings with Easy Positive Triplet Mining" (2020, arXiv:1904.04370). Of
//! equal distances the first row is taken.

use std::str::FromStr;
use std::sync::Arc;

use dml_core::autograd::Element;
use dml_core::kernels::{MaskRow, PairMask, Real, map_rows};
use dml_core::{Batch, Distance, Error, Miner, Pairs, Relation, Result, Tuples, check};

use crate::AllowedRange;
use crate::allowed_range;
use crate::host::{Sides, with_distances};

/// Which pair of an anchor is chosen ([definitions](self)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum BatchStrategy {
    /// The farthest positive or the nearest negative.
    Hard,
    /// The hardest that is easier than the pair of the other kind.
    Semihard,
    /// The nearest positive or the farthest negative.
    Easy,
    /// Every pair.
    All,
}

impl FromStr for BatchStrategy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "hard" => Ok(Self::Hard),
            "semihard" => Ok(Self::Semihard),
            "easy" => Ok(Self::Easy),
            "all" => Ok(Self::All),
            _ => Err(Error::unsupported(
                "strategy",
                "expected one of hard, semihard, easy and all",
            )),
        }
    }
}

dml_core::config! {
    /// Configuration of [`BatchEasyHardMiner`].
    pub struct BatchEasyHardMinerConfig {
        /// Which positive is chosen. Default [`BatchStrategy::Easy`].
        pub pos_strategy: BatchStrategy = BatchStrategy::Easy,
        /// Which negative is chosen. Default [`BatchStrategy::Semihard`].
        pub neg_strategy: BatchStrategy = BatchStrategy::Semihard,
        /// Only positives whose distance or similarity is within are looked at, unless all are. Default none.
        #[cfg_attr(feature = "serde", serde(with = "allowed_range::extended"))]
        pub allowed_pos_range: Option<AllowedRange> = None,
        /// Only negatives whose distance or similarity is within are looked at, unless all are. Default none.
        #[cfg_attr(feature = "serde", serde(with = "allowed_range::extended"))]
        pub allowed_neg_range: Option<AllowedRange> = None,
    }
}

/// Chooses at most one positive and one negative per anchor ([definitions](self)).
///
/// The result lists the pairs of anchors that have both. With `all` on one side that side is complete, the other has
/// the anchors for which there is one, and the result is a mask.
///
/// ```
/// use dml_core::{Batch, Miner, candle_core::{Device, Tensor}};
/// use dml_distances::LpDistance;
/// use dml_miners::{BatchEasyHardMiner, BatchEasyHardMinerConfig};
///
/// let config = BatchEasyHardMinerConfig::default();
/// let miner = BatchEasyHardMiner::new(config, LpDistance::default())?;
/// let embeddings = Tensor::new(&[[1f32, 0.], [0.8, 0.6], [0., 1.], [-1., 0.]], &Device::Cpu)?;
/// let batch = Batch::new(&embeddings, &[0i64, 0, 1, 2])?;
/// // Rows 0 and 1 are 0.63 apart. The nearest negative beyond that is row 2, at 1.41 from the one, 0.89 from the other.
/// let pairs = miner.mine(&batch)?.pairs(&batch)?;
/// assert_eq!((&pairs.positives[..], &pairs.negatives[..]), (&[1, 0][..], &[2, 2][..]));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchEasyHardMiner {
    config: BatchEasyHardMinerConfig,
    distance: Arc<dyn Distance>,
}

/// The positive and the negative of an anchor.
type Choice = (Option<u32>, Option<u32>);

impl BatchEasyHardMiner {
    /// A miner over `distance`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if semihard is combined with semihard or all, [`Error::InvalidParameter`] for a range
    /// whose ends are not in order.
    pub fn new(
        config: BatchEasyHardMinerConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        use BatchStrategy::{All, Semihard};
        let strategies = (config.pos_strategy, config.neg_strategy);
        let supported = |is_other, reason| check::supported(is_other, "BatchEasyHardMiner", reason);
        let reason = "pos_strategy and neg_strategy can't both wait for the other: semihard";
        supported(strategies != (Semihard, Semihard), reason)?;
        let waits_for_all = matches!(strategies, (Semihard, All) | (All, Semihard));
        supported(
            !waits_for_all,
            "semihard needs one pair of the other kind, not all of them",
        )?;
        allowed_range::checked("allowed_pos_range", config.allowed_pos_range)?;
        allowed_range::checked("allowed_neg_range", config.allowed_neg_range)?;
        Ok(Self {
            config,
            distance: Arc::new(distance),
        })
    }

    /// The positive and the negative of every anchor; none of a kind of which all are wanted.
    pub(crate) fn choices(&self, batch: &Batch, relation: &Relation) -> Result<Vec<Choice>> {
        let references = batch.references();
        with_distances!(batch, &self.distance, |matrix: &[T]| {
            map_rows(batch.queries(), |q, sides: &mut Sides| {
                let row = &matrix[q * references..][..references];
                self.choose(row, sides.of(relation, q))
            })
        })
    }

    fn choose<T: Element>(&self, row: &[T], sides: &Sides) -> Choice {
        use BatchStrategy::{All, Easy, Hard, Semihard};
        let sign = <T as Real>::from_f64(self.distance.order().sign());
        let candidates = |rows, allowed| Candidates {
            row,
            sign,
            rows,
            allowed,
        };
        let positive = candidates(&sides.positives, self.config.allowed_pos_range);
        let negative = candidates(&sides.negatives, self.config.allowed_neg_range);
        let mut p = match self.config.pos_strategy {
            Hard => positive.farthest(None),
            Easy => positive.nearest(None),
            Semihard | All => None,
        };
        let n = match self.config.neg_strategy {
            Hard => negative.nearest(None),
            Easy => negative.farthest(None),
            Semihard => p.and_then(|(_, far)| negative.nearest(Some(far))),
            All => None,
        };
        if self.config.pos_strategy == Semihard {
            p = n.and_then(|(_, far)| positive.farthest(Some(far)));
        }
        (p.map(|p| p.0), n.map(|n| n.0))
    }
}

/// Rows among which one is chosen by its distance to the anchor.
struct Candidates<'a, T> {
    row: &'a [T],
    sign: T,
    rows: &'a [u32],
    allowed: Option<AllowedRange>,
}

impl<T: Element> Candidates<'_, T> {
    /// The row of smallest h, above a bound.
    fn nearest(&self, above: Option<T>) -> Option<(u32, T)> {
        let is_above = |h| above.is_none_or(|bound| h > bound || bound.is_nan());
        self.first(|h, best| h < best, is_above)
    }

    /// The row of largest h, below a bound.
    fn farthest(&self, below: Option<T>) -> Option<(u32, T)> {
        let is_below = |h| below.is_none_or(|bound| h < bound || bound.is_nan());
        self.first(|h, best| h > best, is_below)
    }

    fn first(
        &self,
        better: impl Fn(T, T) -> bool,
        admitted: impl Fn(T) -> bool,
    ) -> Option<(u32, T)> {
        let number = |x: f64| <T as Real>::from_f64(x);
        let allowed = self.allowed.map(|(low, high)| (number(low), number(high)));
        let mut best: Option<(u32, T)> = None;
        for &r in self.rows {
            let value = self.row[r as usize];
            let h = self.sign * value;
            let within = allowed.is_none_or(|(low, high)| low <= value && value <= high);
            // NaN is neither near nor far: it is chosen before any distance, so that the loss sees it.
            if Real::is_nan(h) {
                return Some((r, h));
            }
            let first = best.is_none_or(|(_, best)| better(h, best));
            if within && first && admitted(h) {
                best = Some((r, h));
            }
        }
        best
    }
}

impl Miner for BatchEasyHardMiner {
    fn mine(&self, batch: &Batch) -> Result<Tuples> {
        let relation = batch.require_relation("BatchEasyHardMiner")?;
        if batch.is_spoiled()? {
            return Ok(Tuples::all());
        }
        let choices = self.choices(batch, relation)?;
        let all = |strategy| strategy == BatchStrategy::All;
        let (all_positives, all_negatives) =
            (all(self.config.pos_strategy), all(self.config.neg_strategy));
        if all_positives || all_negatives {
            let (queries, references) = (batch.queries(), batch.references());
            let mask = PairMask::select(
                queries,
                references,
                |q, positives, negatives, sides: &mut Sides| {
                    let sides = sides.of(relation, q);
                    let (p, n) = choices[q];
                    let insert =
                        |chosen: &mut MaskRow<'_>, is_all, all: &[u32], one: Option<u32>| {
                            let all = if is_all { all } else { &[] };
                            all.iter()
                                .chain(&one)
                                .for_each(|row| chosen.insert(*row as usize));
                        };
                    insert(positives, all_positives, &sides.positives, p);
                    insert(negatives, all_negatives, &sides.negatives, n);
                },
            );
            return Ok(Tuples::from_set(mask));
        }
        let choices = (0..).zip(choices);
        let chosen = choices.filter_map(|(a, (p, n))| Some((a, p?, n?)));
        let (anchors, positives, negatives) = chosen.collect::<(Vec<u32>, Vec<u32>, Vec<u32>)>();
        Ok(Pairs::new(anchors.clone(), positives, anchors, negatives)?.into())
    }
}

#[cfg(test)]
mod tests;
