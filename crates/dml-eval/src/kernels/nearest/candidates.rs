//! The references that may still be among the k nearest of one query.

use dml_core::kernels::Real;

use super::Best;

/// A reference that no number could rule out.
#[derive(Clone, Copy, Debug)]
struct Candidate<T> {
    /// Its key less the shift is not smaller than this, ...
    least: T,
    /// ... and not larger than this.
    most: T,
    row: u32,
}

/// Candidates in a buffer that is thinned out whenever it is full.
///
/// Intervals decide as long as they can: a candidate goes when its least is larger than the k-th smallest most. Where
/// too many remain, as among duplicates, all are measured and only the `k` nearest stay; from then on every full buffer
/// is measured. The buffer is thus never larger than one and a half times `k` plus a constant.
#[derive(Clone, Debug)]
pub(super) struct Candidates<T> {
    k: usize,
    pending: Vec<Candidate<T>>,
    measured: Option<Best>,
    /// The key of the k-th nearest less the shift cannot be larger than this, if the guess was right.
    bound: f64,
}

impl<T: Real> Candidates<T> {
    /// No candidates yet for the `k` nearest, `k >= 1`. What is above the guess is not among them, somebody thinks.
    pub(super) fn new(k: usize, guess: f64) -> Self {
        Self {
            k,
            pending: Vec::new(),
            measured: None,
            bound: guess,
        }
    }

    /// A reference whose key less the shift is certainly larger than this can't be among the `k` nearest.
    #[inline(always)]
    pub(super) fn bound(&self) -> f64 {
        self.bound
    }

    /// Takes a reference in; returns whether the buffer is full now and [`thin_out`](Self::thin_out) is due.
    #[inline(always)]
    pub(super) fn push(&mut self, least: T, most: T, row: u32) -> bool {
        // Infinity less infinity is no number, and of either sign: nothing is known then.
        let infinity = T::from_f64(f64::INFINITY);
        self.pending.push(Candidate {
            least: if least.is_nan() { -infinity } else { least },
            most: if most.is_nan() { infinity } else { most },
            row,
        });
        self.pending.len() >= self.k + self.spare()
    }

    #[cfg(test)]
    pub(super) fn intervals(&self) -> impl Iterator<Item = (T, T, u32)> {
        let pending = self.pending.iter();
        pending.map(|candidate| (candidate.least, candidate.most, candidate.row))
    }

    fn spare(&self) -> usize {
        (self.k / 2).max(16)
    }

    /// Drops what cannot be among the `k` nearest; `measure(row)` gives a row's key.
    pub(super) fn thin_out(&mut self, measure: impl Fn(u32) -> f64, shift: f64) {
        self.drop_by_intervals();
        if self.measured.is_some() || self.pending.len() > self.k + self.spare() / 2 {
            let mut best = self.measured.take().unwrap_or_else(|| Best::new(self.k));
            for candidate in self.pending.drain(..) {
                best.push(measure(candidate.row), candidate.row);
            }
            self.bound = self.bound.min(best.bound() - shift);
            self.measured = Some(best);
        }
    }

    /// Drops what the others' intervals rule out, as long as nothing has been measured.
    pub(super) fn drop_by_intervals(&mut self) {
        if self.measured.is_some() || self.pending.len() < self.k {
            return;
        }
        let order = |candidate: &Candidate<T>| candidate.most.sort_key();
        let (_, last, _) = self.pending.select_nth_unstable_by_key(self.k - 1, order);
        let most = last.most.to_f64();
        if most < self.bound {
            self.bound = most;
        }
        let bound = self.bound;
        let mut kept = self.k;
        for i in self.k..self.pending.len() {
            let candidate = self.pending[i];
            if candidate.least.to_f64() <= bound {
                self.pending[kept] = candidate;
                kept += 1;
            }
        }
        self.pending.truncate(kept);
    }

    /// What has been measured, and the rows that have not, in ascending order.
    pub(super) fn into_parts(mut self) -> (Best, Vec<u32>) {
        self.drop_by_intervals();
        let best = self.measured.unwrap_or_else(|| Best::new(self.k));
        let mut rows: Vec<u32> = self.pending.iter().map(|candidate| candidate.row).collect();
        rows.sort_unstable();
        (best, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes in the numbers, thinning out when due, and gives what is left: measured keys and unmeasured rows.
    fn run(k: usize, numbers: &[f32], error: f64) -> (Vec<(f64, u32)>, Vec<u32>, usize) {
        let (mut candidates, mut largest) = (Candidates::new(k, f64::INFINITY), 0);
        let measure = |row: u32| f64::from(numbers[row as usize]);
        for (row, number) in (0..).zip(numbers) {
            if candidates.push(*number - error as f32, *number + error as f32, row) {
                candidates.thin_out(measure, 0.0);
            }
            largest = largest.max(candidates.pending.len());
        }
        let (best, rows) = candidates.into_parts();
        (best.into_sorted(), rows, largest)
    }

    #[test]
    fn what_is_certainly_too_far_goes_unmeasured() {
        // 500 and 997 share no factor: the numbers come in no order.
        let numbers: Vec<f32> = (0..997).map(|i| (i * 500 % 997) as f32).collect();
        let (measured, rows, largest) = run(10, &numbers, 1.0);
        assert!(measured.is_empty());
        assert!(largest <= 10 + 16);
        // The ten smallest are there.
        for number in 0..10 {
            let row = numbers.iter().position(|x| *x == number as f32).unwrap();
            assert!(rows.contains(&(row as u32)));
        }
        assert!(rows.is_sorted());
    }

    #[test]
    fn a_crowd_is_measured_and_the_buffer_stays_small() {
        let (measured, rows, largest) = run(3, &[1.0; 1000], 0.5);
        assert_eq!(measured, [(1.0, 0), (1.0, 1), (1.0, 2)]);
        assert!(largest <= 3 + 16);
        assert!(rows.len() <= largest);
    }

    #[test]
    fn what_is_not_a_number_is_measured() {
        let mut candidates = Candidates::<f32>::new(1, f64::INFINITY);
        for row in 0..17 {
            if candidates.push(f32::NAN, f32::NAN, row) {
                candidates.thin_out(|row| 20.0 - f64::from(row), 0.0);
            }
        }
        let (best, rows) = candidates.into_parts();
        assert_eq!((best.into_sorted(), rows.len()), (vec![(4.0, 16)], 0));
    }
}
