//! Functions of one number that losses are made of, each with its derivative.
//!
//! ```text
//! hinge      max(0, x)                                  0 up to 0, 1 above
//! softplus   ln(1 + eˣ) = max(0, x) + ln(1 + e^−|x|)    1 / (1 + e^−x)
//! logistic   1 / (1 + e^−x)                             e^−|x| / (1 + e^−|x|)²
//! ```
//!
//! NaN comes through in both, value and derivative. No exponential overflows, and what is near 0 keeps its digits.

use crate::Real;

/// `max(0, x)` and its derivative, which is 0 at 0.
#[inline(always)]
#[must_use]
pub fn hinge<T: Real>(x: T) -> (T, T) {
    // No comparison holds for NaN, so NaN comes out as value and derivative.
    let derivative = if x > T::ZERO { T::ONE } else { x };
    if x <= T::ZERO {
        (T::ZERO, T::ZERO)
    } else {
        (x, derivative)
    }
}

/// `ln(1 + eˣ)` and its derivative.
#[inline(always)]
#[must_use]
pub fn softplus<T: Real>(x: T) -> (T, T) {
    let small = (-x.abs()).exp();
    let derivative = if x > T::ZERO { T::ONE } else { small } / (T::ONE + small);
    (x.max(T::ZERO) + small.ln_1p(), derivative)
}

/// `1 / (1 + e^−x)` and its derivative, without a branch.
#[inline(always)]
#[must_use]
pub fn logistic<T: Real>(x: T) -> (T, T) {
    let small = (-x.abs()).quick_exp();
    let inverse = T::ONE / (T::ONE + small);
    let lower = small * inverse;
    (if x < T::ZERO { lower } else { inverse }, lower * inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_keeps_its_digits() {
        assert_eq!(logistic(0f32), (0.5, 0.25));
        let (value, derivative) = logistic(3f64.ln());
        assert!((value - 0.75).abs() < 1e-15 && (derivative - 0.1875).abs() < 1e-15);
        let (value, derivative) = logistic(-40f64);
        assert!((value / (-40f64).exp() - 1.0).abs() < 1e-14);
        assert!((derivative / (-40f64).exp() - 1.0).abs() < 1e-14);
        assert_eq!(logistic(f32::INFINITY), (1.0, 0.0));
        assert_eq!(logistic(f32::NEG_INFINITY), (0.0, 0.0));
        let (value, derivative) = logistic(f32::NAN);
        assert!(value.is_nan() && derivative.is_nan());
    }

    #[test]
    fn by_hand() {
        let (value, derivative) = softplus(3f64.ln());
        assert!((value - 4f64.ln()).abs() < 1e-15 && (derivative - 0.75).abs() < 1e-15);
        assert_eq!(softplus(0f64), (2f64.ln(), 0.5));
        assert_eq!(hinge(0f32), (0.0, 0.0));
        assert_eq!(hinge(-2f32), (0.0, 0.0));
        assert_eq!(hinge(2f32), (2.0, 1.0));
    }

    #[test]
    fn far_out_nothing_overflows_and_nothing_is_lost() {
        assert_eq!(softplus(1e4f64), (1e4, 1.0));
        assert_eq!(softplus(-1e4f32), (0.0, 0.0));
        let (value, derivative) = softplus(-40f64);
        assert!((value / (-40f64).exp() - 1.0).abs() < 1e-15);
        assert!((derivative / (-40f64).exp() - 1.0).abs() < 1e-15);
        assert_eq!(softplus(f64::INFINITY), (f64::INFINITY, 1.0));
    }

    #[test]
    fn what_is_no_number_stays_so() {
        for (value, derivative) in [hinge(f64::NAN), softplus(f64::NAN)] {
            assert!(value.is_nan() && derivative.is_nan());
        }
    }
}
