//! A filter as text, which is read back as the same filter.

use std::fmt;

use super::Filter;
use super::syntax::is_plain_name;
use crate::index::collection::id::Id;
use crate::index::collection::value::Value;

/// How tightly parts of an expression hold together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Or,
    And,
    Not,
    Single,
}

impl Filter {
    fn rank(&self) -> Rank {
        match self {
            Self::And(filters) if filters.is_empty() => Rank::Single,
            Self::Or(filters) if filters.is_empty() => Rank::Not,
            Self::And(filters) | Self::Or(filters) if filters.len() == 1 => filters[0].rank(),
            Self::Or(_) => Rank::Or,
            Self::And(_) => Rank::And,
            Self::Not(_) => Rank::Not,
            // Two bounds are two comparisons, but for a whole range.
            Self::Range {
                at_least,
                above,
                at_most,
                below,
                ..
            } => match [at_least, above, at_most, below].map(Option::is_some) {
                [true, false, false, true] | [true, false, true, false] => Rank::Single,
                bounds if bounds.iter().filter(|is_some| **is_some).count() > 1 => Rank::And,
                _ => Rank::Single,
            },
            _ => Rank::Single,
        }
    }

    /// The filter in parentheses if it would fall apart in a place of that rank.
    fn write_in(&self, f: &mut fmt::Formatter<'_>, place: Rank) -> fmt::Result {
        if self.rank() < place {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Eq { attribute, value } => {
                write_name(f, attribute)?;
                write!(f, " = {value}")
            }
            Self::In { attribute, values } => {
                write_name(f, attribute)?;
                f.write_str(" in ")?;
                write_list(f, values.iter(), |f, value: &Value| write!(f, "{value}"))
            }
            Self::Has { attribute } => {
                f.write_str("has(")?;
                write_name(f, attribute)?;
                f.write_str(")")
            }
            Self::Range {
                attribute,
                at_least,
                above,
                at_most,
                below,
            } => write_range(
                f,
                attribute,
                [at_least, above, at_most, below].map(Option::as_ref),
            ),
            Self::Ids(ids) => {
                f.write_str("id in ")?;
                write_list(f, ids.iter(), |f, id: &Id| match id {
                    Id::Number(number) => write!(f, "{number}"),
                    Id::Text(text) => write_quoted(f, text),
                })
            }
            Self::And(filters) => write_joined(f, filters, "all", " and ", Rank::Not),
            Self::Or(filters) => write_joined(f, filters, "not all", " or ", Rank::And),
            Self::Not(filter) => {
                f.write_str("not ")?;
                filter.write_in(f, Rank::Not)
            }
        }
    }
}

fn write_range(
    f: &mut fmt::Formatter<'_>,
    attribute: &str,
    bounds: [Option<&Value>; 4],
) -> fmt::Result {
    match bounds {
        [Some(start), None, None, Some(end)] => {
            write_name(f, attribute)?;
            return write!(f, " in {start}..{end}");
        }
        [Some(start), None, Some(end), None] => {
            write_name(f, attribute)?;
            return write!(f, " in {start}..={end}");
        }
        [None, None, None, None] => {
            f.write_str("has(")?;
            write_name(f, attribute)?;
            return f.write_str(")");
        }
        _ => {}
    }
    let mut is_first = true;
    for (sign, bound) in [">=", ">", "<=", "<"].into_iter().zip(bounds) {
        let Some(bound) = bound else { continue };
        f.write_str(if is_first { "" } else { " and " })?;
        is_first = false;
        write_name(f, attribute)?;
        write!(f, " {sign} {bound}")?;
    }
    Ok(())
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    filters: &[Filter],
    none: &str,
    word: &str,
    place: Rank,
) -> fmt::Result {
    match filters {
        [] => f.write_str(none),
        [only] => write!(f, "{only}"),
        some => {
            for (i, filter) in some.iter().enumerate() {
                f.write_str(if i > 0 { word } else { "" })?;
                filter.write_in(f, place)?;
            }
            Ok(())
        }
    }
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    list: impl Iterator<Item = T>,
    write: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("(")?;
    for (i, entry) in list.enumerate() {
        f.write_str(if i > 0 { ", " } else { "" })?;
        write(f, entry)?;
    }
    f.write_str(")")
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain_name(name) {
        return f.write_str(name);
    }
    write_between(f, name, '`')
}

/// A text in double quotes.
pub(in crate::index::collection) fn write_quoted(
    f: &mut fmt::Formatter<'_>,
    text: &str,
) -> fmt::Result {
    write_between(f, text, '"')
}

fn write_between(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    write!(f, "{quote}")?;
    for letter in text.chars() {
        if letter == quote || letter == '\\' {
            f.write_str("\\")?;
        }
        write!(f, "{letter}")?;
    }
    write!(f, "{quote}")
}
