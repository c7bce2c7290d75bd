//! `Debug` by some of a type's fields.

/// Implements `Debug` for a type by the named values alone; `..` stands for the rest, such as long arrays.
///
/// ```
/// struct Rows { rows: Vec<f32>, dim: usize }
/// dml_core::debug_fields!(Rows, |own| { count: own.rows.len() / own.dim, dim: own.dim });
///
/// let rows = Rows { rows: vec![0.0; 6], dim: 2 };
/// assert_eq!(format!("{rows:?}"), "Rows { count: 3, dim: 2, .. }");
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! debug_fields {
    ($Name:ident<$Parameter:ident>, $($fields:tt)+) => {
        $crate::debug_fields!(@impl [<$Parameter>] $Name, $Name<$Parameter>, $($fields)+);
    };
    ($Name:ident $(<$of:lifetime>)?, $($fields:tt)+) => {
        $crate::debug_fields!(@impl [] $Name, $Name $(<$of>)?, $($fields)+);
    };
    (
        @impl [$($generics:tt)*] $Name:ident, $Type:ty,
        |$own:ident| { $($field:ident: $value:expr),+ $(,)? }
    ) => {
        impl $($generics)* std::fmt::Debug for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $own = self;
                f.debug_struct(stringify!($Name))
                    $(.field(stringify!($field), &$value))+
                    .finish_non_exhaustive()
            }
        }
    };
}
