//! Exit codes, which scripts may rely on.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed: a file is missing or damaged, the disk is full, a loss is no number |
//! | 2 | misused: an argument or a field of the configuration is wrong; nothing was begun |
//! | 130 | interrupted by Ctrl-C; what was written is whole |

use std::fmt;

use crate::settings::Problem;

/// The command failed.
pub const FAILURE: u8 = 1;
/// Arguments or configuration are wrong.
pub const MISUSE: u8 = 2;
pub use dml_program::INTERRUPTED;

/// Arguments that do not fit each other or what they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(String);

impl Misuse {
    /// An error of one sentence.
    #[must_use]
    pub fn error(sentence: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(sentence.into()))
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// The user has asked for the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// What is kept, and how to go on.
    pub kept: String,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted: {}", self.kept)
    }
}

impl std::error::Error for Interrupted {}

/// The exit code of an error.
#[must_use]
pub fn code(error: &anyhow::Error) -> u8 {
    let is = |cause: &(dyn std::error::Error + 'static)| match () {
        () if cause.is::<Interrupted>() => Some(INTERRUPTED),
        () if cause.is::<Problem>() || cause.is::<Misuse>() => Some(MISUSE),
        () => None,
    };
    error.chain().find_map(is).unwrap_or(FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_code_follows_the_cause_below_any_context() {
        let failed = anyhow::anyhow!("no such file");
        assert_eq!(code(&failed), FAILURE);
        let problem = anyhow::Error::new(Problem::new("a"));
        assert_eq!(code(&problem.context("b")), MISUSE);
        let misuse: anyhow::Result<()> = Err(Misuse::error("a"));
        assert_eq!(code(&misuse.context("b").unwrap_err()), MISUSE);
        let kept = "a checkpoint".to_owned();
        let interrupted = anyhow::Error::new(Interrupted { kept });
        assert_eq!(code(&interrupted), INTERRUPTED);
        assert_eq!(interrupted.to_string(), "interrupted: a checkpoint");
    }
}
