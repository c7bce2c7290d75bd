//! Argument checks with one wording each, for the constructors of every crate.

use candle_core::Tensor;

use crate::{Batch, Error, Relation, Result};

/// `value`, if it is a finite number.
///
/// # Errors
/// [`Error::InvalidParameter`] for NaN and infinities.
pub fn finite(name: &'static str, value: f64) -> Result<f64> {
    parameter(value.is_finite(), name, value, "a finite number")
}

/// `value`, if it is a finite number `>= 0`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise.
pub fn non_negative(name: &'static str, value: f64) -> Result<f64> {
    parameter(
        value.is_finite() && value >= 0.0,
        name,
        value,
        "a finite number >= 0",
    )
}

/// `value`, if it is a finite number `> 0`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise.
pub fn positive(name: &'static str, value: f64) -> Result<f64> {
    parameter(
        value.is_finite() && value > 0.0,
        name,
        value,
        "a finite number > 0",
    )
}

/// `value`, if it is at least 1.
///
/// # Errors
/// [`Error::InvalidParameter`] for 0.
pub fn at_least_one(name: &'static str, value: usize) -> Result<usize> {
    parameter(value >= 1, name, value as f64, "a whole number >= 1")?;
    Ok(value)
}

/// `value`, if it is a probability in `[0, 1)`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise.
pub fn probability_below_one(name: &'static str, value: f64) -> Result<f64> {
    parameter(
        (0.0..1.0).contains(&value),
        name,
        value,
        "a probability in [0, 1)",
    )
}

/// `value`, if it is a norm's exponent: at least 1, infinity included.
///
/// # Errors
/// [`Error::InvalidParameter`] for NaN and values below 1.
pub fn norm_exponent(name: &'static str, value: f64) -> Result<f64> {
    parameter(value >= 1.0, name, value, "a number >= 1, or infinity")
}

/// Whether `tensor` and its partner are both `[rows, dim]` of one size.
///
/// # Errors
/// [`Error::Shape`] otherwise.
pub fn same_shape(arg: &'static str, tensor: &Tensor, partner: &Tensor) -> Result<()> {
    if tensor.rank() == 2 && tensor.shape() == partner.shape() {
        Ok(())
    } else {
        Err(Error::Shape {
            arg,
            expected: "[rows, dim], the shape of its partner",
            got: tensor.dims().to_vec(),
        })
    }
}

/// Whether every index is below `limit`.
///
/// # Errors
/// [`Error::Index`] for the first one that is not.
pub fn indices(
    arg: &'static str,
    indices: impl IntoIterator<Item = usize>,
    limit: usize,
) -> Result<()> {
    match indices.into_iter().enumerate().find(|(_, i)| *i >= limit) {
        None => Ok(()),
        Some((position, got)) => Err(Error::Index {
            arg,
            position,
            limit,
            got: got as i64,
        }),
    }
}

/// Whether every pair of the batch's relation has weight 1, for components that read no weights.
///
/// # Errors
/// [`Error::Unsupported`] if some pair has another.
pub fn unweighted(component: &'static str, batch: &Batch) -> Result<()> {
    if !batch.relation().is_some_and(Relation::is_weighted) {
        return Ok(());
    }
    Err(Error::Unsupported {
        component,
        reason: "the loss reads no weights, and the relation has some; drop them with Relation::without_weights",
    })
}

/// `value`, if it is `ok`; for ranges that have no check of their own here.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise.
pub fn parameter(ok: bool, name: &'static str, value: f64, expected: &'static str) -> Result<f64> {
    if ok {
        Ok(value)
    } else {
        Err(Error::InvalidParameter {
            name,
            value,
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_parameter_the_range_and_the_value() {
        let message = non_negative("margin", -0.5).unwrap_err().to_string();
        assert_eq!(message, "margin: expected a finite number >= 0, got -0.5");
        assert!(finite("beta", f64::NAN).is_err());
        assert!(positive("scale", 0.0).is_err());
        assert!(at_least_one("m", 0).is_err());
        assert!(probability_below_one("p", 1.0).is_err());
        assert!(norm_exponent("p", f64::INFINITY).is_ok());
        assert!(norm_exponent("p", 0.5).is_err());
    }
}
