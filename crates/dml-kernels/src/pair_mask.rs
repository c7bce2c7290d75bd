//! Positive and negative pairs as one bit each: what a miner chose out of all pairs of a batch.
//!
//! A list of pairs takes 16 bytes for each, a mask 2 bits for each pair that might have been chosen: at 8,192 rows,
//! 16 MB instead of up to 1 GB.

use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

/// Which of `queries · references` pairs are chosen as positives and which as negatives.
///
/// ```
/// use dml_kernels::PairMask;
///
/// let mask = PairMask::select(2, 3, |q, positives, negatives, _: &mut ()| {
///     positives.insert(2);
///     negatives.insert(q);
/// });
/// assert_eq!(mask.counts(), (2, 2));
/// assert_eq!(mask.negatives(1).collect::<Vec<_>>(), [1]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairMask {
    queries: usize,
    references: usize,
    positive: Vec<u64>,
    negative: Vec<u64>,
    counts: (u64, u64),
}

/// The chosen references of one query while a [`PairMask`] is made.
#[derive(Debug)]
pub struct MaskRow<'a>(&'a mut [u64]);

impl MaskRow<'_> {
    /// Chooses a reference.
    ///
    /// # Panics
    /// If there is no such reference.
    #[inline(always)]
    pub fn insert(&mut self, reference: usize) {
        self.insert_if(reference, true);
    }

    /// Chooses a reference if the condition holds, without a branch.
    ///
    /// # Panics
    /// If there is no such reference.
    #[inline(always)]
    pub fn insert_if(&mut self, reference: usize, condition: bool) {
        self.0[reference / 64] |= u64::from(condition) << (reference % 64);
    }
}

impl PairMask {
    /// `choose(q, positives, negatives, scratch)` marks the references that are chosen for query `q`; rows run in
    /// parallel, each task with scratch memory of its own.
    ///
    /// # Panics
    /// If there are more pairs than can be counted.
    #[must_use]
    pub fn select<S: Default>(
        queries: usize,
        references: usize,
        choose: impl Fn(usize, &mut MaskRow<'_>, &mut MaskRow<'_>, &mut S) + Sync,
    ) -> Self {
        let words = references.div_ceil(64);
        let area = lengths::area("pairs", queries, words);
        let (mut positive, mut negative) = (vec![0; area], vec![0; area]);
        if words > 0 {
            positive
                .par_chunks_mut(words * ROWS)
                .zip(negative.par_chunks_mut(words * ROWS))
                .enumerate()
                .for_each_in_place(|(chunk, (positive, negative))| {
                    let mut scratch = S::default();
                    for (i, (positive, negative)) in positive
                        .chunks_exact_mut(words)
                        .zip(negative.chunks_exact_mut(words))
                        .enumerate()
                    {
                        choose(
                            chunk * ROWS + i,
                            &mut MaskRow(positive),
                            &mut MaskRow(negative),
                            &mut scratch,
                        );
                    }
                });
        }
        Self::of_bits(queries, references, positive, negative)
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

    /// How many positive and how many negative pairs are chosen.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// Whether some pair is chosen as a positive and as a negative at once.
    #[must_use]
    pub fn has_both(&self) -> bool {
        let mut words = self.positive.iter().zip(&self.negative);
        words.any(|(positive, negative)| positive & negative != 0)
    }

    /// The chosen positives of a query in ascending order; none for a query that does not exist.
    pub fn positives(&self, q: usize) -> impl Iterator<Item = u32> + '_ {
        ones(self.row(&self.positive, q))
    }

    /// The queries with any chosen positive, ascending.
    #[must_use]
    pub fn rows_with_positives(&self) -> Vec<u32> {
        (0..self.queries as u32)
            .filter(|&q| {
                self.row(&self.positive, q as usize)
                    .iter()
                    .any(|&word| word != 0)
            })
            .collect()
    }

    /// Each pair of rows once, with the smaller row first, whichever way round it is chosen. Queries for which
    /// `counts` is false choose nothing.
    #[must_use]
    pub fn unordered(&self, counts: impl Fn(usize) -> bool) -> Self {
        let words = self.references.div_ceil(64);
        let queries: Vec<usize> = (0..self.queries).filter(|&q| counts(q)).collect();
        let turned = |bits: &[u64]| {
            let mut turned = vec![0u64; bits.len()];
            for &q in &queries {
                for r in ones(self.row(bits, q)) {
                    let (row, column) = (q.min(r as usize), q.max(r as usize));
                    turned[row * words + column / 64] |= 1 << (column % 64);
                }
            }
            turned
        };
        Self::of_bits(
            self.queries,
            self.references,
            turned(&self.positive),
            turned(&self.negative),
        )
    }

    fn of_bits(queries: usize, references: usize, positive: Vec<u64>, negative: Vec<u64>) -> Self {
        let count = |words: &[u64]| words.iter().map(|w| u64::from(w.count_ones())).sum();
        let counts = (count(&positive), count(&negative));
        Self {
            queries,
            references,
            positive,
            negative,
            counts,
        }
    }

    /// The chosen negatives of a query in ascending order; none for a query that does not exist.
    pub fn negatives(&self, q: usize) -> impl Iterator<Item = u32> + '_ {
        ones(self.row(&self.negative, q))
    }

    fn row<'a>(&self, bits: &'a [u64], q: usize) -> &'a [u64] {
        let words = self.references.div_ceil(64);
        bits.get(q * words..(q + 1) * words).unwrap_or_default()
    }
}

/// The places of the set bits, ascending.
fn ones(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    words.iter().enumerate().flat_map(|(i, &word)| {
        let mut left = word;
        std::iter::from_fn(move || {
            let place = left.trailing_zeros();
            // The lowest set bit is cleared; an empty word stays empty.
            left &= left.wrapping_sub(1);
            (place < 64).then_some(i as u32 * 64 + place)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        for (queries, references) in [(0, 5), (3, 0), (1, 1), (2, 64), (37, 65), (5, 200)] {
            let chosen = |q: usize, r: usize| (q * 31 + r * 17) % 7 < 2;
            let mask = PairMask::select(
                queries,
                references,
                |q, positives, negatives, _: &mut ()| {
                    for r in 0..references {
                        positives.insert_if(r, chosen(q, r));
                        if !chosen(q, r) {
                            negatives.insert(r);
                        }
                    }
                },
            );
            let mut count = 0;
            for q in 0..queries {
                let expected: Vec<u32> = (0..references as u32)
                    .filter(|&r| chosen(q, r as usize))
                    .collect();
                count += expected.len() as u64;
                assert_eq!(mask.positives(q).collect::<Vec<_>>(), expected);
                assert_eq!(mask.negatives(q).count(), references - expected.len());
            }
            assert_eq!(
                mask.counts(),
                (count, (queries * references) as u64 - count)
            );
            assert_eq!(mask.positives(queries).count(), 0);
            assert!(!mask.has_both());
            let with: Vec<u32> = (0..queries as u32)
                .filter(|&q| mask.positives(q as usize).next().is_some())
                .collect();
            assert_eq!(mask.rows_with_positives(), with);
        }
        let both = PairMask::select(1, 70, |_, positives, negatives, _: &mut ()| {
            positives.insert(66);
            negatives.insert(66);
        });
        assert!(both.has_both());
    }
    #[test]
    fn pairs_of_rows_count_once_either_way_round() {
        let mask = PairMask::select(3, 3, |q, positives, negatives, _: &mut ()| {
            positives.insert_if(1, q == 0);
            positives.insert_if(0, q == 1);
            negatives.insert_if(0, q == 2);
            negatives.insert_if(2, q == 1);
        });
        let pairs = mask.unordered(|_| true);
        assert_eq!(pairs.counts(), (1, 2));
        assert_eq!(pairs.positives(0).collect::<Vec<_>>(), [1]);
        assert_eq!(pairs.negatives(0).collect::<Vec<_>>(), [2]);
        assert_eq!(pairs.negatives(1).collect::<Vec<_>>(), [2]);
        assert_eq!(mask.unordered(|q| q != 2).counts(), (1, 1));
    }
}
