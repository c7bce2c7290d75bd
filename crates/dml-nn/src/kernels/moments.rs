//! Sums of two terms at once over a run of numbers, in double precision and in an order that depends on the length alone.

use dml_core::kernels::{Real, lanes::by_halves};

/// Sums that run side by side, in the vector registers.
const LANES: usize = 8;

/// `Σ term(aᵢ, bᵢ)` of each of N terms; `b` has at least the length of `a`.
#[inline(always)]
pub(crate) fn sums<T: Real, const N: usize>(
    a: &[T],
    b: &[T],
    term: impl Fn(T, T) -> [f64; N],
) -> [f64; N] {
    let mut total = [0.0; N];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b[..a.len()].as_chunks::<LANES>());
    for (a, b) in a_rest.iter().zip(b_rest) {
        let terms = term(*a, *b);
        for (total, term) in total.iter_mut().zip(terms) {
            *total += term;
        }
    }
    if a.is_empty() {
        return total;
    }
    let mut running = [[0.0; LANES]; N];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let terms = term(a[lane], b[lane]);
            for (running, term) in running.iter_mut().zip(terms) {
                running[lane] += term;
            }
        }
    }
    for (total, running) in total.iter_mut().zip(running) {
        *total += by_halves(running, |a, b| a + b);
    }
    total
}

/// The difference of x from a shift, and its square.
#[inline(always)]
pub(crate) fn deviation<T: Real>(x: T, shift: f64) -> [f64; 2] {
    let difference = x.to_f64() - shift;
    [difference, difference * difference]
}

/// Mean and variance of `count` numbers, given the sums of their differences from `shift` and of the squares of these.
///
/// With one of the numbers as the shift, the difference below loses at most as many digits as `count` has: the square of
/// a difference from the mean is at most `count` times the variance.
#[inline(always)]
pub(crate) fn moments(shift: f64, [sum, squares]: [f64; 2], count: usize) -> [f64; 2] {
    let count = count as f64;
    let mean = sum / count;
    let variance = squares / count - mean * mean;
    // Written so that NaN stays NaN.
    let variance = if variance < 0.0 { 0.0 } else { variance };
    [shift + mean, variance]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_counts_once() {
        for length in [0, 1, 7, 8, 9, 16, 100] {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let b = vec![2f32; length + 3];
            let got = sums(&a, &b, |a, b| [f64::from(a), f64::from(a * b), 1.0]);
            let sum = (0..length).sum::<usize>() as f64;
            assert_eq!(got, [sum, 2.0 * sum, length as f64]);
        }
    }

    #[test]
    fn moments_keep_their_digits_far_from_zero() {
        let x = [1e8, 1e8 + 1.0, 1e8 + 2.0, 1e8 + 5.0];
        let got = sums(&x, &x, |x, _| [x - 1e8, (x - 1e8) * (x - 1e8)]);
        assert_eq!(moments(1e8, got, 4), [1e8 + 2.0, 3.5]);
        assert_eq!(moments(0.0, [0.0, -1e-9], 4), [0.0, 0.0]);
        assert!(moments(0.0, [f64::NAN, f64::NAN], 4)[1].is_nan());
    }
}
