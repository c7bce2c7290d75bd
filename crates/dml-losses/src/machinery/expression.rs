//! Elementwise formulas, written once for the CPU kernels and for every device.
//!
//! A formula is a function that is generic over [`Expression`]:
//!
//! ```ignore
//! fn value<E: Expression>(&self, x: E) -> E {
//!     ((x - self.margin) * self.sign).hinge()
//! }
//! ```
//!
//! * [`Dual`] evaluates it for one number, with its gradient. Kernels over rows of a matrix use it.
//! * [`Composite`] evaluates it for a whole tensor with Candle's operations, which run on every device and are
//!   differentiated by Candle.
//!
//! At a kink the gradient is PyTorch's: 0 for the hinge, `|x|` and `√x` at 0, and 1 for [`clamp`](Expression::clamp) at
//! its bounds. No comparison holds for NaN, so NaN takes the last branch of a selection and stays NaN. A [`Dual`] whose
//! value is NaN has gradient NaN.

mod composite;
mod dual;

use std::ops::{Add, Div, Mul, Neg, Sub};

pub(crate) use composite::Composite;
pub(crate) use dual::Dual;

/// A number or a tensor that a formula is evaluated for.
pub(crate) trait Expression:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
{
    /// The outcome of a comparison, one for each element.
    type Condition: Clone;

    /// A constant of this shape and precision.
    fn constant(&self, value: f64) -> Self;

    /// The same values as constants: no gradient passes through.
    fn detach(&self) -> Self;

    /// The gap between 1 and the next larger number of this precision.
    fn epsilon(&self) -> f64;

    /// `x < bound`.
    fn is_below(&self, bound: f64) -> Self::Condition;

    /// `x ≤ bound`.
    fn is_at_most(&self, bound: f64) -> Self::Condition;

    /// `x > bound`.
    fn is_above(&self, bound: f64) -> Self::Condition;

    /// `x ≥ bound`.
    fn is_at_least(&self, bound: f64) -> Self::Condition;

    /// `yes` where the condition holds, `no` elsewhere.
    fn select(condition: Self::Condition, yes: Self, no: Self) -> Self;

    /// `max(0, x)`.
    fn hinge(self) -> Self {
        Self::select(self.is_at_most(0.0), self.constant(0.0), self)
    }

    /// x, or the bound that it is beyond.
    fn clamp(self, low: f64, high: f64) -> Self {
        let raised = Self::select(self.is_below(low), self.constant(low), self.clone());
        Self::select(self.is_above(high), self.constant(high), raised)
    }

    /// `|x|`.
    fn abs(self) -> Self;

    /// `√x`.
    fn sqrt(self) -> Self;

    /// `x^exponent`, with gradient 0 at 0.
    fn powf(self, exponent: f64) -> Self;

    /// `eˣ`.
    fn exp(self) -> Self;

    /// `ln(1 + x)`.
    fn ln_1p(self) -> Self;

    /// `x − ln(1 + x)`, whose derivative `x / (1 + x)` keeps its digits near 0.
    fn minus_ln_1p(self) -> Self;

    /// `ln(1 + eˣ)` without overflow.
    fn softplus(self) -> Self;
}

#[cfg(test)]
mod tests;
