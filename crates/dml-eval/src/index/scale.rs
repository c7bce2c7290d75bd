//! One power of two for the rows of an index that compares them in single precision.
//!
//! Squares of numbers above 10¹⁹ overflow there, those below 10⁻²² vanish. Rows that are multiplied by a power of two keep all
//! their digits, and their distances and products keep their order. Rows of ordinary length are left as they are.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use dml_core::kernels::exact::dot;

use crate::rows::{exponent_of, times_power_of_two};

/// From here on squared lengths of scaled rows come near the end of the range.
const LONGEST: i32 = 60;
/// Below, differences from a scaled query lose digits when they are squared.
const SHORTEST: i32 = -50;

/// What rows are multiplied by: 2 to that power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) exponent: i32,
}

impl Scale {
    /// For rows whose longest one has that length. If its power of two is not an `ordinary` one, it becomes `target`.
    pub(crate) fn new(longest: f64, ordinary: RangeInclusive<i32>, target: i32) -> Self {
        if longest == 0.0 || ordinary.contains(&exponent_of(longest)) {
            return Self::default();
        }
        Self {
            exponent: target - exponent_of(longest),
        }
    }

    /// Whether squares of rows of that length do not overflow.
    pub(crate) fn holds(self, longest: f64) -> bool {
        longest == 0.0 || exponent_of(longest) + self.exponent <= LONGEST
    }

    /// Whether squared differences between a query of that length and the rows can be told apart.
    pub(crate) fn reaches(self, length: f64) -> bool {
        length == 0.0 || (self.holds(length) && exponent_of(length) + self.exponent >= SHORTEST)
    }

    /// How many of the rows `[rows, dim]` are not zero and still so short that squares of their differences vanish.
    #[cfg(feature = "usearch")]
    pub(crate) fn vanishing(self, rows: &[f32], dim: usize) -> usize {
        let lengths = rows.chunks_exact(dim.max(1)).map(length);
        let is_short = |length: &f64| *length > 0.0 && !self.reaches(*length);
        lengths.filter(is_short).count()
    }

    /// What brings rows back.
    #[cfg(feature = "usearch")]
    pub(crate) fn inverse(self) -> Self {
        Self {
            exponent: -self.exponent,
        }
    }

    /// The numbers as they are compared.
    pub(crate) fn apply(self, numbers: &[f32]) -> Cow<'_, [f32]> {
        if self.exponent == 0 {
            return Cow::Borrowed(numbers);
        }
        let scaled = |x: &f32| times_power_of_two(f64::from(*x), self.exponent) as f32;
        numbers.iter().map(scaled).collect()
    }
}

/// The length of a row.
pub(crate) fn length(row: &[f32]) -> f64 {
    dot(row, row).sqrt()
}

/// The length of the longest of the rows `[rows, dim]`.
pub(crate) fn longest(rows: &[f32], dim: usize) -> f64 {
    let lengths = rows.chunks_exact(dim.max(1)).map(length);
    lengths.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_rows_stay_and_others_come_to_the_target() {
        assert_eq!(Scale::new(0.0, -40..=40, 0), Scale::default());
        assert_eq!(Scale::new(1e-9, -40..=40, 0), Scale::default());
        let scale = Scale::new(1e-30, -40..=40, 0);
        let scaled = scale.apply(&[1e-30, -2e-30]);
        assert!((1.0..2.0).contains(&scaled[0]) && scaled[1] == -2.0 * scaled[0]);
        assert!(scale.holds(1e-30) && scale.holds(1e-13) && !scale.holds(1e-10));
        assert!(scale.reaches(1e-30) && !scale.reaches(1.0) && !scale.reaches(1e-46));
        assert!(Scale::default().reaches(0.0));
        assert_eq!(longest(&[3.0, 4.0, 1.0, 0.0], 2), 5.0);
    }
}
