//! Numbers on the command line, each with its range.

use std::fmt::Display;
use std::str::FromStr;

/// The most images, rows or queries of any command.
pub const MANY: usize = 10_000_000;
/// The most threads.
pub const THREADS: usize = 1024;

/// Parses numbers from `low` to `high`, for clap's `value_parser`.
///
/// ```
/// let size = dml_program::number::within(8, 512);
/// assert_eq!(size("64"), Ok(64));
/// assert_eq!(size("7"), Err("expected a number from 8 to 512".to_owned()));
/// ```
pub fn within<T: FromStr + PartialOrd + Display + Copy>(
    low: T,
    high: T,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {low} to {high}")),
    }
}

/// Parses a learning rate: above 0.
///
/// # Errors
/// One sentence for everything else.
pub fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("expected a number above 0 and up to 1000000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_and_other_words_are_refused() {
        let count = within(1usize, 12);
        assert_eq!(count("12"), Ok(12));
        for text in ["0", "13", "-1", "1.5", "", "x", "99999999999999999999999"] {
            let expected = "expected a number from 1 to 12".to_owned();
            assert_eq!(count(text), Err(expected), "{text}");
        }
        assert_eq!(rate("1e-3"), Ok(1e-3));
        for text in ["0", "-0.1", "nan", "inf", "1e7", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
