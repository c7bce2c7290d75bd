//! Hard negatives from a whole corpus: of each query's nearest neighbours, those that are surely no positives.
//!
//! ```text
//! candidates of a query   its neighbours that the relation calls negative, nearest first, ranked from 0
//! kept                    range_min <= rank < range_max
//!                         no closer than max_score, no farther than min_score
//!                         h(q,n) >= h(q,p) + absolute_margin
//!                         similarities s(q,n) <= s(q,p) − relative_margin |s(q,p)|, distances likewise the other way
//! chosen                  num_negatives of the kept: the nearest, or at random
//! ```
//!
//! A batch shows a query few negatives, a corpus its hardest, but among those are positives that nobody has labelled.
//! The rank range, the margins to the known positive and the score ceiling guard against them: Qu et al., "An Optimized
//! Training Approach to Dense Passage Retrieval" (2020, arXiv:2010.08191) and Moreira et al., "Improving Text Embedding
//! Models with Positive-aware Hard-negative Mining" (2024, arXiv:2407.15831). The neighbours come from any index.

use dml_core::kernels::map_rows;
use dml_core::{Error, Order, PairKind, Relation, Result, Triplets, check};
use rand::seq::index;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which of the kept candidates become negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum NegativeSampling {
    /// The nearest.
    #[default]
    Top,
    /// Any, without replacement; nearest first.
    Random,
}

dml_core::config! {
    /// Configuration of [`HardNegativeMiner`].
    pub struct HardNegativeMinerConfig {
        /// How many negatives for each pair of query and positive, 1 to 4,294,967,295; fewer where fewer are left. Default
        /// `3`.
        pub num_negatives: usize = 3,
        /// How many of the nearest candidates are passed over. Default `0`.
        pub range_min: usize = 0,
        /// The rank from which candidates are too far; `None` for the end of the list. Default `None`.
        pub range_max: Option<usize> = None,
        /// Candidates closer than this are taken for positives; finite. Default `None`.
        pub max_score: Option<f64> = None,
        /// Candidates farther than this are too easy; finite. Default `None`.
        pub min_score: Option<f64> = None,
        /// How much farther than the positive a negative must be; finite. Default `None`.
        pub absolute_margin: Option<f64> = None,
        /// The same as a share of the positive's distance or similarity; finite and `>= 0`. Default `None`.
        pub relative_margin: Option<f64> = None,
        /// Which of the kept candidates become negatives. Default [`NegativeSampling::Top`].
        pub sampling_strategy: NegativeSampling = NegativeSampling::Top,
        /// Where random negatives come from. Default `0`.
        pub seed: u64 = 0,
    }
}

/// The nearest rows of a corpus to each query, nearest first.
#[derive(Clone, Copy, Debug)]
pub struct NeighborLists<'a> {
    /// Corpus rows `[queries, k]`.
    pub indices: &'a [u32],
    /// Their distances or similarities `[queries, k]`.
    pub distances: &'a [f64],
    /// How many neighbours each query has.
    pub k: usize,
    /// Whether `distances` are distances or similarities.
    pub order: Order,
}

/// Queries with a corpus row that belongs to them.
#[derive(Clone, Copy, Debug)]
pub struct PositivePairs<'a> {
    /// Rows of queries.
    pub queries: &'a [u32],
    /// The corpus row that belongs to each.
    pub positives: &'a [u32],
    /// How far apart, or how alike, they are: in the unit of the neighbours. Needed for margins only.
    pub distances: Option<&'a [f64]>,
}

/// Mines negatives for known pairs from neighbours in a corpus ([rules](self)).
///
/// ```
/// use dml_core::{Order, Relation};
/// use dml_miners::{HardNegativeMiner, HardNegativeMinerConfig, NeighborLists, PositivePairs};
///
/// let config = HardNegativeMinerConfig {
///     num_negatives: 1,
///     absolute_margin: Some(0.1),
///     ..Default::default()
/// };
/// let miner = HardNegativeMiner::new(config)?;
/// // One query of class 7; rows 2 and 0 of the corpus are nearest to it, and row 2 is its known positive.
/// let relation = Relation::cross_labels([7i64], [1i64, 2, 7, 3])?;
/// let neighbors = NeighborLists {
///     indices: &[2, 0, 3, 1],
///     distances: &[0.90, 0.85, 0.70, 0.10],
///     k: 4,
///     order: Order::LargerIsCloser,
/// };
/// let pairs = PositivePairs { queries: &[0], positives: &[2], distances: Some(&[0.90]) };
/// // Row 0 is suspiciously close to the positive: 0.85 is not 0.1 below 0.90.
/// assert_eq!(miner.mine(&neighbors, &pairs, &relation)?.negatives, [3]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HardNegativeMiner {
    config: HardNegativeMinerConfig,
}

impl HardNegativeMiner {
    /// # Errors
    /// [`Error::InvalidParameter`] for a number outside of its range.
    pub fn new(config: HardNegativeMinerConfig) -> Result<Self> {
        check::at_least_one("num_negatives", config.num_negatives)?;
        if let Some(range_max) = config.range_max {
            let is_above = range_max > config.range_min;
            let expected = "a rank above range_min";
            check::whole(is_above, "range_max", range_max, expected)?;
        }
        for (name, value) in [
            ("max_score", config.max_score),
            ("min_score", config.min_score),
            ("absolute_margin", config.absolute_margin),
        ] {
            value.map(|value| check::finite(name, value)).transpose()?;
        }
        if let Some(margin) = config.relative_margin {
            check::non_negative("relative_margin", margin)?;
        }
        Ok(Self { config })
    }

    /// Triplets of query, positive and negative, in the order of the pairs, nearest negatives first.
    ///
    /// `relation` is between queries and corpus: only rows that it calls negative are candidates, so what it ignores,
    /// such as unjudged rows or the query itself, never appears.
    ///
    /// # Errors
    /// [`Error::Length`] for lists that do not fit together, [`Error::Index`] for a row outside of the relation,
    /// [`Error::Missing`] for a margin without distances of the positives.
    pub fn mine(
        &self,
        neighbors: &NeighborLists<'_>,
        pairs: &PositivePairs<'_>,
        relation: &Relation,
    ) -> Result<Triplets> {
        self.check(neighbors, pairs, relation)?;
        let generator = ChaCha8Rng::seed_from_u64(self.config.seed);
        let mined = map_rows(pairs.queries.len(), |i, kept: &mut Vec<u32>| {
            let q = pairs.queries[i] as usize;
            kept.clear();
            self.keep(neighbors, q, pairs.distances.map(|d| d[i]), relation, kept);
            if self.config.sampling_strategy == NegativeSampling::Random {
                let mut rng = generator.clone();
                rng.set_stream(i as u64);
                thin_out(kept, self.config.num_negatives, &mut rng);
            }
            let kept = kept.iter().copied().take(self.config.num_negatives);
            kept.collect::<Vec<u32>>()
        });
        let of_pair = |(i, negatives): (usize, Vec<u32>)| {
            let (a, p) = (pairs.queries[i], pairs.positives[i]);
            negatives.into_iter().map(move |n| (a, p, n))
        };
        Ok(mined.into_iter().enumerate().flat_map(of_pair).collect())
    }

    /// The candidates of a query that pass, nearest first.
    fn keep(
        &self,
        neighbors: &NeighborLists<'_>,
        q: usize,
        positive: Option<f64>,
        relation: &Relation,
        kept: &mut Vec<u32>,
    ) {
        let config = &self.config;
        let sign = neighbors.order.sign();
        let list = q * neighbors.k..(q + 1) * neighbors.k;
        let candidates = neighbors.indices[list.clone()]
            .iter()
            .zip(&neighbors.distances[list])
            .filter(|(r, _)| matches!(relation.pair_kind(q, **r as usize), PairKind::Negative(_)));
        // As distances: whatever is smaller is closer.
        let ceiling = config.max_score.map(|score| sign * score);
        let floor = config.min_score.map(|score| sign * score);
        let beyond = positive.map(|value| sign * value);
        let end = config.range_max.unwrap_or(usize::MAX);
        let ranked = candidates
            .skip(config.range_min)
            .take(end - config.range_min);
        for (&r, value) in ranked {
            let far = sign * value;
            let clear = |margin: Option<f64>, scale: f64| match (margin, beyond) {
                (Some(margin), Some(beyond)) => far >= beyond + margin * scale,
                _ => true,
            };
            if ceiling.is_none_or(|ceiling| far >= ceiling)
                && floor.is_none_or(|floor| far <= floor)
                && clear(config.absolute_margin, 1.0)
                && clear(config.relative_margin, beyond.map_or(0.0, f64::abs))
            {
                kept.push(r);
            }
        }
    }

    fn check(
        &self,
        neighbors: &NeighborLists<'_>,
        pairs: &PositivePairs<'_>,
        relation: &Relation,
    ) -> Result<()> {
        let (listed, count) = (relation.queries() * neighbors.k, pairs.queries.len());
        check::length("indices", listed, neighbors.indices.len())?;
        check::length("distances", listed, neighbors.distances.len())?;
        check::length("positives", count, pairs.positives.len())?;
        const OF_POSITIVES: &str = "distances of the positives";
        if let Some(distances) = pairs.distances {
            check::length(OF_POSITIVES, count, distances.len())?;
        }
        // No bound holds for NaN: such a neighbour would be left out without a word.
        let of_positives = pairs.distances.unwrap_or_default();
        for (arg, list, width) in [
            ("distances", neighbors.distances, neighbors.k),
            (OF_POSITIVES, of_positives, 1),
        ] {
            if let Some(place) = list.iter().position(|value| value.is_nan()) {
                let row = place / width.max(1);
                return Err(Error::NotANumber { arg, row });
            }
        }
        for (arg, rows, limit) in [
            ("queries", pairs.queries, relation.queries()),
            ("positives", pairs.positives, relation.references()),
            ("indices", neighbors.indices, relation.references()),
        ] {
            check::indices(arg, rows.iter().map(|&row| row as usize), limit)?;
        }
        let margins = self.config.absolute_margin.or(self.config.relative_margin);
        if margins.is_some() {
            let needed = "distances of the positives, for a margin";
            check::present(pairs.distances, "HardNegativeMiner", needed)?;
        }
        Ok(())
    }
}

/// Keeps `count` entries, drawn without replacement, in their order.
fn thin_out(list: &mut Vec<u32>, count: usize, rng: &mut dyn RngCore) {
    if count < list.len() {
        let mut places = index::sample(rng, list.len(), count).into_vec();
        places.sort_unstable();
        *list = places.into_iter().map(|place| list[place]).collect();
    }
}

#[cfg(test)]
mod tests;
