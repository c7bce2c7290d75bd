//! A guess at how far the k-th nearest is, from some of the references.
//!
//! ```text
//! sample   every s-th of n references, of which k/s should be among the k nearest, give or take √(k/s)
//! guess    the largest number that the j nearest of the sample can have, j = k/s + 4 √(k/s) + 4
//! ```
//!
//! A search that knows nothing takes in about `k (1 + ln n/k)` references for each query on its way, and for k in the
//! hundreds that is what takes the time. With the guess it takes in `s j`, hardly more than `k`. The guess is too small
//! for about one query in 10⁵, more if the rows' order repeats every `s` rows; hence a prime `s`. It shows: the k-th
//! nearest that is found lies beyond the guess. Then the query is searched without one.

/// From this `k` on a sample costs less than it saves.
const PAYS_FROM: usize = 32;
/// How many of the k nearest should be in the sample, at least, ...
const AMONG_NEAREST: usize = 32;
/// ... as long as it's no more than one reference in so many.
const STEPS: [usize; 3] = [17, 31, 61];

/// Which references to look at first, and what to make of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Every `step`-th row is in the sample.
    pub(super) step: usize,
    /// The one of these that is compared with the k-th nearest of all.
    pub(super) rank: usize,
}

impl Sample {
    /// `None` where it would not pay.
    pub(super) fn new(references: usize, k: usize) -> Option<Self> {
        let coarse = STEPS
            .into_iter()
            .rev()
            .find(|step| k >= AMONG_NEAREST * step);
        let step = coarse.unwrap_or(STEPS[0]);
        let among_nearest = k.div_ceil(step);
        let rank = among_nearest + 4 * (among_nearest.isqrt() + 1);
        let pays = k >= PAYS_FROM && references / step >= 8 * rank;
        pays.then_some(Self { step, rank })
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn ranks_by_hand() {
        // 100 / 17 is 6 nearest: 6 + 4 (2 + 1).
        let sample = Sample { step: 17, rank: 18 };
        assert_eq!(Sample::new(60_000, 100), Some(sample));
        // 1000 / 31 is 33 nearest: 33 + 4 (5 + 1).
        let sample = Sample { step: 31, rank: 57 };
        assert_eq!(Sample::new(60_000, 1000), Some(sample));
    }

    #[test]
    fn few_neighbours_or_references_need_no_guess() {
        assert_eq!(Sample::new(60_000, 10), None);
        assert_eq!(Sample::new(2000, 100), None);
    }
}
