//! What can be wrong with a configuration.

/// Why a configuration makes no component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no JSON, names no component, or has a field that the component does not know.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The component refuses its arguments.
    #[error(transparent)]
    Component(#[from] dml_core::Error),
}
