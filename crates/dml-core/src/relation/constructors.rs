//! Relations from labels, label sets, weights, pairs, targets and closures.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Knowledge, PairKind, Relation};
use crate::{IntoLabels, Result, check};

impl Relation {
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
        Ok(Self::new(knowledge, rows, rows).among_themselves_if(true))
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
        let knowledge = Knowledge::Labels { query, reference };
        Ok(Self::new(knowledge, queries, references))
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
        let is_among = reference.is_none();
        let reference = reference.map_or_else(|| query.clone(), sorted);
        let (queries, references) = (query.len(), reference.len());
        let knowledge = Knowledge::LabelSets { query, reference };
        Self::new(knowledge, queries, references).among_themselves_if(is_among)
    }

    /// A weight for every pair, row by row: above 0 positive with that weight, 0 negative, below 0 or NaN ignored.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if there are not `queries · references` weights, [`Error::InvalidParameter`](crate::Error::InvalidParameter) for 2³² rows and
    /// more.
    pub fn matrix(weights: &[f32], queries: usize, references: usize) -> Result<Self> {
        check_rows(queries, references)?;
        // More pairs than can be counted are more than there are weights.
        let expected = queries.saturating_mul(references);
        check::length("weights", expected, weights.len())?;
        let kinds = weights.iter().map(|w| PairKind::weighted(*w)).collect();
        Ok(Self::new(Knowledge::Matrix(kinds), queries, references))
    }

    /// Only the given pairs count; all others are ignored.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a pair outside of the rows, [`Error::Unsupported`](crate::Error::Unsupported) for a pair given as both,
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) for 2³² rows and more.
    pub fn pairs(
        positive: &[(u32, u32)],
        negative: &[(u32, u32)],
        queries: usize,
        references: usize,
    ) -> Result<Self> {
        check_rows(queries, references)?;
        for (arg, pairs) in [("positive", positive), ("negative", negative)] {
            check::indices(arg, pairs.iter().map(|(q, _)| *q as usize), queries)?;
            check::indices(arg, pairs.iter().map(|(_, r)| *r as usize), references)?;
        }
        let positive: HashSet<(u32, u32)> = positive.iter().copied().collect();
        let negative: HashSet<(u32, u32)> = negative.iter().copied().collect();
        let reason = "a pair is given as positive and as negative";
        check::supported(positive.is_disjoint(&negative), "Relation::pairs", reason)?;
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
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) if `threshold` is negative or not finite.
    pub fn targets(query: &[f64], reference: Option<&[f64]>, threshold: f64) -> Result<Self> {
        let threshold = check::non_negative("threshold", threshold)?;
        let is_among = reference.is_none();
        let reference: Vec<f64> = reference.unwrap_or(query).to_vec();
        let query = query.to_vec();
        let (queries, references) = (query.len(), reference.len());
        let pair_kind = move |q: usize, r: usize| {
            let difference = (query[q] - reference[r]).abs();
            if difference.is_nan() {
                PairKind::Ignored
            } else {
                PairKind::positive_if(difference <= threshold)
            }
        };
        let relation = Self::closure(queries, references, pair_kind).unweighted();
        Ok(relation.among_themselves_if(is_among))
    }

    /// Whatever `pair_kind(query, reference)` says. It must answer the same whenever it is asked.
    pub fn closure(
        queries: usize,
        references: usize,
        pair_kind: impl Fn(usize, usize) -> PairKind + Send + Sync + 'static,
    ) -> Self {
        let knowledge = Knowledge::Closure(Arc::new(pair_kind));
        Self::new(knowledge, queries, references)
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
