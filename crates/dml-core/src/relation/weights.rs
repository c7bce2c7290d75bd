//! What pairs of a relation weigh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::{Knowledge, PairKind, Relation};

impl Relation {
    /// Whether some pair has a weight other than 1.
    ///
    /// Labels, pairs and targets have no weights; label sets are compared label by label. Only a relation by a
    /// [closure](Relation::closure) is asked pair by pair, until a weight is found, and the answer is kept.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        *self.weighted.get_or_init(|| match &self.knowledge {
            Knowledge::Labels { .. } => false,
            Knowledge::LabelSets { query, reference } => {
                share_without_being_equal(query, reference)
            }
            Knowledge::Matrix(_) | Knowledge::Closure(_) => (0..self.queries).any(|q| {
                let mut row = (0..self.references).map(|r| self.pair_kind(q, r));
                row.any(PairKind::is_weighted)
            }),
        })
    }

    /// The same positives and negatives, each with weight 1: for losses that read no weights.
    ///
    /// ```
    /// use dml_core::{Relation, PairKind};
    ///
    /// let weighted = Relation::label_sets(&[vec![1, 2], vec![1], vec![3]], None);
    /// assert_eq!(weighted.pair_kind(0, 1), PairKind::Positive(0.5));
    /// let plain = weighted.without_weights();
    /// assert_eq!(plain.pair_kind(0, 1), PairKind::POSITIVE);
    /// assert!(weighted.is_weighted() && !plain.is_weighted());
    /// ```
    #[must_use]
    pub fn without_weights(&self) -> Self {
        if let Knowledge::Labels { .. } = self.knowledge {
            return self.clone();
        }
        let own = self.clone();
        let pair_kind = move |q: usize, r: usize| match own.pair_kind_as_distinct(q, r) {
            PairKind::Positive(_) => PairKind::POSITIVE,
            PairKind::Negative(_) => PairKind::NEGATIVE,
            PairKind::Ignored => PairKind::Ignored,
        };
        Self {
            knowledge: Knowledge::Closure(Arc::new(pair_kind)),
            weighted: OnceLock::from(false),
            ..self.clone()
        }
    }
}

/// Whether some label is in two different sets, one of either side: only these pairs weigh less than 1.
fn share_without_being_equal(query: &[Vec<i64>], reference: &[Vec<i64>]) -> bool {
    let sets_by_label = |sets: &'_ [Vec<i64>]| {
        let mut by_label: BTreeMap<i64, BTreeSet<Vec<i64>>> = BTreeMap::new();
        let distinct: BTreeSet<&Vec<i64>> = sets.iter().collect();
        for set in distinct {
            for label in set {
                by_label.entry(*label).or_default().insert(set.clone());
            }
        }
        by_label
    };
    let (query, reference) = (sets_by_label(query), sets_by_label(reference));
    query.iter().any(|(label, own)| {
        reference
            .get(label)
            .is_some_and(|others| own.len() > 1 || others.len() > 1 || own != others)
    })
}
