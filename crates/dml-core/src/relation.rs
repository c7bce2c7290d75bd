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

mod constructors;
mod mask_tensors;
mod pair_kind;
mod pairs;
mod rows;
mod self_matches;
mod tuple_set;
mod weights;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::Labels;

use self_matches::SelfMatches;

pub use pair_kind::PairKind;

type KindOfPair = dyn Fn(usize, usize) -> PairKind + Send + Sync;

#[derive(Clone)]
enum Knowledge {
    /// Equal labels are positive, others negative; compared on the fly.
    Labels { query: Labels, reference: Labels },
    /// Sorted label sets: positive if any is shared, weighted by the Jaccard index.
    LabelSets {
        query: Arc<[Vec<i64>]>,
        reference: Arc<[Vec<i64>]>,
    },
    /// The kind of every pair, row by row.
    Matrix(Arc<[PairKind]>),
    /// Anything else.
    Closure(Arc<KindOfPair>),
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
    /// A relation of queries with references that are other things.
    fn new(knowledge: Knowledge, queries: usize, references: usize) -> Self {
        Self {
            knowledge,
            queries,
            references,
            self_matches: SelfMatches::Apart,
            weighted: OnceLock::new(),
        }
    }

    /// The same relation, of rows among themselves where that is so: no row is compared with itself.
    fn among_themselves_if(self, is_among: bool) -> Self {
        match is_among {
            true => Self {
                self_matches: SelfMatches::Diagonal,
                ..self
            },
            false => self,
        }
    }

    /// Says that every pair has weight 1, so that nobody looks for others.
    fn unweighted(self) -> Self {
        Self {
            weighted: OnceLock::from(false),
            ..self
        }
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
                PairKind::positive_if(query.as_slice()[q] == reference.as_slice()[r])
            }
            Knowledge::LabelSets { query, reference } => jaccard(&query[q], &reference[r]),
            Knowledge::Matrix(kinds) => kinds[q * self.references + r],
            Knowledge::Closure(pair_kind) => pair_kind(q, r),
        }
    }
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
