//! Rows in the order of their distance.
//!
//! Distances of one anchor lie in a narrow range and are spread over it, so as many buckets of equal width as there
//! are rows put almost every row in its place; what is left is a few steps of insertion. That takes about a third of
//! the time of sorting by comparisons.

use crate::Real;

/// From how many rows on buckets pay.
const MANY: usize = 48;
/// How many rows of one bucket are left to insertion.
const FEW: usize = 24;

/// Sorts rows by distance, then by number; its memory is used again for the next anchor.
#[derive(Default)]
pub(crate) struct DistanceOrder<T> {
    far: Vec<T>,
    narrow: Buckets<u64>,
    wide: Buckets<u128>,
}

impl<T: Real> DistanceOrder<T> {
    /// Sorts `rows` by `sign · row[r]`, then by r, and returns these distances.
    pub(crate) fn sort(&mut self, rows: &mut [u32], row: &[T], sign: T) -> &[T] {
        let distance = |r: u32| sign * row[r as usize];
        self.far.clear();
        self.far.extend(rows.iter().map(|&r| distance(r)));
        // Key and row share one word: words move and compare faster than pairs.
        if size_of::<T>() == 4 {
            let words = self.far.iter().zip(&*rows);
            let words = words.map(|(far, &r)| far.sort_key() << 32 | u64::from(r));
            self.narrow.sort(&self.far, words);
            let sorted = rows.iter_mut().zip(&self.narrow.words);
            sorted.for_each(|(r, word)| *r = *word as u32);
        } else {
            let words = self.far.iter().zip(&*rows);
            let words = words.map(|(far, &r)| u128::from(far.sort_key()) << 32 | u128::from(r));
            self.wide.sort(&self.far, words);
            let sorted = rows.iter_mut().zip(&self.wide.words);
            sorted.for_each(|(r, word)| *r = *word as u32);
        }
        for (far, &r) in self.far.iter_mut().zip(&*rows) {
            *far = distance(r);
        }
        &self.far
    }
}

/// Words, and the memory to sort them with.
#[derive(Default)]
struct Buckets<W> {
    words: Vec<W>,
    placed: Vec<W>,
    buckets: Vec<u32>,
    ends: Vec<u32>,
}

impl<W: Copy + Default + Ord> Buckets<W> {
    /// Sorts `words`, each of which is larger than another if its distance is.
    fn sort<T: Real>(&mut self, far: &[T], words: impl Iterator<Item = W>) {
        self.words.clear();
        self.words.extend(words);
        match spread(far) {
            Some((low, scale)) => self.sort_spread(far, low, scale),
            None => self.words.sort_unstable(),
        }
    }

    fn sort_spread<T: Real>(&mut self, far: &[T], low: f64, scale: f64) {
        let count = far.len();
        self.ends.clear();
        self.ends.resize(count + 1, 0);
        self.buckets.clear();
        for far in far {
            // Subtraction, product and truncation are monotone: a larger distance never has an earlier bucket.
            let bucket = ((far.to_f64() - low) * scale) as usize;
            let bucket = bucket.min(count - 1);
            self.buckets.push(bucket as u32);
            self.ends[bucket + 1] += 1;
        }
        let mut sum = 0;
        for end in &mut self.ends {
            sum += *end;
            *end = sum;
        }
        self.placed.clear();
        self.placed.resize(count, W::default());
        for (&bucket, &word) in self.buckets.iter().zip(&self.words) {
            // Where the bucket before ended is where this one begins; the place moves on with every row.
            let place = &mut self.ends[bucket as usize];
            self.placed[*place as usize] = word;
            *place += 1;
        }
        std::mem::swap(&mut self.words, &mut self.placed);
        let mut first = 0;
        for &end in &self.ends[..count] {
            let end = end as usize;
            if end - first > FEW {
                self.words[first..end].sort_unstable();
            }
            first = end;
        }
        insert(&mut self.words);
    }
}

/// The smallest distance, and how many buckets there are per unit; `None` if the distances can't be spread over
/// buckets, being few, equal, infinite or no numbers.
fn spread<T: Real>(far: &[T]) -> Option<(f64, f64)> {
    if far.len() < MANY {
        return None;
    }
    let (mut low, mut high, mut nothing) = (far[0], far[0], T::ZERO);
    for &far in far {
        low = low.min(far);
        high = high.max(far);
        // A number times 0 is 0; infinity, and what is no number, make it no number.
        nothing += far * T::ZERO;
    }
    let (low, high) = (low.to_f64(), high.to_f64());
    let scale = far.len() as f64 / (high - low);
    (nothing == T::ZERO && scale.is_finite()).then_some((low, scale))
}

/// Insertion sort: fast where every entry is a few places from its own.
fn insert<W: Copy + Ord>(words: &mut [W]) {
    for i in 1..words.len() {
        let word = words[i];
        let mut place = i;
        while place > 0 && words[place - 1] > word {
            words[place] = words[place - 1];
            place -= 1;
        }
        words[place] = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn check<T: Real>(row: &[T], sign: T) {
        let mut rows: Vec<u32> = (0..row.len() as u32).rev().collect();
        let mut expected = rows.clone();
        expected.sort_by_key(|&r| ((sign * row[r as usize]).sort_key(), r));
        let mut order = DistanceOrder::default();
        let far: Vec<T> = order.sort(&mut rows, row, sign).to_vec();
        assert_eq!(rows, expected);
        let keys = |list: &[T]| list.iter().map(|x| x.sort_key()).collect::<Vec<_>>();
        let wanted: Vec<T> = rows.iter().map(|&r| sign * row[r as usize]).collect();
        assert_eq!(keys(&far), keys(&wanted));
        // The memory of the first anchor must not show in the second.
        order.sort(&mut [0], row, sign);
        order.sort(&mut rows, row, sign);
        assert_eq!(rows, expected);
    }

    #[test]
    fn any_distances_come_in_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for round in 0..300 {
            let count = rng.random_range(1..400);
            let kind = round % 6;
            let row: Vec<f32> = (0..count)
                .map(|_| match kind {
                    0 => rng.random_range(0.5..1.5),
                    1 => rng.random_range(-3i8..4).into(),
                    2 => 10f32.powf(rng.random_range(-30.0..30.0)),
                    3 => 0.75,
                    4 if rng.random_bool(0.1) => f32::NAN,
                    5 if rng.random_bool(0.1) => f32::INFINITY,
                    _ => rng.random_range(-1.0..1.0),
                })
                .collect();
            let wide: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            for sign in [1.0f32, -1.0] {
                check(&row, sign);
                check(&wide, f64::from(sign));
            }
        }
    }
}
