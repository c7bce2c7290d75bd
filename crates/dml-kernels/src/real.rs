//! The element types that the kernels work on: `f32` and `f64`.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use crate::exponential::{exp_f32, exp_f64, tanh_f32, tanh_f64};
use crate::normal::{normal_f32, normal_f64};

/// `f32` or `f64`: what a kernel needs of its element type, and nothing else.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The gap between 1 and the next larger number: twice the unit roundoff.
    const EPSILON: Self;
    /// The smallest positive number of full precision.
    const MIN_POSITIVE: Self;
    /// The largest finite number.
    const MAX: Self;
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The same value in double precision.
    fn to_f64(self) -> f64;
    /// |x|.
    #[must_use]
    fn abs(self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// xᵉ.
    #[must_use]
    fn powf(self, e: Self) -> Self;
    /// eˣ.
    #[must_use]
    fn exp(self) -> Self;
    /// eˣ to about one unit in the last place, without a branch: a loop of them becomes vector instructions.
    #[must_use]
    fn quick_exp(self) -> Self;
    /// The hyperbolic tangent and its derivative, to a few units in the last place and without a branch.
    #[must_use]
    fn quick_tanh(self) -> (Self, Self);
    /// Distribution and density of the normal distribution, Φ(x) and φ(x), to a few units in the last place and without a
    /// branch.
    #[must_use]
    fn quick_normal(self) -> (Self, Self);
    /// ln(1 + x).
    #[must_use]
    fn ln_1p(self) -> Self;
    /// The larger of two; the other one where one is NaN.
    #[must_use]
    fn max(self, other: Self) -> Self;
    /// The smaller of two; the other one where one is NaN.
    #[must_use]
    fn min(self, other: Self) -> Self;
    /// Whether it is NaN.
    #[must_use]
    fn is_nan(self) -> bool;
    /// A key whose unsigned order is the total order of the values: −NaN < −∞ < … < −0 < 0 < … < ∞ < NaN.
    fn sort_key(self) -> u64;
}

macro_rules! real {
    ($t:ty, $bits:ty, $signed:ty, $exp:ident, $tanh:ident, $normal:ident) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = <$t>::EPSILON;
            const MIN_POSITIVE: Self = <$t>::MIN_POSITIVE;
            const MAX: Self = <$t>::MAX;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$t>::abs(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            #[inline(always)]
            fn powf(self, e: Self) -> Self {
                <$t>::powf(self, e)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                <$t>::exp(self)
            }
            #[inline(always)]
            fn quick_exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn quick_tanh(self) -> (Self, Self) {
                $tanh(self)
            }
            #[inline(always)]
            fn quick_normal(self) -> (Self, Self) {
                $normal(self)
            }
            #[inline(always)]
            fn ln_1p(self) -> Self {
                <$t>::ln_1p(self)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                <$t>::max(self, other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                <$t>::min(self, other)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            #[inline(always)]
            fn sort_key(self) -> u64 {
                let bits = self.to_bits();
                // Negative values: flip all bits; others: set the sign bit.
                let mask = ((bits as $signed) >> (<$bits>::BITS - 1)) as $bits
                    | (1 << (<$bits>::BITS - 1));
                u64::from(bits ^ mask)
            }
        }
    };
}

real!(f32, u32, i32, exp_f32, tanh_f32, normal_f32);
real!(f64, u64, i64, exp_f64, tanh_f64, normal_f64);

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn sort_keys_order_as_the_values_do() {
        let values = [
            f32::NEG_INFINITY,
            -2.5,
            -1e-30,
            -0.0,
            0.0,
            1e-30,
            3.0,
            f32::INFINITY,
            f32::NAN,
        ];
        assert!(values.is_sorted_by(|a, b| a.sort_key() < b.sort_key()));
        let wide = values.map(f64::from);
        assert!(wide.is_sorted_by(|a, b| a.sort_key() < b.sort_key()));
    }
}
