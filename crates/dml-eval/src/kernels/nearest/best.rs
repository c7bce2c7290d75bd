//! The k smallest of a stream of keys, ties broken by the lower row.

use std::cmp::Ordering;

/// Keeps the `k` smallest `(key, row)` of all that are pushed.
///
/// Entries gather in a buffer that is cut back to the `k` smallest whenever it is full, which costs a constant per
/// entry on average, whatever `k`.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    k: usize,
    entries: Vec<(f64, u32)>,
    /// Nothing with a larger key can be among the `k` smallest.
    bound: f64,
}

impl Best {
    /// Keeps the `k` smallest, `k >= 1`.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            entries: Vec::new(),
            bound: f64::INFINITY,
        }
    }

    /// Offers a key, NaN being larger than every number; returns whether the bound has changed.
    #[inline]
    pub(crate) fn push(&mut self, key: f64, row: u32) -> bool {
        if key > self.bound {
            return false;
        }
        self.entries.push((key, row));
        // The first k give a bound at once; from then on the buffer may grow by half before it is cut.
        if self.entries.len() >= self.k + (self.k / 2).max(8) || self.entries.len() == self.k {
            self.cut();
            return true;
        }
        false
    }

    /// Nothing with a larger key can be among the `k` smallest; infinity before there are `k`.
    pub(crate) fn bound(&self) -> f64 {
        self.bound
    }

    /// The key of the k-th smallest; infinity before there are `k`.
    pub(crate) fn kth(&mut self) -> f64 {
        self.cut();
        self.bound
    }

    /// Takes in what another one has kept.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, row) in other.entries {
            self.push(key, row);
        }
    }

    /// The `k` smallest, or all if there were fewer, in order.
    pub(crate) fn into_sorted(mut self) -> Vec<(f64, u32)> {
        self.cut();
        self.entries.sort_unstable_by(closest_first);
        self.entries
    }

    fn cut(&mut self) {
        if self.entries.len() >= self.k {
            let (_, last, _) = self
                .entries
                .select_nth_unstable_by(self.k - 1, closest_first);
            self.bound = last.0;
            self.entries.truncate(self.k);
        }
    }
}

/// The order of keys and rows: ties go to the lower row.
pub(crate) fn closest_first(a: &(f64, u32), b: &(f64, u32)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::Best;

    #[test]
    fn ties_go_to_the_lower_row_in_whatever_order_they_come() {
        let keys = [3.0, 1.0, 2.0, 1.0, 1.0, 0.5];
        for start in 0..keys.len() {
            let mut best = Best::new(3);
            for i in 0..keys.len() {
                let row = (start + i) % keys.len();
                best.push(keys[row], row as u32);
            }
            assert_eq!(best.into_sorted(), [(0.5, 5), (1.0, 1), (1.0, 3)]);
        }
    }

    #[test]
    fn the_bound_is_the_kth_smallest_so_far() {
        let mut best = Best::new(2);
        assert!(!best.push(5.0, 0));
        assert_eq!(best.bound(), f64::INFINITY);
        assert!(best.push(4.0, 1));
        assert_eq!(best.bound(), 5.0);
        assert!(!best.push(6.0, 2));
        assert!(!best.push(1.0, 3));
        assert_eq!((best.bound(), best.kth()), (5.0, 4.0));
    }

    #[test]
    fn a_long_stream_keeps_the_smallest() {
        for k in [1, 2, 7, 100, 1000] {
            let mut best = Best::new(k);
            // 7 and 1000 share no factor: a permutation of 0..1000.
            for i in 0..1000u32 {
                best.push(f64::from(i * 7 % 1000), i);
            }
            let found = best.into_sorted();
            assert!(
                found
                    .iter()
                    .map(|(key, _)| *key)
                    .eq((0..k).map(|i| i as f64))
            );
        }
    }

    #[test]
    fn merging_is_pushing() {
        let (mut left, mut right) = (Best::new(2), Best::new(2));
        left.push(1.0, 0);
        right.push(0.5, 1);
        right.push(0.7, 2);
        left.merge(right);
        assert_eq!(left.into_sorted(), [(0.5, 1), (0.7, 2)]);
    }
}
