//! Patterns that select parameters by name.
//!
//! ```text
//! d(p, n) = least number of characters to insert, delete or replace in n so that p matches it;  match: d = 0
//! ```
//!
//! `*` stands for any characters, dots included, and `?` for one character. The distance is that of Levenshtein 1966, "Binary
//! codes capable of correcting deletions, insertions, and reversals", where the characters of `*` cost nothing.

use crate::{Error, Result};

/// Number of names that an error lists.
const LISTED: usize = 3;

/// A pattern on whole names: `*` stands for any characters, dots included, and `?` for one character.
///
/// ```
/// use dml_core::NamePattern;
///
/// let pattern = NamePattern::new("blocks.?.*.bias");
/// assert!(pattern.matches("blocks.3.attn.proj.bias"));
/// assert!(!pattern.matches("blocks.11.attn.proj.bias"));
/// let error = NamePattern::new("head.wieght").check(["stem.weight", "head.weight"]).unwrap_err();
/// assert_eq!(error.to_string(), "pattern head.wieght: matches no name; the closest are head.weight, stem.weight");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern(String);

impl NamePattern {
    /// A pattern of characters, `*` and `?`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches the whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.distance(name) == 0
    }

    /// Checks that the pattern matches at least one name.
    ///
    /// # Errors
    /// [`Error::NoMatch`] with the closest names if it matches none.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let names = names.into_iter();
        let mut names: Vec<(usize, &str)> = names.map(|name| (self.distance(name), name)).collect();
        // Names of equal distance stay in their order.
        names.sort_by_key(|(distance, _)| *distance);
        if names.first().is_some_and(|(distance, _)| *distance == 0) {
            return Ok(());
        }
        let closest = names.iter().take(LISTED);
        Err(Error::NoMatch {
            pattern: self.0.clone(),
            closest: closest.map(|(_, name)| (*name).to_owned()).collect(),
        })
    }

    /// The distance between the pattern and a name: the fewest single letters inserted, removed or replaced.
    ///
    /// ```
    /// use dml_core::NamePattern;
    ///
    /// assert_eq!(NamePattern::new("marign").distance("margin"), 2);
    /// assert_eq!(NamePattern::new("mar*").distance("margin"), 0);
    /// ```
    #[must_use]
    pub fn distance(&self, name: &str) -> usize {
        let name: Vec<char> = name.chars().collect();
        // Distances of the pattern so far to every beginning of the name.
        let mut row: Vec<usize> = (0..=name.len()).collect();
        for wanted in self.0.chars() {
            let mut diagonal = row[0];
            row[0] += usize::from(wanted != '*');
            for (i, got) in name.iter().enumerate() {
                let above = row[i + 1];
                row[i + 1] = if wanted == '*' {
                    above.min(row[i])
                } else {
                    let replaced = diagonal + usize::from(wanted != '?' && wanted != *got);
                    replaced.min(above + 1).min(row[i] + 1)
                };
                diagonal = above;
            }
        }
        row[name.len()]
    }
}

impl From<&str> for NamePattern {
    fn from(pattern: &str) -> Self {
        Self::new(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name, distance) in [
            ("*", "", 0),
            ("", "", 0),
            ("", "ab", 2),
            ("a*", "a", 0),
            ("a*c", "abbbc", 0),
            ("a*c", "abbbd", 1),
            ("*.bias", "fc.bias", 0),
            ("*.bias", "bias", 1),
            ("layer?.*", "layer1.0.conv1.weight", 0),
            ("layer?.*", "layer10.conv1.weight", 1),
            ("kitten", "sitting", 3),
            ("*a*b*", "xaxbx", 0),
            ("*a*b*", "xbxax", 1),
            ("é?", "éß", 0),
        ] {
            let own = NamePattern::new(pattern);
            assert_eq!(own.distance(name), distance, "{pattern} {name}");
            assert_eq!(own.matches(name), distance == 0);
        }
    }

    #[test]
    fn an_error_lists_the_closest_names() {
        let names = ["stem.conv", "blocks.0.norm", "blocks.1.norm", "head"];
        let pattern = NamePattern::new("block.*.norm");
        let Error::NoMatch { pattern, closest } = pattern.check(names).unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(pattern, "block.*.norm");
        assert_eq!(closest[..2], ["blocks.0.norm", "blocks.1.norm"]);
        let empty = NamePattern::new("a").check([]).unwrap_err();
        assert_eq!(
            empty.to_string(),
            "pattern a: matches no name; there are none"
        );
        assert!(NamePattern::new("h*").check(names).is_ok());
    }
}
