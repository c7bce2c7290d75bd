//! How many values lie above another one, softly: a step of finite steepness counts each.
//!
//! ```text
//! share_k = 1 / (1 + e^{−(x_k − at)/t}),   kept between ±50 in the exponent
//! count   = Σ_k share_k
//! ∂ count / ∂ x_k = share_k (1 − share_k) / t,   ∂ count / ∂ at = −Σ of these
//! ```

use crate::lengths;
use crate::{Real, sum, vectorized};

/// Beyond this many temperatures a value is wholly above or below.
const FAR: f64 = 50.0;

/// The temperature t of soft counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftRank<T> {
    per_temperature: T,
}

impl<T: Real> SoftRank<T> {
    /// Counts of temperature `t`, above 0.
    #[must_use]
    pub fn new(t: f64) -> Self {
        Self {
            per_temperature: T::from_f64(1.0 / t),
        }
    }

    /// How far above `at` each of `x` is, from 0 to 1, written to `shares` of the same length.
    ///
    /// # Panics
    /// Unless the slices are of one length.
    #[inline(always)]
    pub fn shares(self, x: &[T], at: T, shares: &mut [T]) {
        lengths::length("shares", shares.len(), x.len());
        let (far, steepness) = (T::from_f64(FAR), self.per_temperature);
        vectorized!({
            for (share, x) in shares.iter_mut().zip(x) {
                let below = (at - *x) * steepness;
                // The comparisons are written so that NaN stays NaN.
                let below = if below < -far { -far } else { below };
                let below = if below > far { far } else { below };
                *share = T::ONE / (T::ONE + below.quick_exp());
            }
        });
    }

    /// Adds `weight` times the gradient of a count to `gradient`, and returns what `at` gets: their sum, negated. The
    /// shares are used up.
    ///
    /// # Panics
    /// Unless the slices are of one length.
    #[inline(always)]
    pub fn spread(self, shares: &mut [T], weight: T, gradient: &mut [T]) -> f64 {
        lengths::length("gradient", gradient.len(), shares.len());
        let factor = weight * self.per_temperature;
        vectorized!({
            for (share, sum) in shares.iter_mut().zip(gradient.iter_mut()) {
                *share = *share * (T::ONE - *share) * factor;
                *sum += *share;
            }
        });
        -sum(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_above_or_below_what_is_no_number() {
        let rank = SoftRank::<f32>::new(0.01);
        let mut shares = [0.0; 2];
        rank.shares(&[f32::NAN, 0.0], 0.0, &mut shares);
        assert!(shares[0].is_nan() && shares[1] == 0.5);
        rank.shares(&[1.0, 0.0], f32::NAN, &mut shares);
        assert!(shares.iter().all(|share| share.is_nan()));
    }

    #[test]
    fn a_count_and_its_gradient_by_hand() {
        let rank = SoftRank::<f64>::new(0.5);
        let x = [3f64.ln() / 2.0, 0.0, -1e9, 1e9];
        let mut shares = [0.0; 4];
        rank.shares(&x, 0.0, &mut shares);
        for (share, want) in shares.iter().zip([0.75, 0.5, 0.0, 1.0]) {
            assert!((share - want).abs() < 1e-15, "{shares:?}");
        }
        let mut gradient = [1.0; 4];
        let own = rank.spread(&mut shares, 10.0, &mut gradient);
        for (sum, want) in gradient.iter().zip([4.75, 6.0, 1.0, 1.0]) {
            assert!((sum - want).abs() < 1e-12, "{gradient:?}");
        }
        assert!((own + 8.75).abs() < 1e-12);
    }
}
