//! Configurations whose defaults stand beside their fields.

/// Declares a configuration as `dml_core::config!` does: `pub field: Type = default`.
///
/// That macro ties `serde` to a feature of the crate; here a configuration derives it by its attributes or not at all.
macro_rules! config {
    ($($structure:tt)*) => {
        dml_core::config! { serde never: $($structure)* }
    };
}
pub(crate) use config;
