//! Traits through references: what implements a trait does so behind `&`, `Box` and `Arc`.

/// Implements a trait for pointers to its implementors. Every method of the trait has to be listed, those with a default as
/// well: one that is missing would silently fall back to the default behind a pointer. Methods that change the implementor
/// follow in a block of their own, after `mut`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward {
    ($trait:ident for [$($pointer:ty),+] $methods:tt) => {
        $crate::forward!($trait for [$($pointer),+] $methods mut {});
    };
    ($trait:ident for [$($pointer:ty),+] $methods:tt mut $changes:tt) => {$(
        $crate::forward!(@impl $trait, $pointer, $methods $changes);
    )+};
    (@impl $trait:ident, $pointer:ty, {$(
        fn $method:ident(&self $(, $arg:ident: $type:ty)* $(,)?) $(-> $result:ty)?;
    )+} {$(
        fn $change:ident(&mut self $(, $changed:ident: $kind:ty)* $(,)?) $(-> $outcome:ty)?;
    )*}) => {
        impl<T: $trait + ?Sized> $trait for $pointer {
            $(fn $method(&self $(, $arg: $type)*) $(-> $result)? {
                (**self).$method($($arg),*)
            })+
            $(fn $change(&mut self $(, $changed: $kind)*) $(-> $outcome)? {
                (**self).$change($($changed),*)
            })*
        }
    };
}

#[cfg(test)]
mod tests;
