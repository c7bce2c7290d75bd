//! Formulas of tensors by Candle's operations.

use std::cell::OnceCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use candle_core::{DType, Tensor};
use dml_core::{Error, Result, TensorExt};

use crate::machinery::expression::Expression;

/// A tensor in a formula, all of whose tensors have one shape, precision and device.
///
/// An operation that fails leaves its error aside, and the formula goes on with the operand as it was;
/// [`of`](Composite::of) returns the first error.
#[derive(Clone, Debug)]
pub(crate) struct Composite<'a> {
    tensor: Tensor,
    error: &'a OnceCell<Error>,
}

impl Composite<'_> {
    /// The values of a formula of one variable for each element of `x`.
    pub(crate) fn of(
        x: &Tensor,
        formula: impl FnOnce(Composite<'_>) -> Composite<'_>,
    ) -> Result<Tensor> {
        Self::of_all([x], |[x]| formula(x))
    }

    /// The values of a formula of several variables.
    pub(crate) fn of_all<const N: usize>(
        variables: [&Tensor; N],
        formula: impl FnOnce([Composite<'_>; N]) -> Composite<'_>,
    ) -> Result<Tensor> {
        let error = OnceCell::new();
        let variables = variables.map(|tensor| Composite {
            tensor: tensor.clone(),
            error: &error,
        });
        let values = formula(variables).tensor;
        match error.into_inner() {
            Some(error) => Err(error),
            None => Ok(values),
        }
    }

    /// What an operation makes of the tensor.
    pub(crate) fn with(&self, operation: impl FnOnce(&Tensor) -> Result<Tensor>) -> Self {
        let tensor = operation(&self.tensor).unwrap_or_else(|error| {
            // Only the first error is kept: those after it are its consequences.
            let _ = self.error.set(error);
            self.tensor.clone()
        });
        Self { tensor, ..*self }
    }
}

impl Composite<'_> {
    /// What an operation makes of the tensor and another one.
    pub(crate) fn with_two(
        &self,
        other: &Self,
        operation: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Self {
        self.with(|x| operation(x, &other.tensor))
    }
}

/// Operators of two tensors, and of a tensor and a constant.
macro_rules! operators {
    ($($Operator:ident, $name:ident;)*) => {$(
        impl $Operator for Composite<'_> {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                self.with(|x| Ok($Operator::$name(x, &other.tensor)?))
            }
        }

        impl $Operator<f64> for Composite<'_> {
            type Output = Self;
            fn $name(self, constant: f64) -> Self {
                self.with(|x| Ok($Operator::$name(x, constant)?))
            }
        }
    )*};
}

operators! {
    Add, add;
    Sub, sub;
    Mul, mul;
    Div, div;
}

impl Neg for Composite<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self.with(|x| Ok(x.neg()?))
    }
}

impl Expression for Composite<'_> {
    /// Not 0 where it holds.
    type Condition = Tensor;

    fn constant(&self, value: f64) -> Self {
        self.with(|x| Ok((x.zeros_like()? + value)?))
    }

    fn detach(&self) -> Self {
        self.with(|x| Ok(x.detach()))
    }

    fn epsilon(&self) -> f64 {
        match self.tensor.dtype() {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        }
    }

    fn is_below(&self, bound: f64) -> Tensor {
        self.with(|x| Ok(x.lt(bound)?)).tensor
    }

    fn is_at_most(&self, bound: f64) -> Tensor {
        self.with(|x| Ok(x.le(bound)?)).tensor
    }

    fn is_above(&self, bound: f64) -> Tensor {
        self.with(|x| Ok(x.gt(bound)?)).tensor
    }

    fn is_at_least(&self, bound: f64) -> Tensor {
        self.with(|x| Ok(x.ge(bound)?)).tensor
    }

    fn select(condition: Tensor, yes: Self, no: Self) -> Self {
        no.with(|no| Ok(condition.where_cond(&yes.tensor, no)?))
    }

    fn hinge(self) -> Self {
        self.with(TensorExt::hinge)
    }

    fn abs(self) -> Self {
        self.with(TensorExt::safe_abs)
    }

    fn sqrt(self) -> Self {
        self.with(|x| {
            // The root of 1 takes the place of that of 0, whose derivative is infinite.
            let is_zero = x.eq(0.0)?;
            let root = is_zero.where_cond(&x.ones_like()?, x)?.sqrt()?;
            Ok(is_zero.where_cond(&x.zeros_like()?, &root)?)
        })
    }

    fn powf(self, exponent: f64) -> Self {
        self.with(|x| x.safe_power(exponent))
    }

    fn exp(self) -> Self {
        self.with(|x| Ok(x.exp()?))
    }

    fn ln_1p(self) -> Self {
        self.with(|x| Ok((x + 1.0)?.log()?))
    }

    fn minus_ln_1p(self) -> Self {
        self.with(|x| {
            // Candle would take the derivative as 1 − 1 / (1 + x): the value hangs on x times the derivative instead.
            let sum = (x + 1.0)?;
            let linear = (x * (x / &sum)?.detach())?;
            let value = (x - sum.log()?)?.detach();
            Ok((value + (&linear - linear.detach())?)?)
        })
    }

    fn softplus(self) -> Self {
        self.with(TensorExt::safe_softplus)
    }
}
