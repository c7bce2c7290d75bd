//! Loops compiled for the widest vector registers of the processor.

use pulp::{Arch, NullaryFnOnce};

/// `f()`, compiled once for each set of vector instructions; the best set that the processor has is chosen at run time.
///
/// Only what is inlined into `f` is compiled so: a closure that is passed here, and every function of its loop, is marked
/// `#[inline(always)]`. The macro of this name marks the closure itself.
#[inline(always)]
pub fn vectorized<R>(f: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Inlined(f))
}

/// An expression, compiled as [`vectorized()`] compiles a function.
///
/// ```
/// use dml_kernels::vectorized;
///
/// let mut x = [1f32, 2., 3.];
/// vectorized!(x.iter_mut().for_each(|x| *x = *x * *x));
/// assert_eq!(x, [1., 4., 9.]);
/// ```
#[macro_export]
macro_rules! vectorized {
    ($body:expr) => {
        $crate::vectorized(
            #[inline(always)]
            || $body,
        )
    };
}

/// Calls a closure by reference. Called by value, as pulp does by itself, it would go through an adapter of the compiler
/// that is often a function of its own, compiled for the oldest processors.
struct Inlined<F>(F);

impl<R, F: FnMut() -> R> NullaryFnOnce for Inlined<F> {
    type Output = R;

    #[inline(always)]
    fn call(mut self) -> R {
        (self.0)()
    }
}
