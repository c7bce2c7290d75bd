//! The hardest pairs of a whole batch, without sorting or storing any of them.
//!
//! The k-th smallest value is found digit by digit: one pass counts how many values begin with each 16-bit digit,
//! the next looks only at those that begin as the k-th does.

use crate::{Real, row_chunks};
use rayon::prelude::*;

const DIGIT: u32 = 16;

/// Which values are among the `count` smallest: all below the cut, and as many at the cut as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCut {
    key: u64,
    at_cut: u64,
}

/// A list of values for each row, handed out one by one: `visit(row, f)` calls `f` on each.
pub type VisitRow<'a, T> = dyn Fn(usize, &mut dyn FnMut(T)) + Sync + 'a;

/// Finds the smallest values of many rows.
#[derive(Clone, Copy, Debug)]
pub struct HardestPairs {
    rows: usize,
}

impl HardestPairs {
    /// Over this many rows.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { rows }
    }

    /// Where to cut so that `keep(values)` of all values remain, the smallest ones; `None` if none remain.
    #[must_use]
    pub fn cut<T: Real>(
        self,
        keep: impl Fn(u64) -> u64,
        visit: &VisitRow<'_, T>,
    ) -> Option<PairCut> {
        let bits = if size_of::<T>() == 4 { 32 } else { 64 };
        let (mut prefix, mut wanted) = (0u64, None);
        for shift in (0..bits).step_by(DIGIT as usize).rev() {
            let counts = self.count_digits(shift, prefix, visit);
            let total: u64 = counts.iter().sum();
            let mut left = match wanted {
                Some(left) => left,
                None => keep(total).min(total),
            };
            if left == 0 {
                return None;
            }
            let mut digit = 0;
            while counts[digit] < left {
                left -= counts[digit];
                digit += 1;
            }
            prefix = prefix << DIGIT | digit as u64;
            wanted = Some(left);
        }
        wanted.map(|at_cut| PairCut {
            key: prefix,
            at_cut,
        })
    }

    /// How many values whose higher digits are `prefix` have each digit at `shift`.
    fn count_digits<T: Real>(self, shift: u32, prefix: u64, visit: &VisitRow<'_, T>) -> Vec<u64> {
        let parts: Vec<Vec<u64>> = row_chunks(self.rows)
            .into_par_iter()
            .map(|rows| {
                let mut counts = vec![0u64; 1 << DIGIT];
                for row in rows {
                    visit(row, &mut |value: T| {
                        let key = value.sort_key() >> shift;
                        let digit = key & ((1 << DIGIT) - 1);
                        counts[digit as usize] += u64::from(key >> DIGIT == prefix);
                    });
                }
                counts
            })
            .collect();
        parts
            .into_iter()
            .reduce(|mut sum, part| {
                sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                sum
            })
            .unwrap_or_default()
    }

    /// For each row, how many of its values at the cut remain: the first ones, row by row.
    #[must_use]
    pub fn room_at_cut<T: Real>(self, cut: PairCut, visit: &VisitRow<'_, T>) -> Vec<u64> {
        let mut room = crate::map_rows(self.rows, |row, _: &mut ()| {
            let mut at_cut = 0;
            visit(row, &mut |value: T| {
                at_cut += u64::from(value.sort_key() == cut.key);
            });
            at_cut
        });
        let mut left = cut.at_cut;
        for at_cut in &mut room {
            *at_cut = (*at_cut).min(left);
            left -= *at_cut;
        }
        room
    }
}

impl PairCut {
    /// Whether the value remains; one at the cut takes some of the row's `room`.
    #[inline]
    pub fn keeps<T: Real>(self, value: T, room: &mut u64) -> bool {
        let key = value.sort_key();
        let at_cut = key == self.key && *room > 0;
        *room -= u64::from(at_cut);
        key < self.key || at_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn check<T: Real>(rows: &[Vec<T>], keep: u64) {
        let visit = |row: usize, f: &mut dyn FnMut(T)| rows[row].iter().for_each(|v| f(*v));
        let pairs = HardestPairs::new(rows.len());
        let mut all: Vec<u64> = rows.iter().flatten().map(|v| v.sort_key()).collect();
        all.sort_unstable();
        all.truncate(keep as usize);
        let mut kept: Vec<u64> = Vec::new();
        if let Some(cut) = pairs.cut(|_| keep, &visit) {
            let room = pairs.room_at_cut(cut, &visit);
            for (row, mut room) in rows.iter().zip(room) {
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
        for _ in 0..40 {
            let coarse = rng.random_bool(0.5);
            let rows: Vec<Vec<f32>> = (0..rng.random_range(0..6))
                .map(|_| {
                    let value = |rng: &mut ChaCha8Rng| {
                        let x = rng.random_range(-3.0f32..3.0);
                        if coarse { x.round() } else { x }
                    };
                    (0..rng.random_range(0..30))
                        .map(|_| value(&mut rng))
                        .collect()
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
