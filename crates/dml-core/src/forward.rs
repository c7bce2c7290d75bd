//! Traits through references: what implements a trait does so behind `&`, `Box` and `Arc`.

/// Implements a trait for pointers to its implementors. Every method of the trait has to be listed, those with a default as
/// well: one that is missing would silently fall back to the default behind a pointer.
macro_rules! forward {
    ($trait:ident for [$($pointer:ty),+] $methods:tt) => {$(
        forward!(@impl $trait, $pointer, $methods);
    )+};
    (@impl $trait:ident, $pointer:ty, {$(
        fn $method:ident(&self $(, $arg:ident: $type:ty)* $(,)?) $(-> $result:ty)?;
    )+}) => {
        impl<T: $trait + ?Sized> $trait for $pointer {$(
            fn $method(&self $(, $arg: $type)*) $(-> $result)? {
                (**self).$method($($arg),*)
            }
        )+}
    };
}
pub(crate) use forward;

#[cfg(test)]
mod tests;
