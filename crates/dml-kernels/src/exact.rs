//! One distance or product in double precision, from the coordinates themselves.

use crate::Real;
use crate::lanes::by_halves;
use crate::lengths;

/// Partial sums that run side by side, in the vector registers.
const LANES: usize = 16;

/// Σ (aₖ − bₖ)², summed in double precision: exactly 0 for equal rows, and symmetric.
///
/// # Panics
/// Unless the rows are of one length.
#[inline(always)]
#[must_use]
pub fn squared_distance<T: Real>(a: &[T], b: &[T]) -> f64 {
    lengths::length("b", b.len(), a.len());
    sum(a, b, |a, b| {
        let difference = a.to_f64() - b.to_f64();
        difference * difference
    })
}

/// Σ aₖ bₖ, summed in double precision.
///
/// # Panics
/// Unless the rows are of one length.
#[inline(always)]
#[must_use]
pub fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    lengths::length("b", b.len(), a.len());
    sum(a, b, |a, b| a.to_f64() * b.to_f64())
}

/// The terms in `LANES` interleaved sums, then these by halves: an order that depends on the length only.
#[inline(always)]
fn sum<T: Real>(a: &[T], b: &[T], term: impl Fn(T, T) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(*a, *b);
    }
    by_halves(sums, |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_four_five() {
        assert_eq!(squared_distance(&[0f32, 0.], &[3., 4.]), 25.0);
        assert_eq!(dot(&[1f64, 2.], &[3., 4.]), 11.0);
        assert_eq!(dot::<f32>(&[], &[]), 0.0);
    }

    #[test]
    fn every_coordinate_counts_once() {
        for length in [1, 15, 16, 17, 32, 100] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let b = vec![0f32; length];
            let squares: usize = (0..length).map(|i| i * i).sum();
            assert_eq!(squared_distance(&a, &b), squares as f64);
        }
    }
}
