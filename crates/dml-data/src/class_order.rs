//! Order in which classes are numbered.

use std::cmp::Ordering;

/// Order in which the names of classes get the labels 0, 1, 2, …
///
/// ```
/// use dml_data::ClassOrder;
///
/// let mut names = vec!["10", "2", "owl", "1", "-1"];
/// names.sort_by(|a, b| ClassOrder::Name.compare(a, b));
/// assert_eq!(names, ["-1", "1", "10", "2", "owl"]);
/// names.sort_by(|a, b| ClassOrder::Number.compare(a, b));
/// assert_eq!(names, ["-1", "1", "2", "10", "owl"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ClassOrder {
    /// Byte order of the names: 1, 10, 2. Other libraries order folders of images this way.
    #[default]
    Name,
    /// Names that are whole numbers first, by their value: 1, 2, 10; then all others by their bytes.
    Number,
}

impl ClassOrder {
    /// Compares two names. Names that differ are never equal.
    #[must_use]
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Name => a.cmp(b),
            Self::Number => match (number(a), number(b)) {
                (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => a.cmp(b),
            },
        }
    }
}

/// The whole number that a name is, of 38 digits at most.
fn number(name: &str) -> Option<i128> {
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_and_nothing_is_equal_to_something_else() {
        let names = [
            "",
            "-3",
            "-",
            "01",
            "1",
            "+1",
            "2",
            "10",
            "1e3",
            "99999999999999999999",
            "a10",
            "a2",
        ];
        let mut sorted = names;
        sorted.sort_by(|a, b| ClassOrder::Number.compare(a, b));
        let expected = [
            "-3",
            "+1",
            "01",
            "1",
            "2",
            "10",
            "99999999999999999999",
            "",
            "-",
            "1e3",
            "a10",
            "a2",
        ];
        assert_eq!(sorted, expected);
        for order in [ClassOrder::Name, ClassOrder::Number] {
            for a in names {
                for b in names {
                    assert_eq!(order.compare(a, b) == Ordering::Equal, a == b);
                    assert_eq!(order.compare(a, b), order.compare(b, a).reverse());
                }
            }
        }
    }
}
