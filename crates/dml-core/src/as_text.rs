//! Values that are written as text.

/// Converts a type from and to `String` by its `FromStr` and `Display`, as `serde(try_from = "String", into = "String")` asks.
///
/// ```
/// # #[derive(Debug, PartialEq)] struct Rank(u32);
/// # impl std::fmt::Display for Rank {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "rank_{}", self.0) }
/// # }
/// # impl std::str::FromStr for Rank {
/// #     type Err = dml_core::Error;
/// #     fn from_str(text: &str) -> dml_core::Result<Self> { Ok(Self(text[5..].parse().unwrap_or(0))) }
/// # }
/// dml_core::as_text!(Rank);
/// assert_eq!(String::from(Rank(1)), "rank_1");
/// assert_eq!(Rank::try_from("rank_7".to_owned())?, Rank(7));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! as_text {
    ($Name:ident) => {
        impl TryFrom<String> for $Name {
            type Error = $crate::Error;

            fn try_from(text: String) -> $crate::Result<Self> {
                text.parse()
            }
        }

        impl From<$Name> for String {
            fn from(value: $Name) -> Self {
                value.to_string()
            }
        }
    };
}
