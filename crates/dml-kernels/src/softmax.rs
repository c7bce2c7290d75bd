//! Softmax of a list of exponents in place, with the logarithm of the sum of exponentials.
//!
//! ```text
//! lse = ln Σ tᵢ e^{xᵢ}              with the one: ln(1 + Σ tᵢ e^{xᵢ})
//! xᵢ becomes tᵢ e^{xᵢ − lse}        which is ∂lse/∂xᵢ
//! ```
//!
//! The largest exponent is taken out of the sum first, so nothing overflows. tᵢ says how often an exponent counts.

use pulp::Arch;

use crate::Real;

/// Sums that run side by side, so that a processor with wide registers fills them.
const LANES: usize = 16;

/// The logarithm of the sum of exponentials; `exponents` become its slopes.
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
pub fn softmax_in_place<T: Real>(exponents: &mut [T], times: &[T], add_one: bool) -> f64 {
    Arch::new().dispatch(|| {
        let lowest = if add_one {
            T::ZERO
        } else {
            T::from_f64(f64::NEG_INFINITY)
        };
        let top = largest(exponents, lowest);
        if !top.to_f64().is_finite() {
            exponents.fill(T::ZERO);
            return top.to_f64();
        }
        for x in exponents.iter_mut() {
            *x = (*x - top).exp_in_lanes();
        }
        for (x, times) in exponents.iter_mut().zip(times) {
            *x = *x * *times;
        }
        let one = if add_one { (-top.to_f64()).exp() } else { 0.0 };
        let sum = one + total(exponents);
        let share = T::from_f64(1.0 / sum);
        for x in exponents.iter_mut() {
            *x = *x * share;
        }
        top.to_f64() + sum.ln()
    })
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

/// The sum in double precision, in a fixed order.
#[inline(always)]
fn total<T: Real>(x: &[T]) -> f64 {
    let mut sums = [0f64; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += x.to_f64();
        }
    }
    let rest: f64 = rest.iter().map(|x| x.to_f64()).sum();
    rest + sums.iter().sum::<f64>()
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
                    let slope = f64::from(*t) * (f64::from(*x) - want).exp();
                    assert!((f64::from(*got) - slope).abs() < 1e-6 * (slope + 1e-3));
                }
            }
        }
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

    #[test]
    fn the_exponential_is_right_to_a_few_units_in_the_last_place() {
        for i in -88_000..=0 {
            let x = i as f32 * 1e-3;
            let want = f64::from(x).exp();
            let got = f64::from(x.exp_in_lanes());
            if want > 1.2e-38 {
                assert!(((got - want) / want).abs() < 2e-7, "{x}: {got} {want}");
            } else {
                assert!(got < 1.2e-38);
            }
        }
        assert_eq!(0f32.exp_in_lanes(), 1.0);
        assert_eq!(f32::NEG_INFINITY.exp_in_lanes(), 0.0);
        assert!(f32::NAN.exp_in_lanes().is_nan());
        assert!(((80f64).exp_in_lanes() - 80f64.exp()).abs() == 0.0);
    }
}
