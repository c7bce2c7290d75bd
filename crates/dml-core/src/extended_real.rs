//! Numbers of a configuration that may be infinite, in formats that have no infinity such as JSON.
//!
//! Finite numbers are written as numbers, the infinities as `"inf"` and `"-inf"`. Reading takes whole numbers, and
//! the infinity of formats that have one, too. Use `#[serde(with = "dml_core::extended_real")]` on an `f64`, and
//! [`option`] on an `Option<f64>`.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Norm {
//!     #[serde(with = "dml_core::extended_real")]
//!     p: f64,
//! }
//!
//! let norm: Norm = serde_json::from_str(r#"{"p": "inf"}"#).unwrap();
//! assert_eq!(norm.p, f64::INFINITY);
//! assert_eq!(serde_json::to_string(&norm).unwrap(), r#"{"p":"inf"}"#);
//! ```

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Writes a number.
///
/// # Errors
/// As the format.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_infinite() {
        serializer.serialize_str(if *value > 0.0 { "inf" } else { "-inf" })
    } else {
        serializer.serialize_f64(*value)
    }
}

/// Reads a number.
///
/// # Errors
/// As the format, and for text other than `inf` and `-inf`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(ExtendedReal)
}

/// A number of a configuration that may be infinite, as a type of its own.
///
/// ```
/// use dml_core::extended_real::Extended;
///
/// let number: Extended = serde_json::from_str(r#""-inf""#).unwrap();
/// assert_eq!(f64::from(number), f64::NEG_INFINITY);
/// ```
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Extended(#[serde(with = "crate::extended_real")] pub f64);

impl From<Extended> for f64 {
    fn from(number: Extended) -> Self {
        number.0
    }
}

struct ExtendedReal;

impl Visitor<'_> for ExtendedReal {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, \"inf\" or \"-inf\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<f64, E> {
        match value {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

/// The same for a number that may be missing: `null` is none. Add `#[serde(default)]` where the key may be absent.
pub mod option {
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::{Serialize, Serializer};

    use super::Extended;

    /// Writes a number or nothing.
    ///
    /// # Errors
    /// As the format.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Extended).serialize(serializer)
    }

    /// Reads a number or nothing.
    ///
    /// # Errors
    /// As the format, and for text other than `inf` and `-inf`.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Extended>::deserialize(deserializer)?.map(f64::from))
    }
}

#[cfg(test)]
mod tests {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Range {
        #[serde(with = "super")]
        low: f64,
        #[serde(with = "super::option")]
        high: Option<f64>,
    }

    impl Default for Range {
        fn default() -> Self {
            Self {
                low: 0.5,
                high: None,
            }
        }
    }

    fn read(text: &str) -> serde_json::Result<Range> {
        serde_json::from_str(text)
    }

    #[test]
    fn whole_real_and_infinite_numbers_are_read() {
        for (text, low, high) in [
            ("{}", 0.5, None),
            (r#"{"low": 2, "high": null}"#, 2.0, None),
            (r#"{"low": -2, "high": 1.5}"#, -2.0, Some(1.5)),
            (
                r#"{"low": "-inf", "high": "inf"}"#,
                f64::NEG_INFINITY,
                Some(f64::INFINITY),
            ),
        ] {
            assert_eq!(read(text).unwrap(), Range { low, high });
        }
    }

    #[test]
    fn other_text_is_an_error_that_says_what_was_expected() {
        let message = read(r#"{"low": "many"}"#).unwrap_err().to_string();
        assert!(
            message.contains(r#"a number, "inf" or "-inf""#),
            "{message}"
        );
        assert!(read(r#"{"low": null}"#).is_err());
        assert!(read(r#"{"high": true}"#).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for range in [
            Range::default(),
            Range {
                low: f64::NEG_INFINITY,
                high: Some(f64::INFINITY),
            },
        ] {
            assert_eq!(
                read(&serde_json::to_string(&range).unwrap()).unwrap(),
                range
            );
        }
    }
}
