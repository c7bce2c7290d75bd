//! Triplets drawn at random.

use dml_kernels::{Weigh, random_triplets};
use rand::RngCore;

use super::Triplets;
use crate::Relation;

/// How many triplets of an anchor are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAnchor {
    /// This many.
    Exactly(usize),
    /// As many as there are references of its kind, itself included.
    ClassSize,
}

impl Triplets {
    /// Triplets of each anchor that has a positive and a negative, drawn uniformly with replacement.
    pub fn random(relation: &Relation, per_anchor: PerAnchor, rng: &mut dyn RngCore) -> Self {
        Self::draw(relation, per_anchor, None, rng)
    }

    /// Triplets of each anchor that has a positive and a negative of any weight, drawn with replacement: positives
    /// uniformly, negatives in proportion to their weights.
    ///
    /// `weigh(a, negatives, weights)` appends one weight `>= 0` for each of the anchor's negatives.
    pub fn random_weighted(
        relation: &Relation,
        per_anchor: PerAnchor,
        weigh: impl Fn(usize, &[u32], &mut Vec<f64>) + Sync,
        rng: &mut dyn RngCore,
    ) -> Self {
        Self::draw(relation, per_anchor, Some(&weigh), rng)
    }

    fn draw(
        relation: &Relation,
        per_anchor: PerAnchor,
        weigh: Option<&Weigh<'_>>,
        rng: &mut dyn RngCore,
    ) -> Self {
        let draws = |a: usize, positives: usize| match per_anchor {
            PerAnchor::Exactly(count) => count,
            PerAnchor::ClassSize => positives + usize::from(relation.self_match(a).is_some()),
        };
        let (anchors, positives, negatives) = random_triplets(
            relation.queries(),
            rng.next_u64(),
            |a, p, n| relation.split(a, p, n),
            draws,
            weigh,
        );
        Self {
            anchors,
            positives,
            negatives,
        }
    }
}
