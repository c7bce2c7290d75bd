//! The values of one attribute for many items.

use super::error::CollectionError;
use super::value::{Value, ValueKind, exact_float};

/// The values of an attribute, one an item; absent ones are `None`.
///
/// ```
/// use dml_eval::{Column, Value, ValueKind};
///
/// let prices = Column::from(vec![Some(9.5), None, Some(3.0)]);
/// assert_eq!((prices.len(), prices.kind()), (3, ValueKind::Float));
/// assert_eq!(prices.get(2), Some(Value::Float(3.0)));
/// assert_eq!(Column::from(vec!["red", "blue"]).kind(), ValueKind::Text);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Column {
    /// Values that are true or false.
    Bool(Vec<Option<bool>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Finite real numbers.
    Float(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

dml_core::debug_fields!(Column, |own| { kind: own.kind(), values: own.len() });

/// Runs the body with the values, of whatever kind they are.
macro_rules! with_values {
    ($column:expr, |$values:ident| $body:expr) => {
        match $column {
            Column::Bool($values) => $body,
            Column::Integer($values) => $body,
            Column::Float($values) => $body,
            Column::Text($values) => $body,
        }
    };
}

impl Column {
    /// No values of a kind.
    #[must_use]
    pub fn none(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Bool => Self::Bool(Vec::new()),
            ValueKind::Integer => Self::Integer(Vec::new()),
            ValueKind::Float => Self::Float(Vec::new()),
            ValueKind::Text => Self::Text(Vec::new()),
        }
    }

    /// Which kind the values are.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Bool(_) => ValueKind::Bool,
            Self::Integer(_) => ValueKind::Integer,
            Self::Float(_) => ValueKind::Float,
            Self::Text(_) => ValueKind::Text,
        }
    }

    /// Number of items, with a value or without.
    #[must_use]
    pub fn len(&self) -> usize {
        with_values!(self, |values| values.len())
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of an item; `None` if it has none.
    #[must_use]
    pub fn get(&self, item: usize) -> Option<Value> {
        Some(match self {
            Self::Bool(values) => Value::Bool((*values.get(item)?)?),
            Self::Integer(values) => Value::Integer((*values.get(item)?)?),
            Self::Float(values) => Value::Float((*values.get(item)?)?),
            Self::Text(values) => Value::Text(values.get(item)?.clone()?),
        })
    }

    /// Appends items without a value until there are that many items.
    pub(super) fn pad(&mut self, items: usize) {
        with_values!(self, |values| values.resize(items, None));
    }

    /// Appends the value of an item, which is checked.
    pub(super) fn push(&mut self, attribute: &str, value: Value) -> Result<(), CollectionError> {
        let value = value.checked(attribute)?;
        match (self, value) {
            (Self::Bool(values), Value::Bool(value)) => values.push(Some(value)),
            (Self::Integer(values), Value::Integer(value)) => values.push(Some(value)),
            (Self::Float(values), Value::Float(value)) => values.push(Some(value)),
            (Self::Text(values), Value::Text(value)) => values.push(Some(value)),
            (Self::Float(values), Value::Integer(value)) if exact_float(value).is_some() => {
                values.push(exact_float(value));
            }
            (column, value) => {
                return Err(CollectionError::AttributeKind {
                    attribute: attribute.to_owned(),
                    expected: column.kind(),
                    got: value.kind(),
                });
            }
        }
        Ok(())
    }

    /// The column as one of another kind, if all of its values can be of that.
    pub(super) fn of_kind(self, attribute: &str, kind: ValueKind) -> Result<Self, CollectionError> {
        if self.kind() == kind {
            return Ok(self);
        }
        let mut column = Self::none(kind);
        for item in 0..self.len() {
            match self.get(item) {
                Some(value) => column.push(attribute, value)?,
                None => column.pad(item + 1),
            }
        }
        Ok(column)
    }

    /// Checks every value.
    pub(super) fn checked(self, attribute: &str) -> Result<Self, CollectionError> {
        match &self {
            Self::Bool(_) | Self::Integer(_) => {}
            Self::Float(values) => {
                let odd = values.iter().flatten().find(|value| !value.is_finite());
                if let Some(odd) = odd {
                    Value::Float(*odd).checked(attribute)?;
                }
            }
            Self::Text(values) => {
                for text in values.iter().flatten() {
                    super::value::check_text(attribute, text)?;
                }
            }
        }
        Ok(self)
    }
}

macro_rules! columns {
    ($($type:ty, $value:ident => $converted:expr, $kind:ident;)+) => {$(
        impl From<Vec<$type>> for Column {
            fn from(values: Vec<$type>) -> Self {
                Self::$kind(values.into_iter().map(|$value| Some($converted)).collect())
            }
        }

        impl From<Vec<Option<$type>>> for Column {
            fn from(values: Vec<Option<$type>>) -> Self {
                let values = values.into_iter();
                Self::$kind(values.map(|value| value.map(|$value| $converted)).collect())
            }
        }
    )+};
}

columns! {
    bool, value => value, Bool;
    i64, value => value, Integer;
    f64, value => value, Float;
    String, value => value, Text;
    &str, value => value.to_owned(), Text;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_becomes_one_of_another_kind_if_no_value_changes() {
        let whole = Column::from(vec![Some(3), None]);
        let real = whole.clone().of_kind("price", ValueKind::Float).unwrap();
        assert_eq!(real, Column::from(vec![Some(3.0), None]));
        assert!(matches!(
            whole.of_kind("price", ValueKind::Text),
            Err(CollectionError::AttributeKind {
                expected: ValueKind::Text,
                got: ValueKind::Integer,
                ..
            })
        ));
        // Nothing but absent values fits everywhere.
        let none = Column::from(vec![None::<i64>, None]);
        let texts = none.of_kind("price", ValueKind::Text).unwrap();
        assert_eq!(texts, Column::from(vec![None::<String>, None]));
    }

    #[test]
    fn odd_values_are_refused() {
        assert!(Column::from(vec![1.0, f64::NAN]).checked("x").is_err());
        assert!(Column::from(vec![Some(1.0), None]).checked("x").is_ok());
        let mut column = Column::none(ValueKind::Bool);
        assert!(column.push("x", Value::Float(1.0)).is_err());
        assert_eq!(
            format!("{column:?}"),
            "Column { kind: Bool, values: 0, .. }"
        );
    }
}
