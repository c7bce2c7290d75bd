//! Which items a search may find, as an expression over their attributes.
//!
//! ```text
//! eq, is_in     the value is that one, or one of those
//! range         the value lies between two bounds: numbers, or texts in the order of their bytes
//! has           there is a value
//! ids           the item is one of those
//! and, or, not  of other filters
//! ```
//!
//! A value that is absent satisfies no `eq`, `is_in` or `range`, and `not` is the complement: `not color = "red"` holds for an
//! item without a colour. A filter is evaluated for all items at once, column by column, to one bit an item.

mod evaluation;
mod syntax;
mod text;

use std::ops::{BitAnd, BitOr, Bound, Not, RangeBounds};

use super::id::{Id, Ids};
use super::value::Value;

pub(super) use evaluation::evaluate;
pub use syntax::FilterSyntaxError;
pub(super) use text::write_quoted;

/// An expression that holds for some items; see the [module](self).
///
/// ```
/// use dml_eval::Filter;
///
/// let filter = Filter::eq("color", "red") & !Filter::range("price", 10.0..);
/// assert_eq!(filter.to_string(), r#"color = "red" and not price >= 10.0"#);
/// // The same as text.
/// assert_eq!(r#"color = "red" and not price >= 10.0"#.parse::<Filter>()?, filter);
/// # Ok::<(), dml_eval::FilterSyntaxError>(())
/// ```
///
/// # Text
///
/// ```text
/// color = "red"        color != "red"         color in ("red", "blue")     has(color)
/// price < 10           price >= 2.5           price in 2..10 (half open)   price in 2..=10
/// taken >= "2024-05"   is_new = true          id in (7, 8)                 all
/// a and b              a or b                 not a                        (a or b) and c
/// ```
///
/// Names are letters, digits and underscores; others, and the words of the language, stand in backquotes. Texts stand in single
/// or double quotes; in them a backslash stands before a quote or a backslash.
///
/// # JSON
///
/// With the feature `serde`: `{"and": [{"eq": {"attribute": "color", "value": "red"}}, {"not": {"has": {"attribute": "size"}}}]}`,
/// with `in` (`attribute`, `values`), `range` (`attribute` and some of `at_least`, `above`, `at_most`, `below`), `ids`, `or`, and
/// `"all"`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Filter {
    /// Holds for all items.
    All,
    /// Holds where an attribute has that value.
    Eq {
        /// The attribute.
        attribute: String,
        /// Its value.
        value: Value,
    },
    /// Holds where an attribute has one of the values.
    In {
        /// The attribute.
        attribute: String,
        /// The values.
        values: Vec<Value>,
    },
    /// Holds where the value of an attribute lies within all bounds that there are.
    Range {
        /// The attribute: of numbers or texts.
        attribute: String,
        /// The value is this one or larger.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        at_least: Option<Value>,
        /// The value is larger.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        above: Option<Value>,
        /// The value is this one or smaller.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        at_most: Option<Value>,
        /// The value is smaller.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        below: Option<Value>,
    },
    /// Holds where an attribute has a value.
    Has {
        /// The attribute.
        attribute: String,
    },
    /// Holds for the items of these ids.
    Ids(Vec<Id>),
    /// Holds where all filters do; everywhere without any.
    And(Vec<Filter>),
    /// Holds where one of the filters does; nowhere without any.
    Or(Vec<Filter>),
    /// Holds where the filter does not.
    Not(Box<Filter>),
}

impl Filter {
    /// Holds where an attribute has that value.
    #[must_use]
    pub fn eq(attribute: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Eq {
            attribute: attribute.into(),
            value: value.into(),
        }
    }

    /// Holds where an attribute has one of the values.
    #[must_use]
    pub fn is_in<V: Into<Value>>(
        attribute: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::In {
            attribute: attribute.into(),
            values: values.into_iter().map(Into::into).collect(),
        }
    }

    /// Holds where the value of an attribute lies in a range of numbers or texts.
    ///
    /// ```
    /// use dml_eval::Filter;
    ///
    /// assert_eq!(Filter::range("price", 2..10).to_string(), "price in 2..10");
    /// assert_eq!(Filter::range("taken", "2024"..).to_string(), r#"taken >= "2024""#);
    /// ```
    #[must_use]
    pub fn range<V: Into<Value> + Clone>(
        attribute: impl Into<String>,
        range: impl RangeBounds<V>,
    ) -> Self {
        let value = |value: &V| Some(value.clone().into());
        let (at_least, above) = match range.start_bound() {
            Bound::Included(start) => (value(start), None),
            Bound::Excluded(start) => (None, value(start)),
            Bound::Unbounded => (None, None),
        };
        let (at_most, below) = match range.end_bound() {
            Bound::Included(end) => (value(end), None),
            Bound::Excluded(end) => (None, value(end)),
            Bound::Unbounded => (None, None),
        };
        Self::Range {
            attribute: attribute.into(),
            at_least,
            above,
            at_most,
            below,
        }
    }

    /// Holds where an attribute has a value.
    #[must_use]
    pub fn has(attribute: impl Into<String>) -> Self {
        Self::Has {
            attribute: attribute.into(),
        }
    }

    /// Holds for the items of these ids; an id without an item is passed over.
    #[must_use]
    pub fn ids(ids: impl Into<Ids>) -> Self {
        let ids: Ids = ids.into();
        Self::Ids(ids.iter().map(super::id::IdRef::to_id).collect())
    }
}

impl BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        // However many filters a loop joins, they do not nest.
        match (self, other) {
            (Self::And(mut all), Self::And(others)) => {
                all.extend(others);
                Self::And(all)
            }
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (own, Self::And(mut all)) => {
                all.insert(0, own);
                Self::And(all)
            }
            (own, other) => Self::And(vec![own, other]),
        }
    }
}

impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Or(mut some), Self::Or(others)) => {
                some.extend(others);
                Self::Or(some)
            }
            (Self::Or(mut some), other) => {
                some.push(other);
                Self::Or(some)
            }
            (own, Self::Or(mut some)) => {
                some.insert(0, own);
                Self::Or(some)
            }
            (own, other) => Self::Or(vec![own, other]),
        }
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(filter) => *filter,
            filter => Self::Not(Box::new(filter)),
        }
    }
}

#[cfg(test)]
mod tests;
