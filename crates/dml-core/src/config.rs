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
///
/// Fields that have no default stand first and end with a semicolon. They are the arguments of the structure's `new`, and
/// data without one of them is an error.
///
/// ```
/// dml_core::config! {
///     /// Configuration of a hinge for each class.
///     pub struct ClassHingeConfig {
///         /// Number of classes.
///         pub num_classes: usize;
///         /// The margin. Default `0.2`.
///         pub margin: f64 = 0.2,
///     }
/// }
///
/// let config = ClassHingeConfig { margin: 0.5, ..ClassHingeConfig::new(10) };
/// assert_eq!((config.num_classes, config.margin), (10, 0.5));
/// ```
/// `pub field: Type as Read = default` reads the field as data of the type `Read`, which is converted.
///
/// A crate without the feature `serde` writes `serde always:` or `serde never:` before the structure.
#[doc(hidden)]
#[macro_export]
macro_rules! config {
    (@read $Type:ty) => { $Type };
    (@read $Type:ty, $Read:ty) => { $Read };
    (serde always: $($structure:tt)*) => {
        $crate::config! { @[all()] $($structure)* }
    };
    (serde never: $($structure:tt)*) => {
        $crate::config! { @[any()] $($structure)* }
    };
    (
        @[$($serde:tt)*] $(#[$attribute:meta])*
        pub struct $Name:ident {
            $($(#[$of_field:meta])* pub $field:ident: $Type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr($($serde)*, derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr($($serde)*, serde(default, deny_unknown_fields))]
        pub struct $Name {
            $($(#[$of_field])* pub $field: $Type,)*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
    (
        @[$($serde:tt)*] $(#[$attribute:meta])*
        pub struct $Name:ident {
            $($(#[$of_required:meta])* pub $required:ident: $Required:ty),+;
            $($(#[$of_field:meta])* pub $field:ident: $Type:ty $(as $Read:ty)? = $default:expr),* $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr($($serde)*, derive(serde::Serialize))]
        pub struct $Name {
            $($(#[$of_required])* pub $required: $Required,)+
            $($(#[$of_field])* pub $field: $Type,)*
        }

        impl $Name {
            /// The default configuration, but for what has no default.
            #[must_use]
            #[allow(non_snake_case)]
            pub fn new($($required: $Required),+) -> Self {
                Self { $($required,)+ $($field: $default,)* }
            }
        }

        #[cfg($($serde)*)]
        impl<'de> serde::Deserialize<'de> for $Name {
            #[allow(non_snake_case)]
            fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                // serde takes a default from a function or a whole structure only.
                let given = {
                    #[derive(serde::Deserialize)]
                    #[serde(deny_unknown_fields)]
                    struct $Name {
                        $($required: $Required,)+
                        $(#[serde(default, deserialize_with = "dml_core::given")]
                        $field: Option<$crate::config!(@read $Type $(, $Read)?)>,)*
                    }
                    <$Name as serde::Deserialize>::deserialize(deserializer)?
                };
                Ok(Self {
                    $($required: given.$required,)+
                    $($field: given.$field.map_or_else(|| $default, Into::into),)*
                })
            }
        }
    };
    ($(#[$attribute:meta])* pub $($structure:tt)*) => {
        $crate::config! { @[feature = "serde"] $(#[$attribute])* pub $($structure)* }
    };
}

/// A field of a configuration that is there, even if it is null.
#[cfg(feature = "serde")]
#[doc(hidden)]
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
