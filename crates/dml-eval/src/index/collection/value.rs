//! What is known of an item beside its row: values by name.

use std::collections::BTreeMap;
use std::fmt;

use super::error::CollectionError;

/// Bytes of an attribute's name at most.
const LONGEST_NAME: usize = 255;
/// Bytes of a text at most.
const LONGEST_TEXT: usize = 1 << 24;

/// A value of an attribute.
///
/// ```
/// use dml_eval::{Value, ValueKind};
///
/// assert_eq!(Value::from("red"), Value::Text("red".to_owned()));
/// assert_eq!(Value::from(3).kind(), ValueKind::Integer);
/// assert_eq!(Value::from(2.5).to_string(), "2.5");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Whether something holds.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A finite real number.
    Float(f64),
    /// A text of at most 16 MiB.
    Text(String),
}

/// The kinds of values. All values of an attribute are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ValueKind {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Float`].
    Float,
    /// [`Value::Text`].
    Text,
}

impl Value {
    /// Which kind of value it is.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Bool(_) => ValueKind::Bool,
            Self::Integer(_) => ValueKind::Integer,
            Self::Float(_) => ValueKind::Float,
            Self::Text(_) => ValueKind::Text,
        }
    }

    /// The value if an attribute can have it.
    pub(super) fn checked(self, attribute: &str) -> Result<Self, CollectionError> {
        match &self {
            Self::Float(x) if !x.is_finite() => Err(odd_value(attribute, "finite numbers")),
            Self::Text(text) => {
                check_text(attribute, text)?;
                Ok(self)
            }
            _ => Ok(self),
        }
    }
}

/// Whether an attribute can have that text.
pub(super) fn check_text(attribute: &str, text: &str) -> Result<(), CollectionError> {
    if text.len() <= LONGEST_TEXT {
        return Ok(());
    }
    Err(odd_value(attribute, "texts of at most 16 MiB"))
}

fn odd_value(attribute: &str, expected: &'static str) -> CollectionError {
    CollectionError::AttributeValue {
        attribute: attribute.to_owned(),
        expected,
    }
}

/// A whole number as a real one, if it is exact there.
pub(super) fn exact_float(number: i64) -> Option<f64> {
    let float = number as f64;
    // 2⁶³ itself is no i64, and a cast would make one of it.
    (float < 9_223_372_036_854_775_808.0 && float as i64 == number).then_some(float)
}

/// A real number as a whole one, if it is one.
pub(super) fn exact_integer(number: f64) -> Option<i64> {
    let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && range.contains(&number)).then_some(number as i64)
}

/// A value as a filter writes it: texts in quotes, and a real number never as a whole one.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(is_so) => is_so.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => super::filter::write_quoted(f, text),
        }
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Integer => "whole numbers",
            Self::Float => "numbers",
            Self::Text => "texts",
        })
    }
}

macro_rules! values {
    ($($type:ty => $kind:ident),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(value.into())
            }
        }
    )+};
}

values! { bool => Bool, i64 => Integer, i32 => Integer, u32 => Integer, f64 => Float, f32 => Float, &str => Text, String => Text }

/// The attributes of one item, by name. What an item lacks is not listed.
///
/// ```
/// use dml_eval::{Attributes, Value};
///
/// let mut shirt = Attributes::from([("color", "red".into()), ("price", 9.5.into())]);
/// shirt.insert("size", 42);
/// assert_eq!(shirt.get("price"), Some(&Value::Float(9.5)));
/// assert_eq!(shirt.to_string(), r#"color = "red", price = 9.5, size = 42"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Attributes(BTreeMap<String, Value>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets an attribute; returns the value that it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(name.into(), value.into())
    }

    /// Takes an attribute away; returns the value that it had.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no attribute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            write!(f, "{name} = {value}")?;
        }
        Ok(())
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Value); N]> for Attributes {
    fn from(attributes: [(K, Value); N]) -> Self {
        attributes.into_iter().collect()
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(attributes: I) -> Self {
        let attributes = attributes.into_iter();
        Self(
            attributes
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

impl IntoIterator for Attributes {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Whether an attribute can have that name.
pub(super) fn check_name(name: &str) -> Result<(), CollectionError> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(CollectionError::AttributeName {
        name: name.chars().take(80).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_change_their_kind_only_if_they_stay_the_same() {
        assert_eq!(exact_float(3), Some(3.0));
        assert_eq!(exact_float(i64::MIN), Some(-9_223_372_036_854_775_808.0));
        for number in [i64::MAX, (1 << 53) + 1] {
            assert_eq!(exact_float(number), None);
        }
        assert_eq!(exact_integer(-2.0), Some(-2));
        for number in [
            0.5,
            1e19,
            9_223_372_036_854_775_808.0,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert_eq!(exact_integer(number), None);
        }
    }

    #[test]
    fn names_and_values_have_limits() {
        assert!(check_name("Größe in cm").is_ok());
        for name in ["", "a\nb", &"x".repeat(256)] {
            let error = check_name(name).unwrap_err();
            assert!(matches!(error, CollectionError::AttributeName { .. }));
        }
        assert!(Value::from(f64::NAN).checked("price").is_err());
        assert!(Value::from(f32::INFINITY).checked("price").is_err());
        let long = Value::Text("x".repeat(LONGEST_TEXT + 1));
        assert!(long.checked("text").is_err());
    }
}
