//! What is wrong with a configuration, and where.

use std::fmt;

use super::document::Origin;

/// One sentence, with the place that it is about. The command ends with code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// A problem of no place of its own.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A problem at a place.
    pub fn at(origin: &Origin, sentence: impl fmt::Display) -> Self {
        Self(format!("{origin}: {sentence}"))
    }

    /// A problem at a place, if the value has one, else of the field by its name.
    pub fn of(origin: Option<&Origin>, field: &str, sentence: impl fmt::Display) -> Self {
        match origin {
            Some(origin) => Self::at(origin, format_args!("{field}: {sentence}")),
            None => Self(format!("{field}: {sentence}")),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}
