//! Configurations whose defaults stand beside their fields.

/// Declares a configuration as `dml_core::config!` does: `pub field: Type = default`.
///
/// That macro ties `serde` to a feature of the crate; here a configuration derives it by its attributes or not at all.
macro_rules! config {
    (
        $(#[$attribute:meta])*
        pub struct $Name:ident {
            $($(#[$of_field:meta])* pub $field:ident: $Type:ty = $default:expr,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Name {
            $($(#[$of_field])* pub $field: $Type,)*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}
pub(crate) use config;
