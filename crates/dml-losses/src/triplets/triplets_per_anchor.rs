//! How many triplets of each anchor a loss looks at when no tuples are given.

use dml_core::{Batch, PerAnchor, Result, SeedSequence, Triplets, Tuples, check};

/// The largest number of random triplets of an anchor.
const MOST: usize = 1 << 20;

/// All triplets of an anchor, or some of them drawn at random.
///
/// Written `"all"` or as a number in configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(expecting = "\"all\" or a whole number"))]
pub enum TripletsPerAnchor {
    /// Every triplet.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "all"))]
    All,
    /// This many, drawn uniformly with replacement; 1 to 1,048,576.
    #[cfg_attr(feature = "serde", serde(untagged))]
    Random(usize),
}

impl TripletsPerAnchor {
    /// The number, if it is neither 0 nor above a million.
    pub(crate) fn checked(self) -> Result<Self> {
        if let Self::Random(count) = self {
            check::count("triplets_per_anchor", count, MOST)?;
        }
        Ok(self)
    }

    /// Whether the triplets of that many anchors fit into memory.
    pub(crate) fn fits(self, anchors: usize) -> Result<()> {
        if let Self::Random(count) = self {
            check::elements("triplets_per_anchor", &[anchors, count], 12)?;
        }
        Ok(())
    }

    /// Random triplets where they take the place of all; else the tuples themselves.
    pub(crate) fn of(
        self,
        component: &'static str,
        batch: &Batch,
        tuples: &Tuples,
        seeds: &SeedSequence,
    ) -> Result<Tuples> {
        Ok(match self {
            Self::Random(count) if tuples.is_all() => {
                let relation = batch.require_relation(component)?;
                self.fits(relation.queries())?;
                let per_anchor = PerAnchor::Exactly(count);
                Triplets::random(relation, per_anchor, &mut seeds.next_rng()).into()
            }
            _ => tuples.clone(),
        })
    }
}
