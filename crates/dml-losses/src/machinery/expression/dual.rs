//! Numbers with their gradient: forward-mode differentiation.

use std::ops::{Add, Mul, Neg, Sub};

use dml_core::kernels::Real;

use crate::machinery::expression::Expression;
use crate::machinery::softplus::softplus;

/// A number and its derivative with respect to the variable of the formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dual<T> {
    pub(crate) value: T,
    pub(crate) gradient: T,
}

impl<T: Real> Dual<T> {
    /// The value and gradient of `formula` at `x`. Where the value is NaN, so is the gradient.
    #[inline(always)]
    pub(crate) fn at(x: T, formula: impl FnOnce(Self) -> Self) -> Self {
        let result = formula(Self {
            value: x,
            gradient: T::ONE,
        });
        let is_nan = result.value.is_nan();
        Self {
            gradient: if is_nan {
                result.value
            } else {
                result.gradient
            },
            ..result
        }
    }

    /// The value of a function whose derivative at `self` is given.
    #[inline(always)]
    fn chain(self, value: T, derivative: T) -> Self {
        Self {
            value,
            gradient: derivative * self.gradient,
        }
    }

    #[inline(always)]
    fn number(value: f64) -> Self {
        Self {
            value: T::from_f64(value),
            gradient: T::ZERO,
        }
    }
}

impl<T: Real> Add for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            gradient: self.gradient + other.gradient,
        }
    }
}

impl<T: Real> Sub for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self {
            value: self.value - other.value,
            gradient: self.gradient - other.gradient,
        }
    }
}

impl<T: Real> Mul for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            gradient: self.gradient * other.value + self.value * other.gradient,
        }
    }
}

impl<T: Real> Neg for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.chain(-self.value, -T::ONE)
    }
}

impl<T: Real> Add<f64> for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn add(self, constant: f64) -> Self {
        self.chain(self.value + T::from_f64(constant), T::ONE)
    }
}

impl<T: Real> Sub<f64> for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, constant: f64) -> Self {
        self.chain(self.value - T::from_f64(constant), T::ONE)
    }
}

impl<T: Real> Mul<f64> for Dual<T> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, constant: f64) -> Self {
        let constant = T::from_f64(constant);
        self.chain(self.value * constant, constant)
    }
}

impl<T: Real> Expression for Dual<T> {
    type Condition = bool;

    #[inline(always)]
    fn constant(&self, value: f64) -> Self {
        Self::number(value)
    }

    #[inline(always)]
    fn detach(&self) -> Self {
        self.chain(self.value, T::ZERO)
    }

    #[inline(always)]
    fn is_below(&self, bound: f64) -> bool {
        self.value < T::from_f64(bound)
    }

    #[inline(always)]
    fn is_at_most(&self, bound: f64) -> bool {
        self.value <= T::from_f64(bound)
    }

    #[inline(always)]
    fn is_above(&self, bound: f64) -> bool {
        self.value > T::from_f64(bound)
    }

    #[inline(always)]
    fn is_at_least(&self, bound: f64) -> bool {
        self.value >= T::from_f64(bound)
    }

    #[inline(always)]
    fn select(condition: bool, yes: Self, no: Self) -> Self {
        // Number by number, which becomes two instructions without a branch.
        Self {
            value: if condition { yes.value } else { no.value },
            gradient: if condition { yes.gradient } else { no.gradient },
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        let sign = if self.value > T::ZERO {
            T::ONE
        } else if self.value < T::ZERO {
            -T::ONE
        } else {
            T::ZERO
        };
        self.chain(self.value.abs(), sign)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        let derivative = if root == T::ZERO {
            T::ZERO
        } else {
            T::from_f64(0.5) / root
        };
        self.chain(root, derivative)
    }

    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        let derivative = if self.value == T::ZERO {
            T::ZERO
        } else {
            T::from_f64(exponent) * self.value.powf(T::from_f64(exponent - 1.0))
        };
        self.chain(self.value.powf(T::from_f64(exponent)), derivative)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        let value = self.value.quick_exp();
        self.chain(value, value)
    }

    #[inline(always)]
    fn ln_1p(self) -> Self {
        self.chain(self.value.ln_1p(), T::ONE / (T::ONE + self.value))
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        let (value, derivative) = softplus(self.value);
        self.chain(value, derivative)
    }
}
