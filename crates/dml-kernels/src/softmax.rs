//! Softmax of a list of exponents in place, with the logarithm of the sum of exponentials.
//!
//! ```text
//! lse = ln Σ tᵢ e^{xᵢ}              with the one: ln(1 + Σ tᵢ e^{xᵢ})
//! xᵢ becomes tᵢ e^{xᵢ − lse}        which is ∂lse/∂xᵢ
//! ```
//!
//! The largest exponent is taken out of the sum first, so nothing overflows. tᵢ says how often an exponent counts.

use crate::lanes::sum as sum_of;
use crate::lengths;
use crate::{Real, vectorized};

/// Sums that run side by side, so that a processor with wide registers fills them.
const LANES: usize = 16;

/// The logarithm of the sum of exponentials; `exponents` become its gradient.
///
/// `times` says how often each exponent counts, above 0; empty stands for once each. Without an exponent and without
/// the one the sum is empty, and its logarithm −∞.
///
/// ```
/// use dml_kernels::softmax::softmax_in_place;
///
/// let mut x = [0f64, 3f64.ln()];
/// let lse = softmax_in_place(&mut x, &[], false);
/// assert!((lse - 4f64.ln()).abs() < 1e-15);
/// assert!((x[0] - 0.25).abs() < 1e-15 && (x[1] - 0.75).abs() < 1e-15);
/// ```
///
/// # Panics
/// If there are counts, but not one for each exponent.
pub fn softmax_in_place<T: Real>(exponents: &mut [T], times: &[T], add_one: bool) -> f64 {
    if !times.is_empty() {
        lengths::length("times", times.len(), exponents.len());
    }
    vectorized!({
        let lowest = if add_one {
            T::ZERO
        } else {
            T::from_f64(f64::NEG_INFINITY)
        };
        let top = largest(exponents, lowest);
        if !top.to_f64().is_finite() {
            return without_shares(exponents, top);
        }
        for x in exponents.iter_mut() {
            *x = (*x - top).quick_exp();
        }
        for (x, times) in exponents.iter_mut().zip(times) {
            *x = *x * *times;
        }
        let one = if add_one { (-top.to_f64()).exp() } else { 0.0 };
        let sum = one + sum_of(exponents);
        let share = T::from_f64(1.0 / sum);
        for x in exponents.iter_mut() {
            *x = *x * share;
        }
        top.to_f64() + sum.ln()
    })
}

/// The logarithm where the largest exponent is none that others can be compared with. No exponent counts at −∞, so
/// the gradient is 0; at +∞ and NaN there is none, so it is NaN.
#[cold]
fn without_shares<T: Real>(exponents: &mut [T], top: T) -> f64 {
    let nan = T::from_f64(f64::NAN);
    if exponents.iter().any(|x| x.is_nan()) {
        exponents.fill(nan);
        return f64::NAN;
    }
    let is_empty = top < T::ZERO;
    exponents.fill(if is_empty { T::ZERO } else { nan });
    top.to_f64()
}

/// `Σ e^{x + y − shift}` of two lists of one length; `shift` is at least the largest `x + y`.
///
/// # Panics
/// Unless the lists are of one length.
#[must_use]
pub fn sum_of_exponentials<T: Real>(x: &[T], y: &[T], shift: T) -> f64 {
    lengths::length("y", y.len(), x.len());
    /// So many numbers add up in their own precision before double precision takes over.
    const BLOCK: usize = 64 * LANES;
    vectorized!({
        let mut sum = 0.0;
        for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
            let mut lanes = [T::ZERO; LANES];
            let (x, y) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
            let rest = x.remainder().iter().zip(y.remainder());
            let rest = rest.map(|(x, y)| (*x + *y - shift).quick_exp().to_f64());
            sum += rest.sum::<f64>();
            for (x, y) in x.zip(y) {
                for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
                    *lane += (*x + *y - shift).quick_exp();
                }
            }
            sum += lanes.iter().map(|lane| lane.to_f64()).sum::<f64>();
        }
        sum
    })
}

/// Adds `factor · e^{x + y − sum}` to each number of `out`: what flows back through `sum = ln Σ e^{x + y}`.
///
/// # Panics
/// Unless the lists are of one length.
pub fn add_softmax_of_sums<T: Real>(out: &mut [T], x: &[T], y: &[T], sum: T, factor: T) {
    lengths::length("x", x.len(), out.len());
    lengths::length("y", y.len(), out.len());
    vectorized!({
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out += factor * (*x + *y - sum).quick_exp();
        }
    });
}

/// The largest number, at least `lowest`.
#[inline(always)]
fn largest<T: Real>(x: &[T], lowest: T) -> T {
    let mut tops = [lowest; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (top, x) in tops.iter_mut().zip(block) {
            *top = if *x > *top { *x } else { *top };
        }
    }
    let larger = |a: T, b: &T| if *b > a { *b } else { a };
    let top = tops.iter().fold(lowest, larger);
    rest.iter().fold(top, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_agree_with_a_plain_sum() {
        for length in [1, 5, 16, 17, 100] {
            for add_one in [false, true] {
                let x: Vec<f32> = (0..length).map(|i| (i as f32 * 1.7).sin() * 9.0).collect();
                let times: Vec<f32> = (0..length).map(|i| (i % 3 + 1) as f32).collect();
                let plain: f64 = x
                    .iter()
                    .zip(&times)
                    .map(|(x, t)| f64::from(*t) * f64::from(*x).exp())
                    .sum();
                let want = (plain + f64::from(u8::from(add_one))).ln();
                let mut got = x.clone();
                let lse = softmax_in_place(&mut got, &times, add_one);
                assert!((lse - want).abs() < 1e-6, "{lse} {want}");
                for ((got, x), t) in got.iter().zip(&x).zip(&times) {
                    let share = f64::from(*t) * (f64::from(*x) - want).exp();
                    assert!((f64::from(*got) - share).abs() < 1e-6 * (share + 1e-3));
                }
            }
        }
    }

    #[test]
    fn sums_of_two_lists_agree_with_a_plain_sum() {
        for length in [0, 1, 16, 1024, 1041, 5000] {
            let x: Vec<f32> = (0..length).map(|i| (i as f32 * 1.7).sin()).collect();
            let y: Vec<f32> = (0..length).map(|i| (i as f32 * 0.3).cos()).collect();
            let plain = x.iter().zip(&y).map(|(x, y)| f64::from(x + y - 2.0).exp());
            let (got, want) = (sum_of_exponentials(&x, &y, 2.0), plain.sum::<f64>());
            assert!((got - want).abs() <= 1e-5 * want, "{got} {want}");
        }
    }

    #[test]
    fn shares_of_a_sum_of_two_lists_are_added() {
        let (x, y) = ([0f64, 1.0, f64::NEG_INFINITY], [0.5f64, -0.5, 3.0]);
        let mut out = [1f64; 3];
        let sum = (2.0 * 0.5f64.exp()).ln();
        add_softmax_of_sums(&mut out, &x, &y, sum, 4.0);
        for (got, want) in out.iter().zip([3.0, 3.0, 1.0]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn what_is_no_number_comes_through_and_has_no_gradient() {
        for add_one in [false, true] {
            for length in [1, 2, 16, 33] {
                for place in [0, length / 2, length - 1] {
                    let mut x = vec![1f64; length];
                    x[place] = f64::NAN;
                    assert!(softmax_in_place(&mut x, &[], add_one).is_nan());
                    assert!(x.iter().all(|x| x.is_nan()), "{x:?}");
                }
            }
            let mut x = [f32::NAN; 3];
            assert!(softmax_in_place(&mut x, &[], add_one).is_nan());
            let mut x = [0f32, f32::INFINITY];
            assert_eq!(softmax_in_place(&mut x, &[], add_one), f64::INFINITY);
            assert!(x.iter().all(|x| x.is_nan()));
        }
        let mut x = [f32::NEG_INFINITY; 3];
        assert_eq!(softmax_in_place(&mut x, &[], false), f64::NEG_INFINITY);
        assert_eq!(x, [0.0; 3]);
    }

    #[test]
    fn nothing_overflows_and_nothing_is_minus_infinity() {
        let mut x = [1000f32, -1000.0, 1000.0];
        assert!((softmax_in_place(&mut x, &[], true) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert_eq!(x, [0.5, 0.0, 0.5]);
        let none: &mut [f32] = &mut [];
        assert_eq!(softmax_in_place(none, &[], false), f64::NEG_INFINITY);
        assert_eq!(softmax_in_place(none, &[], true), 0.0);
    }
}
