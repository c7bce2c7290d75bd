//! Who is positive for whom: the one place where labels, pairs and other knowledge become positives and negatives.
//!
//! A relation answers for query row `i` and reference row `j`: [`Positive`](PairKind::Positive),
//! [`Negative`](PairKind::Negative) or [`Ignored`](PairKind::Ignored). Miners and losses read the relation, never raw
//! labels. It also knows which reference row *is* which query row, so that nothing is ever matched with itself:
//! the diagonal when a batch is compared with itself, any map when the references are a queue or a gallery.
//!
//! A positive or negative pair has a weight, 1 unless the relation says otherwise. Miners choose pairs whatever they
//! weigh; a loss reads the weights of the pairs that it is given from the relation, or refuses a
//! [weighted](Relation::is_weighted) one: see [`Loss::reads_weights`](crate::Loss::reads_weights).

mod class_order;
mod mask_tensors;
mod pair_kind;
mod rows;
mod tuple_set;
mod weights;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use dml_kernels::PairMask;

use crate::{Error, IntoLabels, Labels, Result, check};

pub use class_order::ClassOrder;
pub use pair_kind::PairKind;

type Judge = dyn Fn(usize, usize) -> PairKind + Send + Sync;

#[derive(Clone)]
enum Knowledge {
    /// Equal labels are positive, others negative; compared on the fly.
    Labels { query: Labels, reference: Labels },
    /// Sorted label sets: positive if any is shared, weighted by the Jaccard index.
    LabelSets {
        query: Arc<[Vec<i64>]>,
        reference: Arc<[Vec<i64>]>,
    },
    /// A verdict for every pair, row by row.
    Matrix(Arc<[PairKind]>),
    /// Anything else.
    Closure(Arc<Judge>),
}

/// Who is positive for whom among `queries` rows and `references` rows; see the [module](self).
///
/// ```
/// use dml_core::{Relation, PairKind};
///
/// // Four images of a batch compared among themselves: two of a cat, two of a dog.
/// let relation = Relation::labels(&[0i64, 0, 1, 1])?;
/// assert_eq!(relation.pair_kind(0, 1), PairKind::POSITIVE);
/// assert_eq!(relation.pair_kind(0, 2), PairKind::NEGATIVE);
/// assert_eq!(relation.pair_kind(0, 0), PairKind::Ignored);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Relation {
    knowledge: Knowledge,
    queries: usize,
    references: usize,
    self_matches: SelfMatches,
    /// Whether some pair has a weight other than 1, once somebody asked.
    weighted: OnceLock<bool>,
}

/// Which reference row is the same thing as a query row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SelfMatches {
    /// None: the references are other things than the queries.
    Apart,
    /// Row i is row i: the queries are compared among themselves.
    Diagonal,
    /// Query row i is reference row `map[i]`, if any.
    Map(Arc<[Option<u32>]>),
}

impl fmt::Debug for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.knowledge {
            Knowledge::Labels { .. } => "labels",
            Knowledge::LabelSets { .. } => "label sets",
            Knowledge::Matrix(_) => "matrix",
            Knowledge::Closure(_) => "closure",
        };
        f.debug_struct("Relation")
            .field("kind", &kind)
            .field("queries", &self.queries)
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}

impl Relation {
    fn new(
        knowledge: Knowledge,
        queries: usize,
        references: usize,
        self_matches: SelfMatches,
    ) -> Self {
        Self {
            knowledge,
            queries,
            references,
            self_matches,
            weighted: OnceLock::new(),
        }
    }

    /// Says that every pair has weight 1, so that nobody looks for others.
    fn unweighted(self) -> Self {
        Self {
            weighted: OnceLock::from(false),
            ..self
        }
    }

    /// Rows compared among themselves: equal labels are positive, and no row is its own positive.
    ///
    /// # Errors
    /// As [`IntoLabels::into_labels`].
    pub fn labels(labels: impl IntoLabels) -> Result<Self> {
        let labels = labels.into_labels()?;
        let rows = labels.len();
        let knowledge = Knowledge::Labels {
            query: labels.clone(),
            reference: labels,
        };
        Ok(Self::new(knowledge, rows, rows, SelfMatches::Diagonal))
    }

    /// Queries compared with other things: equal labels are positive.
    ///
    /// Where some references are the queries themselves, say so with [`Relation::with_self_matches`].
    ///
    /// # Errors
    /// As [`IntoLabels::into_labels`].
    pub fn cross_labels(query: impl IntoLabels, reference: impl IntoLabels) -> Result<Self> {
        let (query, reference) = (query.into_labels()?, reference.into_labels()?);
        let (queries, references) = (query.len(), reference.len());
        Ok(Self::new(
            Knowledge::Labels { query, reference },
            queries,
            references,
            SelfMatches::Apart,
        ))
    }

    /// Rows with several labels each: positive if any label is shared, with weight |A ∩ B| / |A ∪ B|.
    ///
    /// `reference` `None` compares the rows among themselves.
    #[must_use]
    pub fn label_sets(query: &[Vec<i64>], reference: Option<&[Vec<i64>]>) -> Self {
        let sorted = |sets: &[Vec<i64>]| -> Arc<[Vec<i64>]> {
            sets.iter()
                .map(|set| {
                    let mut set = set.clone();
                    set.sort_unstable();
                    set.dedup();
                    set
                })
                .collect()
        };
        let query = sorted(query);
        let self_matches = if reference.is_some() {
            SelfMatches::Apart
        } else {
            SelfMatches::Diagonal
        };
        let reference = reference.map_or_else(|| query.clone(), sorted);
        let (queries, references) = (query.len(), reference.len());
        Self::new(
            Knowledge::LabelSets { query, reference },
            queries,
            references,
            self_matches,
        )
    }

    /// A weight for every pair, row by row: above 0 positive with that weight, 0 negative, below 0 or NaN ignored.
    ///
    /// # Errors
    /// [`Error::Length`] if there are not `queries · references` weights, [`Error::InvalidParameter`] for 2³² rows and
    /// more.
    pub fn matrix(weights: &[f32], queries: usize, references: usize) -> Result<Self> {
        check_rows(queries, references)?;
        // More pairs than can be counted are more than there are weights.
        let expected = queries.saturating_mul(references);
        if weights.len() != expected {
            return Err(Error::Length {
                arg: "weights",
                expected,
                got: weights.len(),
            });
        }
        let verdicts = weights.iter().map(|w| PairKind::weighted(*w)).collect();
        Ok(Self::new(
            Knowledge::Matrix(verdicts),
            queries,
            references,
            SelfMatches::Apart,
        ))
    }

    /// Only the given pairs count; all others are ignored.
    ///
    /// # Errors
    /// [`Error::Index`] for a pair outside of the rows, [`Error::Unsupported`] for a pair given as both,
    /// [`Error::InvalidParameter`] for 2³² rows and more.
    pub fn pairs(
        positive: &[(u32, u32)],
        negative: &[(u32, u32)],
        queries: usize,
        references: usize,
    ) -> Result<Self> {
        check_rows(queries, references)?;
        for (arg, pairs) in [("positive", positive), ("negative", negative)] {
            for (position, &(q, r)) in pairs.iter().enumerate() {
                for (got, limit) in [(q, queries), (r, references)] {
                    if got as usize >= limit {
                        return Err(Error::Index {
                            arg,
                            position,
                            limit,
                            got: i64::from(got),
                        });
                    }
                }
            }
        }
        let positive: HashSet<(u32, u32)> = positive.iter().copied().collect();
        let negative: HashSet<(u32, u32)> = negative.iter().copied().collect();
        if !positive.is_disjoint(&negative) {
            return Err(Error::Unsupported {
                component: "Relation::pairs",
                reason: "a pair is given as positive and as negative",
            });
        }
        Ok(Self::closure(queries, references, move |q, r| {
            let pair = (q as u32, r as u32);
            if positive.contains(&pair) {
                PairKind::POSITIVE
            } else if negative.contains(&pair) {
                PairKind::NEGATIVE
            } else {
                PairKind::Ignored
            }
        })
        .unweighted())
    }

    /// Real-valued targets, such as ages or angles: positive where they differ by at most `threshold`.
    ///
    /// `reference` `None` compares the rows among themselves.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if `threshold` is negative or not finite.
    pub fn targets(query: &[f64], reference: Option<&[f64]>, threshold: f64) -> Result<Self> {
        let threshold = crate::check::non_negative("threshold", threshold)?;
        let self_matches = if reference.is_some() {
            SelfMatches::Apart
        } else {
            SelfMatches::Diagonal
        };
        let reference: Vec<f64> = reference.unwrap_or(query).to_vec();
        let query = query.to_vec();
        let (queries, references) = (query.len(), reference.len());
        let pair_kind = move |q: usize, r: usize| {
            let difference = (query[q] - reference[r]).abs();
            if difference.is_nan() {
                PairKind::Ignored
            } else if difference <= threshold {
                PairKind::POSITIVE
            } else {
                PairKind::NEGATIVE
            }
        };
        Ok(Self::new(
            Knowledge::Closure(Arc::new(pair_kind)),
            queries,
            references,
            self_matches,
        )
        .unweighted())
    }

    /// Whatever `pair_kind(query, reference)` says. It must answer the same whenever it is asked.
    pub fn closure(
        queries: usize,
        references: usize,
        pair_kind: impl Fn(usize, usize) -> PairKind + Send + Sync + 'static,
    ) -> Self {
        Self::new(
            Knowledge::Closure(Arc::new(pair_kind)),
            queries,
            references,
            SelfMatches::Apart,
        )
    }

    /// Says which reference row *is* each query row, so that no query is matched with itself.
    ///
    /// # Errors
    /// [`Error::Length`] if there is not one entry per query, [`Error::Index`] for a row that does not exist.
    pub fn with_self_matches(mut self, map: &[Option<u32>]) -> Result<Self> {
        if map.len() != self.queries {
            return Err(Error::Length {
                arg: "self_matches",
                expected: self.queries,
                got: map.len(),
            });
        }
        for (position, row) in map.iter().enumerate() {
            if let Some(row) = *row
                && row as usize >= self.references
            {
                return Err(Error::Index {
                    arg: "self_matches",
                    position,
                    limit: self.references,
                    got: i64::from(row),
                });
            }
        }
        self.self_matches = SelfMatches::Map(map.into());
        Ok(self)
    }

    /// Says that reference row i is query row i.
    ///
    /// # Errors
    /// [`Error::Length`] if there are fewer references than queries.
    pub fn with_diagonal_self_matches(mut self) -> Result<Self> {
        if self.references < self.queries {
            return Err(Error::Length {
                arg: "references",
                expected: self.queries,
                got: self.references,
            });
        }
        self.self_matches = SelfMatches::Diagonal;
        Ok(self)
    }

    /// Number of query rows.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Number of reference rows.
    #[must_use]
    pub fn references(&self) -> usize {
        self.references
    }

    /// The labels of the queries, where the relation was made from labels.
    #[must_use]
    pub fn query_labels(&self) -> Option<&Labels> {
        match &self.knowledge {
            Knowledge::Labels { query, .. } => Some(query),
            _ => None,
        }
    }

    /// The labels of the references, where the relation was made from labels.
    #[must_use]
    pub fn reference_labels(&self) -> Option<&Labels> {
        match &self.knowledge {
            Knowledge::Labels { reference, .. } => Some(reference),
            _ => None,
        }
    }

    /// The reference row that is query row `q`, if there is one.
    #[must_use]
    pub fn self_match(&self, q: usize) -> Option<usize> {
        match &self.self_matches {
            SelfMatches::Apart => None,
            SelfMatches::Diagonal => Some(q),
            SelfMatches::Map(map) => map.get(q).copied().flatten().map(|row| row as usize),
        }
    }

    /// What query row `q` and reference row `r` are to each other; rows that don't exist are ignored.
    #[must_use]
    pub fn pair_kind(&self, q: usize, r: usize) -> PairKind {
        if self.self_match(q) == Some(r) {
            PairKind::Ignored
        } else {
            self.pair_kind_as_distinct(q, r)
        }
    }

    /// What `q` and `r` would be to each other if no reference were a query; rows that don't exist are ignored.
    #[must_use]
    pub fn pair_kind_as_distinct(&self, q: usize, r: usize) -> PairKind {
        if q >= self.queries || r >= self.references {
            return PairKind::Ignored;
        }
        match &self.knowledge {
            Knowledge::Labels { query, reference } => {
                if query.as_slice()[q] == reference.as_slice()[r] {
                    PairKind::POSITIVE
                } else {
                    PairKind::NEGATIVE
                }
            }
            Knowledge::LabelSets { query, reference } => jaccard(&query[q], &reference[r]),
            Knowledge::Matrix(verdicts) => verdicts[q * self.references + r],
            Knowledge::Closure(pair_kind) => pair_kind(q, r),
        }
    }

    /// How many positive and how many negative pairs there are. Labels are counted class by class, not pair by pair.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let (mut positive, mut negative) = (0, 0);
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            let mut sizes: HashMap<i64, u64> = HashMap::new();
            for label in reference.as_slice() {
                *sizes.entry(*label).or_default() += 1;
            }
            for (q, label) in query.as_slice().iter().enumerate() {
                let same = sizes.get(label).copied().unwrap_or(0);
                positive += same;
                negative += self.references as u64 - same;
                let itself = self.self_match(q).and_then(|r| reference.as_slice().get(r));
                positive -= u64::from(itself == Some(label));
                negative -= u64::from(itself.is_some_and(|other| other != label));
            }
            return (positive, negative);
        }
        for q in 0..self.queries {
            for r in 0..self.references {
                match self.pair_kind(q, r) {
                    PairKind::Positive(_) => positive += 1,
                    PairKind::Negative(_) => negative += 1,
                    PairKind::Ignored => {}
                }
            }
        }
        (positive, negative)
    }

    /// The positive and the negative pairs as one bit each.
    #[doc(hidden)]
    #[must_use]
    pub fn mask(&self) -> PairMask {
        let same = |q| self.self_match(q);
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            let (query, reference) = (query.as_slice(), reference.as_slice());
            return PairMask::select(self.queries, self.references, |q, p, n, _: &mut ()| {
                let (label, same) = (query[q], same(q));
                for (r, other) in reference.iter().enumerate() {
                    let (equal, counts) = (*other == label, same != Some(r));
                    p.insert_if(r, equal & counts);
                    n.insert_if(r, !equal & counts);
                }
            });
        }
        PairMask::select(self.queries, self.references, |q, p, n, _: &mut ()| {
            for r in 0..self.references {
                match self.pair_kind(q, r) {
                    PairKind::Positive(_) => p.insert(r),
                    PairKind::Negative(_) => n.insert(r),
                    PairKind::Ignored => {}
                }
            }
        })
    }

    /// The references class by class, for who splits them for every query; `None` where labels don't decide.
    #[must_use]
    pub fn class_order(&self) -> Option<ClassOrder> {
        ClassOrder::new(self)
    }

    /// Appends the reference rows that are positive and negative for query row `q`, each in ascending order.
    pub fn split(&self, q: usize, positives: &mut Vec<u32>, negatives: &mut Vec<u32>) {
        if q >= self.queries {
            return;
        }
        if let Knowledge::Labels { query, reference } = &self.knowledge {
            // One pass over the labels, without a call per pair and without a branch: this runs for every anchor of
            // every batch. Each row is written to the end of both lists and counted in one of them.
            let (label, same) = (query.as_slice()[q], self.self_match(q));
            let reference = reference.as_slice();
            let (mut p, mut n) = (positives.len(), negatives.len());
            positives.resize(p + reference.len(), 0);
            negatives.resize(n + reference.len(), 0);
            for (r, other) in reference.iter().enumerate() {
                positives[p] = r as u32;
                negatives[n] = r as u32;
                let (equal, counts) = (*other == label, same != Some(r));
                p += usize::from(equal & counts);
                n += usize::from(!equal & counts);
            }
            positives.truncate(p);
            negatives.truncate(n);
            return;
        }
        for r in 0..self.references {
            match self.pair_kind(q, r) {
                PairKind::Positive(_) => positives.push(r as u32),
                PairKind::Negative(_) => negatives.push(r as u32),
                PairKind::Ignored => {}
            }
        }
    }
}

/// Whether rows can be told apart by their numbers, which are `u32`.
fn check_rows(queries: usize, references: usize) -> Result<()> {
    for (name, rows) in [("queries", queries), ("references", references)] {
        let fits = u32::try_from(rows).is_ok();
        check::parameter(fits, name, rows as f64, "fewer than 2³² rows")?;
    }
    Ok(())
}

fn jaccard(a: &[i64], b: &[i64]) -> PairKind {
    let shared = a.iter().filter(|x| b.binary_search(x).is_ok()).count();
    if shared == 0 {
        PairKind::NEGATIVE
    } else {
        PairKind::Positive(shared as f32 / (a.len() + b.len() - shared) as f32)
    }
}

#[cfg(test)]
mod tests;
