//! Closures within structures that derive `Debug`.

use std::fmt;

/// A closure, of which nothing can be shown.
pub(crate) struct Closure<F: ?Sized>(pub(crate) F);

impl<F: ?Sized> fmt::Debug for Closure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closure")
    }
}
