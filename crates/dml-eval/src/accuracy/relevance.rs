//! How many references match each query.

use std::collections::HashMap;

use dml_core::{PairKind, Relation};
use rayon::prelude::*;

/// What a query can find at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Relevance {
    /// References that match it, itself left out.
    pub(super) matches: usize,
    /// References that count neither way, itself left out.
    pub(super) ignored: usize,
}

/// The relevance of every query: by counting labels where there are labels, by asking about every pair otherwise.
pub(super) fn relevance(relation: &Relation) -> Vec<Relevance> {
    if let (Some(query), Some(reference)) = (relation.query_labels(), relation.reference_labels()) {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for label in reference.as_slice() {
            *counts.entry(*label).or_default() += 1;
        }
        let relevance = |(q, label): (usize, &i64)| {
            let is_own = |r: usize| reference.as_slice()[r] == *label;
            let itself = relation.self_match(q).is_some_and(is_own);
            let alike = counts.get(label).copied().unwrap_or(0);
            Relevance {
                matches: alike - usize::from(itself),
                ignored: 0,
            }
        };
        return query.as_slice().iter().enumerate().map(relevance).collect();
    }
    (0..relation.queries())
        .into_par_iter()
        .map(|q| {
            let mut relevance = Relevance::default();
            for r in 0..relation.references() {
                match relation.pair_kind(q, r) {
                    PairKind::Positive(_) => relevance.matches += 1,
                    PairKind::Ignored if relation.self_match(q) != Some(r) => {
                        relevance.ignored += 1;
                    }
                    PairKind::Negative(_) | PairKind::Ignored => {}
                }
            }
            relevance
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Result;

    #[test]
    fn counting_labels_is_asking_about_every_pair() -> Result<()> {
        let labels = [1i64, 2, 1, 3, 1];
        for identity in [false, true] {
            let mut relation = Relation::cross_labels(&labels[..3], labels)?;
            let mut closure = Relation::closure(3, 5, move |q, r| {
                if labels[q] == labels[r] {
                    PairKind::POSITIVE
                } else {
                    PairKind::NEGATIVE
                }
            });
            if identity {
                relation = relation.with_diagonal_self_matches()?;
                closure = closure.with_diagonal_self_matches()?;
            }
            let matches: Vec<usize> = relevance(&relation).iter().map(|r| r.matches).collect();
            assert_eq!(matches, if identity { [2, 0, 2] } else { [3, 1, 3] });
            assert_eq!(relevance(&relation), relevance(&closure));
        }
        Ok(())
    }

    #[test]
    fn ignored_pairs_are_counted_without_the_query_itself() -> Result<()> {
        let weights = [1., -1., -1., 0.];
        let relation = Relation::matrix(&weights, 2, 2)?.with_diagonal_self_matches()?;
        let expected = Relevance {
            matches: 0,
            ignored: 1,
        };
        assert_eq!(relevance(&relation), [expected, expected]);
        Ok(())
    }
}
