//! `ln(1 + eˣ)` and its slope.
//!
//! ```text
//! ln(1 + eˣ) = max(0, x) + ln(1 + e^−|x|)        slope 1 / (1 + e^−x)
//! ```
//!
//! No exponential overflows, and values and slopes near 0 keep their digits.

use dml_core::kernels::Real;

/// The value and its slope.
#[inline(always)]
pub(crate) fn softplus<T: Real>(x: T) -> (T, T) {
    let small = (-x.abs()).exp();
    let slope = if x > T::ZERO { T::ONE } else { small } / (T::ONE + small);
    (x.max(T::ZERO) + small.ln_1p(), slope)
}

#[cfg(test)]
mod tests {
    use super::softplus;

    #[test]
    fn by_hand() {
        let (value, slope) = softplus(3f64.ln());
        assert!((value - 4f64.ln()).abs() < 1e-15 && (slope - 0.75).abs() < 1e-15);
        assert_eq!(softplus(0f64), (2f64.ln(), 0.5));
    }

    #[test]
    fn far_out_nothing_overflows_and_nothing_is_lost() {
        assert_eq!(softplus(1e4f64), (1e4, 1.0));
        assert_eq!(softplus(-1e4f32), (0.0, 0.0));
        let (value, slope) = softplus(-40f64);
        assert!((value / (-40f64).exp() - 1.0).abs() < 1e-15);
        assert!((slope / (-40f64).exp() - 1.0).abs() < 1e-15);
        assert_eq!(softplus(f64::INFINITY), (f64::INFINITY, 1.0));
    }
}
