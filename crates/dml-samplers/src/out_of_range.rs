//! Errors for whole numbers outside of their range.

use dml_core::Error;

/// `name` is `value` where `expected` says what it may be.
pub(crate) fn out_of_range(name: &'static str, value: usize, expected: &'static str) -> Error {
    Error::InvalidParameter {
        name,
        value: value as f64,
        expected,
    }
}
