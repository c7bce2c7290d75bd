//! What a case says of the library.

use std::fmt;

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "lowercase")]
pub enum CaseResult {
    /// The component answers as it has to.
    Passed,
    /// It does not; the sentence says where.
    Failed(String),
    /// The component, or what the case asks of it, does not exist yet. Counts as a failure.
    Unsupported(String),
}

impl CaseResult {
    /// Whether the component answers as it has to.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        *self == Self::Passed
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => write!(f, "passed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
        }
    }
}
