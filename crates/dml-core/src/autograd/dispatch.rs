//! Which tensors the kernels of the host can take, and in which element type.

use std::cell::Cell;

use candle_core::{DType, Tensor, WithDType};
use dml_kernels::Real;

/// An element type that tensors and kernels share: `f32` or `f64`.
pub trait Element: WithDType + Real {}
impl Element for f32 {}
impl Element for f64 {}

/// Runs the body with the type name bound to the element type of a tensor: `f32` or `f64`. Exempt from semantic versioning,
/// as [`autograd`](crate::autograd) is.
///
/// ```
/// use dml_core::{candle_core::{Device, Tensor}, for_element, autograd::with_slice};
///
/// let tensor = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
/// let sum: f64 = for_element!(tensor, "tensor", |T| with_slice::<T, _>(&tensor, |x| x.iter().map(|x| f64::from(*x)).sum()))?;
/// assert_eq!(sum, 3.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! for_element {
    ($tensor:expr, $arg:literal, |$t:ident| $body:expr) => {
        match $tensor.dtype() {
            $crate::candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::candle_core::DType::F64 => {
                type $t = f64;
                $body
            }
            got => Err($crate::Error::DType {
                arg: $arg,
                expected: "f32 or f64",
                got,
            }),
        }
    };
}

thread_local! {
    static KERNELS_ARE_OFF: Cell<bool> = const { Cell::new(false) };
}

/// Whether a fused CPU kernel can take this tensor; if not, the composite form does the work.
#[must_use]
pub fn has_kernel(tensor: &Tensor) -> bool {
    let fits = tensor.device().is_cpu() && matches!(tensor.dtype(), DType::F32 | DType::F64);
    fits && !KERNELS_ARE_OFF.get()
}

/// Runs `f` as on a device that has no kernel: everything that it computes on this thread takes the composite form.
///
/// For tests that hold both forms to the same numbers.
pub fn without_kernels<R>(f: impl FnOnce() -> R) -> R {
    /// Restores the previous state, also when `f` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            KERNELS_ARE_OFF.set(self.0);
        }
    }
    let _restore = Restore(KERNELS_ARE_OFF.replace(true));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use candle_core::Device;

    #[test]
    fn kernels_can_be_put_aside_for_a_while() -> Result<()> {
        let tensor = Tensor::new(1f32, &Device::Cpu)?;
        assert!(has_kernel(&tensor));
        without_kernels(|| {
            assert!(!has_kernel(&tensor));
            without_kernels(|| assert!(!has_kernel(&tensor)));
            assert!(!has_kernel(&tensor));
        });
        assert!(has_kernel(&tensor));
        Ok(())
    }
}
