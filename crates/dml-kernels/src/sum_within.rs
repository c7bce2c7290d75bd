//! Sum and number of the values of a list that lie strictly between two bounds.

use rayon::prelude::*;

use crate::Real;
use crate::in_place::InPlace;
use crate::row_chunks::worth_a_thread;

/// Values that one task takes at a time; fixed, so that sums do not depend on the number of threads.
const RUN: usize = 16_384;

/// Which values count: those above `low` and below `high`, where these are given, and NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Within<T> {
    /// Only values strictly above this one count.
    pub low: Option<T>,
    /// Only values strictly below this one count.
    pub high: Option<T>,
}

impl<T: Real> Within<T> {
    /// Bounds that were given in double precision.
    #[must_use]
    pub fn new(low: Option<f64>, high: Option<f64>) -> Self {
        Self {
            low: low.map(T::from_f64),
            high: high.map(T::from_f64),
        }
    }

    /// Whether a value counts. NaN is outside of no bounds: it counts, so that the sum is NaN and nothing hides it.
    #[inline(always)]
    #[must_use]
    pub fn holds(self, value: T) -> bool {
        let inside =
            self.low.is_none_or(|low| value > low) & self.high.is_none_or(|high| value < high);
        inside | value.is_nan()
    }

    /// Sum, accumulated in double precision, and number of the values that count.
    #[must_use]
    pub fn sum(self, values: &[T]) -> (f64, u64) {
        let parts: Vec<(f64, u64)> = values
            .par_chunks(RUN)
            .with_min_len(worth_a_thread(RUN))
            .map_in_place(|run| {
                // Four sums side by side: one alone would wait for each addition to end before the next.
                let (mut sums, mut count) = ([0.0; 4], 0);
                let mut quads = run.chunks_exact(4);
                for quad in &mut quads {
                    for (sum, value) in sums.iter_mut().zip(quad) {
                        let counts = self.holds(*value);
                        *sum += if counts { value.to_f64() } else { 0.0 };
                        count += u64::from(counts);
                    }
                }
                for value in quads.remainder() {
                    let counts = self.holds(*value);
                    sums[0] += if counts { value.to_f64() } else { 0.0 };
                    count += u64::from(counts);
                }
                (sums[0] + sums[1] + (sums[2] + sums[3]), count)
            });
        let add = |(sum, count), (part, number)| (sum + part, count + number);
        parts.into_iter().fold((0.0, 0), add)
    }

    /// Whether every value counts.
    #[must_use]
    pub fn holds_all(self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    /// The gradient of that sum: `derivative` for each value that counts, NaN for NaN, 0 for the others.
    #[must_use]
    pub fn gradient(self, values: &[T], derivative: T) -> Vec<T> {
        let mut gradient = crate::zeros(values.len());
        gradient
            .par_chunks_mut(RUN)
            .zip(values.par_chunks(RUN))
            .with_min_len(worth_a_thread(RUN))
            .for_each_in_place(|(gradient, values)| {
                for (gradient, value) in gradient.iter_mut().zip(values) {
                    *gradient = if value.is_nan() {
                        *value
                    } else if self.holds(*value) {
                        derivative
                    } else {
                        T::ZERO
                    };
                }
            });
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_strict_and_any_length_is_summed() {
        for length in [0usize, 1, 3, 4, 5, RUN, 2 * RUN + 7] {
            let values: Vec<f32> = (0..length).map(|i| (i % 5) as f32).collect();
            let all = Within::default().sum(&values);
            let expected: u64 = (0..length as u64).map(|i| i % 5).sum();
            assert_eq!(all, (expected as f64, length as u64));
            let some = Within {
                low: Some(1.0),
                high: Some(4.0),
            };
            let (sum, count) = some.sum(&values);
            let kept: Vec<f64> = values
                .iter()
                .filter(|x| **x == 2.0 || **x == 3.0)
                .map(|x| f64::from(*x))
                .collect();
            assert_eq!((sum, count), (kept.iter().sum(), kept.len() as u64));
            let gradient = some.gradient(&values, 7.0);
            assert_eq!(gradient.iter().filter(|g| **g == 7.0).count(), kept.len());
            assert!(gradient.iter().all(|g| *g == 7.0 || *g == 0.0));
        }
    }

    #[test]
    fn what_is_no_number_is_outside_of_no_bounds() {
        let low = Within {
            low: Some(0.0),
            high: None,
        };
        let between = Within {
            low: Some(0.0),
            high: Some(0.5),
        };
        for within in [low, between] {
            for place in 0..6 {
                let mut values = [-1f64; 6];
                values[place] = f64::NAN;
                let (sum, count) = within.sum(&values);
                assert!(sum.is_nan() && count == 1, "{sum}, {count}");
                let gradient = within.gradient(&values, 2.0);
                assert!(gradient[place].is_nan());
                assert!((0..6).all(|i| i == place || gradient[i] == 0.0));
            }
        }
    }
}
