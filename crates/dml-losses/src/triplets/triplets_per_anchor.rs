//! How many triplets of each anchor a loss looks at when no tuples are given.

use dml_core::{Batch, PerAnchor, Result, SeedSequence, Triplets, Tuples, check};

/// The largest number of random triplets of an anchor.
const MOST: usize = 1 << 20;

/// All triplets of an anchor, or some of them drawn at random.
///
/// Written `"all"` or as a number in configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TripletsPerAnchor {
    /// Every triplet.
    #[default]
    All,
    /// This many, drawn uniformly with replacement; 1 to 1,048,576.
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

#[cfg(feature = "serde")]
mod as_word_or_number {
    use super::TripletsPerAnchor;
    use serde::de::{Error, Unexpected, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    const EXPECTED: &str = "\"all\" or a whole number";

    impl Serialize for TripletsPerAnchor {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::All => serializer.serialize_str("all"),
                Self::Random(count) => serializer.serialize_u64(*count as u64),
            }
        }
    }

    impl<'de> Deserialize<'de> for TripletsPerAnchor {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct WordOrNumber;
            impl Visitor<'_> for WordOrNumber {
                type Value = TripletsPerAnchor;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(EXPECTED)
                }

                fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
                    match word {
                        "all" => Ok(TripletsPerAnchor::All),
                        _ => Err(E::invalid_value(Unexpected::Str(word), &EXPECTED)),
                    }
                }

                fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
                    let count = usize::try_from(count)
                        .map_err(|_| E::invalid_value(Unexpected::Unsigned(count), &EXPECTED))?;
                    Ok(TripletsPerAnchor::Random(count))
                }
            }
            deserializer.deserialize_any(WordOrNumber)
        }
    }
}
