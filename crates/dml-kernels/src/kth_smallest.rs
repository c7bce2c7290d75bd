//! The smallest values of many rows, without sorting them.
//!
//! The k-th smallest value is found digit by digit: one pass counts how many values begin with each digit of 11 bits,
//! the next looks only at those that begin as the k-th does.

use crate::in_place::InPlace;
use crate::{Real, row_chunks};
use rayon::prelude::*;

/// Pieces that the rows are cut into for counting.
const PARTS: usize = 16;

/// Bits of a digit: its counts stay in the first-level cache.
const DIGIT: u32 = 11;

/// Which values are among the smallest: all below the cut, and as many at the cut as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KthSmallest {
    key: u64,
    at_cut: u64,
}

impl KthSmallest {
    /// Where to cut so that the `keep` smallest values of all rows remain; `None` if none remain.
    #[must_use]
    pub fn smallest<T: Real>(rows: &[&[T]], keep: u64) -> Option<Self> {
        let total: u64 = rows.iter().map(|row| row.len() as u64).sum();
        let mut left = keep.min(total);
        if left == 0 {
            return None;
        }
        let (mut prefix, mut open) = (0u64, 8 * size_of::<T>() as u32);
        while open > 0 {
            let width = DIGIT.min(open);
            let counts = count_digits(rows, prefix, open, width);
            let mut digit = 0;
            while counts[digit] < left {
                left -= counts[digit];
                digit += 1;
            }
            prefix = prefix << width | digit as u64;
            open -= width;
        }
        Some(Self {
            key: prefix,
            at_cut: left,
        })
    }

    /// For each row, how many of its values at the cut remain: the first ones, row by row.
    #[must_use]
    pub fn room<T: Real>(self, rows: &[&[T]]) -> Vec<u64> {
        let at_cut = |row: &&[T]| row.iter().filter(|v| v.sort_key() == self.key).count() as u64;
        let mut room: Vec<u64> = rows.par_iter().map_in_place(at_cut);
        let mut left = self.at_cut;
        for at_cut in &mut room {
            *at_cut = (*at_cut).min(left);
            left -= *at_cut;
        }
        room
    }

    /// Whether the value remains; one at the cut takes some of the row's `room`.
    #[inline]
    pub fn keeps<T: Real>(self, value: T, room: &mut u64) -> bool {
        let key = value.sort_key();
        let at_cut = key == self.key && *room > 0;
        *room -= u64::from(at_cut);
        key < self.key || at_cut
    }
}

/// How many values whose bits above the lowest `open` are `prefix` have each digit in the `width` bits below.
fn count_digits<T: Real>(rows: &[&[T]], prefix: u64, open: u32, width: u32) -> Vec<u64> {
    let mut sum = vec![0u64; 1 << width];
    let parts: Vec<Vec<u64>> =
        row_chunks(rows.len(), PARTS)
            .into_par_iter()
            .map_in_place(|chunk| {
                let mut counts = vec![0u64; 1 << width];
                for value in rows[chunk].iter().copied().flatten() {
                    let key = value.sort_key();
                    let digit = key >> (open - width) & ((1 << width) - 1);
                    counts[digit as usize] +=
                        u64::from(key.checked_shr(open).unwrap_or(0) == prefix);
                }
                counts
            });
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn check<T: Real>(rows: &[Vec<T>], keep: u64) {
        let slices: Vec<&[T]> = rows.iter().map(Vec::as_slice).collect();
        let mut all: Vec<u64> = rows.iter().flatten().map(|v| v.sort_key()).collect();
        all.sort_unstable();
        all.truncate(keep as usize);
        let mut kept: Vec<u64> = Vec::new();
        if let Some(cut) = KthSmallest::smallest(&slices, keep) {
            for (row, mut room) in rows.iter().zip(cut.room(&slices)) {
                let values = row.iter().filter(|v| cut.keeps(**v, &mut room));
                kept.extend(values.map(|v| v.sort_key()));
            }
        }
        kept.sort_unstable();
        assert_eq!(kept, all);
    }

    #[test]
    fn exactly_the_smallest_remain_ties_included() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for _ in 0..200 {
            let coarse = rng.random_bool(0.5);
            let rows: Vec<Vec<f32>> = (0..rng.random_range(0..6))
                .map(|_| {
                    let value = |rng: &mut ChaCha8Rng| {
                        let x = rng.random_range(-3.0f32..3.0);
                        if coarse { x.round() } else { x }
                    };
                    let length = rng.random_range(0..30);
                    (0..length).map(|_| value(&mut rng)).collect()
                })
                .collect();
            let total = rows.iter().map(Vec::len).sum::<usize>() as u64;
            let wide: Vec<Vec<f64>> = rows
                .iter()
                .map(|row| row.iter().map(|v| f64::from(*v)).collect())
                .collect();
            for keep in [0, 1, total / 3, total, total + 5] {
                check(&rows, keep);
                check(&wide, keep);
            }
        }
    }
}
