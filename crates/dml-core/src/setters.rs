//! Methods of a builder.

/// Writes methods that change a builder and give it back.
///
/// ```
/// #[derive(Default)]
/// struct Search {
///     k: usize,
/// }
///
/// impl Search {
///     dml_core::setters! {
///         /// Number of neighbours.
///         pub fn with_k(self, k: usize) { self.k = k }
///     }
/// }
///
/// assert_eq!(Search::default().with_k(3).k, 3);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($($(#[$attribute:meta])* pub fn $name:ident($own:ident $(, $value:ident: $Type:ty)*) { $($change:tt)+ })+) => {$(
        $(#[$attribute])*
        #[must_use]
        pub fn $name(mut $own $(, $value: $Type)*) -> Self {
            $($change)+;
            $own
        }
    )+};
}
