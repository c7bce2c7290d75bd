//! Configurations whose defaults stand beside their fields.

/// Declares a configuration: a structure of public fields, each with its default.
///
/// ```text
/// config! { pub struct XConfig { pub margin: f64 = 0.2 } }
/// ```
///
/// The structure is `Clone`, `Debug`, `PartialEq` and `Default`. With the crate's feature `serde` it is also read and written
/// as data, where a missing field has its default and an unknown field is an error. Documentation and further attributes
/// stand where they stand on a structure. The syntax of the defaults is that of Rust's RFC 3681, which would replace this
/// macro.
///
/// ```
/// dml_core::config! {
///     /// Configuration of a hinge.
///     #[derive(Copy)]
///     pub struct HingeConfig {
///         /// The margin. Default `0.2`.
///         pub margin: f64 = 0.2,
///         /// Whether the hinge is squared. Default `false`.
///         pub squared: bool = false,
///     }
/// }
///
/// let config = HingeConfig { squared: true, ..HingeConfig::default() };
/// assert_eq!((config.margin, config.squared), (0.2, true));
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! config {
    (
        $(#[$attribute:meta])*
        pub struct $Name:ident {
            $($(#[$of_field:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize, serde::Deserialize),
            serde(default, deny_unknown_fields)
        )]
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
