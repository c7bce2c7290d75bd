//! Numbers on the command line, each with its range.

use std::fmt::Display;
use std::str::FromStr;

/// The most images, rows or queries of any command.
pub(crate) const MANY: usize = 10_000_000;
/// The most threads.
pub(crate) const THREADS: usize = 1024;

/// Parses numbers from `low` to `high`, for clap's `value_parser`.
pub(crate) fn within<T: FromStr + PartialOrd + Display + Copy>(
    low: T,
    high: T,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {low} to {high}")),
    }
}

/// Parses a learning rate.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
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
