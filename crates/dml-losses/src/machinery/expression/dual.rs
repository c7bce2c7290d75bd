//! Numbers with their gradient: forward-mode differentiation.

use std::array::from_fn;
use std::ops::{Add, Div, Mul, Neg, Sub};

use dml_core::kernels::Real;
use dml_core::kernels::elementary::softplus;

use crate::machinery::expression::Expression;

/// A number and its derivatives with respect to the `N` variables of a formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dual<T, const N: usize = 1> {
    pub(crate) value: T,
    pub(crate) gradient: [T; N],
}

impl<T: Real> Dual<T> {
    /// The value and gradient of a formula of one variable at `x`. Where the value is NaN, so is the gradient.
    #[inline(always)]
    pub(crate) fn at(x: T, formula: impl Fn(Self) -> Self) -> Self {
        formula(Self::variable(0, x)).spread_nan()
    }
}

impl<T: Real, const N: usize> Dual<T, N> {
    /// The value and gradient of a formula of `N` variables at a point. Where the value is NaN, so is the gradient.
    #[inline(always)]
    pub(crate) fn at_point(point: [T; N], formula: impl Fn([Self; N]) -> Self) -> Self {
        formula(from_fn(|k| Self::variable(k, point[k]))).spread_nan()
    }

    /// The same value, whose gradient is NaN where the value is.
    #[inline(always)]
    pub(crate) fn spread_nan(self) -> Self {
        let is_nan = self.value.is_nan();
        Self {
            value: self.value,
            gradient: self.gradient.map(|g| if is_nan { self.value } else { g }),
        }
    }

    /// A constant: its gradient is 0.
    #[inline(always)]
    pub(crate) fn number(value: T) -> Self {
        Self {
            value,
            gradient: [T::ZERO; N],
        }
    }

    /// A variable by its index.
    #[inline(always)]
    pub(crate) fn variable(index: usize, value: T) -> Self {
        Self {
            value,
            gradient: from_fn(|k| if k == index { T::ONE } else { T::ZERO }),
        }
    }

    /// The value of a function whose derivative at `self` is given.
    #[inline(always)]
    fn chain(self, value: T, derivative: T) -> Self {
        Self {
            value,
            gradient: self.gradient.map(|g| derivative * g),
        }
    }
}

/// Operators of two numbers with gradients: the value, and one derivative by the operands `a` and `b` with their own.
macro_rules! of_two {
    ($($Operator:ident, $name:ident: |$a:ident, $b:ident| $value:expr, |$da:ident, $db:ident| $derivative:expr;)*) => {$(
        #[allow(clippy::suspicious_arithmetic_impl, reason = "derivatives have rules of their own")]
        impl<T: Real, const N: usize> $Operator for Dual<T, N> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                let ($a, $b) = (self.value, other.value);
                Self {
                    value: $value,
                    gradient: from_fn(|k| {
                        let ($da, $db) = (self.gradient[k], other.gradient[k]);
                        $derivative
                    }),
                }
            }
        }
    )*};
}

of_two! {
    Add, add: |a, b| a + b, |da, db| da + db;
    Sub, sub: |a, b| a - b, |da, db| da - db;
    Mul, mul: |a, b| a * b, |da, db| da * b + a * db;
    Div, div: |a, b| a / b, |da, db| (da - a / b * db) / b;
}

/// Operators of a number with a gradient and a constant: the value, and the derivative.
macro_rules! of_one {
    ($($Operator:ident, $name:ident: |$a:ident, $c:ident| $value:expr, $derivative:expr;)*) => {$(
        impl<T: Real, const N: usize> $Operator<f64> for Dual<T, N> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, constant: f64) -> Self {
                let ($a, $c) = (self.value, T::from_f64(constant));
                self.chain($value, $derivative)
            }
        }
    )*};
}

of_one! {
    Add, add: |a, c| a + c, T::ONE;
    Sub, sub: |a, c| a - c, T::ONE;
    Mul, mul: |a, c| a * c, c;
    Div, div: |a, c| a / c, T::ONE / c;
}

impl<T: Real, const N: usize> Neg for Dual<T, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.chain(-self.value, -T::ONE)
    }
}

impl<T: Real, const N: usize> Expression for Dual<T, N> {
    type Condition = bool;

    #[inline(always)]
    fn constant(&self, value: f64) -> Self {
        Self::number(T::from_f64(value))
    }

    #[inline(always)]
    fn detach(&self) -> Self {
        Self::number(self.value)
    }

    #[inline(always)]
    fn epsilon(&self) -> f64 {
        T::EPSILON.to_f64()
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
            gradient: from_fn(|k| {
                if condition {
                    yes.gradient[k]
                } else {
                    no.gradient[k]
                }
            }),
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
    fn minus_ln_1p(self) -> Self {
        let x = self.value;
        self.chain(x - x.ln_1p(), x / (T::ONE + x))
    }

    #[inline(always)]
    fn softplus(self) -> Self {
        let (value, derivative) = softplus(self.value);
        self.chain(value, derivative)
    }
}
