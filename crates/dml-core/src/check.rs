//! Argument checks with one wording each, for the constructors of every crate.
//!
//! Every number of a configuration has a range, and what is outside of it is refused when the component is made:
//!
//! - A real number lies in `[-1e30, 1e30]`, and one that has to be positive in `[1e-30, 1e30]`: in single precision none of
//!   them becomes 0 or infinite.
//! - A count is at most 4,294,967,295, so that no sum or product of two counts overflows, unless its field states less.
//! - What is allocated for a configuration has at most 2³⁴ elements, and has to fit into the memory that is available
//!   ([`elements`]).

mod memory;

use candle_core::Tensor;

use crate::{Batch, Error, Relation, Result};

/// The largest magnitude of a real number in a configuration.
pub const LARGEST: f64 = 1e30;

/// The smallest real number that counts as positive in a configuration.
pub const SMALLEST: f64 = 1e-30;

/// The largest count in a configuration, unless its field states less.
pub const MOST: usize = u32::MAX as usize;

/// The largest number of bins of a histogram.
pub const MOST_BINS: usize = 1 << 16;

/// The largest number of elements of one array: 10 million classes of 512 numbers fit, and the distances of 100,000 rows.
pub const MOST_ELEMENTS: usize = 1 << 34;

/// Bytes that an element of a parameter takes while it is made: the draw in double precision, its conversion to single
/// precision, and the variable.
pub const PARAMETER: usize = 16;

/// `value`, if it is a number in `[-1e30, 1e30]`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise, and for NaN.
pub fn finite(name: &'static str, value: f64) -> Result<f64> {
    let expected = "a finite number in [-1e30, 1e30]";
    parameter(value.abs() <= LARGEST, name, value, expected)
}

/// `value`, if it is a number in `[0, 1e30]`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise, and for NaN.
pub fn non_negative(name: &'static str, value: f64) -> Result<f64> {
    let expected = "a finite number >= 0 and <= 1e30";
    parameter((0.0..=LARGEST).contains(&value), name, value, expected)
}

/// `value`, if it is a number in `[1e-30, 1e30]`.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise, and for NaN.
pub fn positive(name: &'static str, value: f64) -> Result<f64> {
    let expected = "a finite number > 0, in [1e-30, 1e30]";
    parameter((SMALLEST..=LARGEST).contains(&value), name, value, expected)
}

/// `value`, if it is a whole number in `[1, 4294967295]`.
///
/// # Errors
/// As [`count`].
pub fn at_least_one(name: &'static str, value: usize) -> Result<usize> {
    count(name, value, MOST)
}

/// `value`, if it is a whole number in `[1, most]`.
///
/// # Errors
/// [`Error::InvalidParameter`] for 0, [`Error::Count`] for more than `most`.
pub fn count(name: &'static str, value: usize, most: usize) -> Result<usize> {
    count_from(name, value, 1, most)
}

/// `value`, if it is a whole number in `[least, most]`.
///
/// # Errors
/// [`Error::InvalidParameter`] for less than a `least` of 1 or 2, [`Error::Count`] for other numbers outside.
pub fn count_from(name: &'static str, value: usize, least: usize, most: usize) -> Result<usize> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    match least {
        1 if value < least => whole(false, name, value, "a whole number >= 1"),
        2 if value < least => whole(false, name, value, "a whole number >= 2"),
        _ => Err(Error::Count {
            name,
            least,
            most,
            got: value,
        }),
    }
}

/// The number of elements of an array with these `dims`, if that many can be allocated: at most 2³⁴, and at `bytes` for each
/// no more than the memory that is available. With 0 `bytes`, as for what lies on another device, only their number counts.
///
/// The system is asked about arrays of 64 MiB and more only.
///
/// # Errors
/// [`Error::Size`] otherwise.
pub fn elements(name: &'static str, dims: &[usize], bytes: usize) -> Result<usize> {
    let refuse = |most: usize| Error::Size {
        name,
        most,
        got: dims.to_vec(),
    };
    let product = |product: usize, dim: &usize| product.checked_mul(*dim);
    let count = dims.iter().try_fold(1, product);
    let count = count.filter(|count| *count <= MOST_ELEMENTS);
    let count = count.ok_or_else(|| refuse(MOST_ELEMENTS))?;
    match memory::room_for(count.saturating_mul(bytes)) {
        Ok(()) => Ok(count),
        Err(available) => Err(refuse(available / bytes.max(1))),
    }
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

/// `value`, if it is a norm's exponent: in `[1, 1e30]`, or infinity.
///
/// # Errors
/// [`Error::InvalidParameter`] otherwise, and for NaN.
pub fn norm_exponent(name: &'static str, value: f64) -> Result<f64> {
    let ok = (1.0..=LARGEST).contains(&value) || value == f64::INFINITY;
    parameter(ok, name, value, "a number >= 1 and <= 1e30, or infinity")
}

/// Whether `tensor` and its partner are both `[rows, dim]` of one size.
///
/// # Errors
/// [`Error::Shape`] otherwise.
pub fn same_shape(arg: &'static str, tensor: &Tensor, partner: &Tensor) -> Result<()> {
    let is_same = tensor.rank() == 2 && tensor.shape() == partner.shape();
    shape(
        is_same,
        arg,
        tensor,
        "[rows, dim], the shape of its partner",
    )
}

/// Whether the shape of `tensor` is the one that is `expected`.
///
/// # Errors
/// [`Error::Shape`] unless it `fits`.
pub fn shape(fits: bool, arg: &'static str, tensor: &Tensor, expected: &'static str) -> Result<()> {
    dims(fits, arg, tensor.dims(), expected)
}

/// Whether sizes are the ones that are `expected`.
///
/// # Errors
/// [`Error::Shape`] unless they `fit`.
pub fn dims(fit: bool, arg: &'static str, dims: &[usize], expected: &'static str) -> Result<()> {
    if fit {
        return Ok(());
    }
    let got = dims.to_vec();
    Err(Error::Shape { arg, expected, got })
}

/// Whether the element type of `tensor` is the one that is `expected`.
///
/// # Errors
/// [`Error::DType`] unless it `fits`.
pub fn dtype(fits: bool, arg: &'static str, tensor: &Tensor, expected: &'static str) -> Result<()> {
    if fits {
        return Ok(());
    }
    let got = tensor.dtype();
    Err(Error::DType { arg, expected, got })
}

/// Whether the component can do what it was asked for.
///
/// # Errors
/// [`Error::Unsupported`] with the `reason`, unless it `can`.
pub fn supported(can: bool, component: &'static str, reason: &'static str) -> Result<()> {
    if can {
        Ok(())
    } else {
        Err(Error::Unsupported { component, reason })
    }
}

/// What the component reads, if it is there.
///
/// # Errors
/// [`Error::Missing`] with what is `needed`, for `None`.
pub fn present<T>(value: Option<T>, component: &'static str, needed: &'static str) -> Result<T> {
    value.ok_or(Error::Missing { component, needed })
}

/// Whether two lengths are equal.
///
/// # Errors
/// [`Error::Length`] if they are not.
pub fn length(arg: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Length { arg, expected, got })
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

/// The class that the label at a position names, one of 0 to `classes - 1`.
///
/// # Errors
/// [`Error::Index`] for another label.
pub fn class(position: usize, label: i64, classes: usize) -> Result<u32> {
    match u32::try_from(label) {
        Ok(class) if (class as usize) < classes => Ok(class),
        _ => Err(Error::Index {
            arg: "labels",
            position,
            limit: classes,
            got: label,
        }),
    }
}

/// Whether every pair of the batch's relation has weight 1, for components that read no weights.
///
/// # Errors
/// [`Error::Unsupported`] if some pair has another.
pub fn unweighted(component: &'static str, batch: &Batch) -> Result<()> {
    let is_weighted = batch.relation().is_some_and(Relation::is_weighted);
    let reason = "the loss reads no weights, and the relation has some; drop them with Relation::without_weights";
    supported(!is_weighted, component, reason)
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

/// As [`parameter`], for a whole number.
///
/// # Errors
/// As [`parameter`].
pub fn whole(ok: bool, name: &'static str, value: usize, expected: &'static str) -> Result<usize> {
    parameter(ok, name, value as f64, expected).map(|_| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_parameter_the_range_and_the_value() {
        let message = non_negative("margin", -0.5).unwrap_err().to_string();
        let expected = "margin: expected a finite number >= 0 and <= 1e30, got -0.5";
        assert_eq!(message, expected);
        let message = count("num_bins", 0, 8).unwrap_err().to_string();
        assert_eq!(message, "num_bins: expected a whole number >= 1, got 0");
        let message = count("num_bins", 9, 8).unwrap_err().to_string();
        let expected = "num_bins: expected a whole number in [1, 8], got 9";
        assert_eq!(message, expected);
        let message = elements("num_classes", &[1 << 40, 3], 4).unwrap_err();
        let expected = "num_classes: expected at most 17179869184 elements, got [1099511627776, 3]";
        assert_eq!(message.to_string(), expected);
    }

    #[test]
    fn nothing_is_accepted_that_single_precision_turns_into_zero_or_infinity() {
        for value in [f64::NAN, f64::INFINITY, f64::MAX, 1.1e30] {
            for value in [value, -value] {
                assert!(finite("margin", value).is_err(), "{value}");
                assert!(positive("scale", value).is_err(), "{value}");
                assert!(non_negative("eps", value).is_err(), "{value}");
                assert!(norm_exponent("p", -value.abs()).is_err(), "{value}");
            }
        }
        for value in [0.0, -0.0, 1e-320, 1e-45, 9e-31, -1.0] {
            assert!(positive("scale", value).is_err(), "{value}");
        }
        assert!(finite("margin", -1e30).is_ok() && positive("scale", 1e-30).is_ok());
        assert!(norm_exponent("p", f64::INFINITY).is_ok());
        assert!(norm_exponent("p", 0.5).is_err() && norm_exponent("p", 1e31).is_err());
        assert!(probability_below_one("p", 1.0).is_err());
    }

    #[test]
    fn counts_and_sizes_have_an_end() {
        assert!(at_least_one("m", 0).is_err() && at_least_one("m", MOST + 1).is_err());
        assert_eq!(at_least_one("m", MOST).unwrap(), MOST);
        assert_eq!(count_from("skip", 0, 0, 8).unwrap(), 0);
        assert!(count("bins", 9, 8).is_err());
        assert_eq!(elements("x", &[7, 5], 4).unwrap(), 35);
        assert_eq!(elements("x", &[], 4).unwrap(), 1);
        assert_eq!(elements("x", &[0, 9], 4).unwrap(), 0);
        // Only counted, not allocated here.
        assert_eq!(elements("x", &[1 << 17, 1 << 17], 0).unwrap(), 1 << 34);
        for dims in [[usize::MAX, 2], [(1 << 34) + 1, 1], [1 << 20, 1 << 15]] {
            assert!(matches!(
                elements("x", &dims, 0),
                Err(Error::Size { name: "x", .. })
            ));
        }
        assert!(elements("x", &[1 << 34], 1 << 20).is_err());
    }
}
