//! The error of a case whose component or method the library does not have.

/// The component, or the method that the case calls, does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsupported(String);

/// The error that says what is missing.
pub(crate) fn unsupported(what: impl Into<String>) -> anyhow::Error {
    Unsupported(what.into()).into()
}
