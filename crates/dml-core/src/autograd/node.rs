//! Operations that a kernel computes in one pass, with their gradient given as a function.
//!
//! A kernel reads the CPU memory of its inputs ([`with_slice`]), and its result becomes a node of Candle's graph
//! ([`unary`], [`binary`], [`ternary`]). This is how the crates above turn the kernels of `dml-kernels` into differentiable
//! tensors; [`for_element!`](crate::for_element) chooses between `f32` and `f64`.

mod by_tensor;
pub mod inlet;
mod row_values;

use std::cell::Cell;
use std::fmt;
use std::sync::Mutex;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Storage, Tensor, WithDType,
};
use dml_kernels::Real;

use crate::{Error, Result};

pub(crate) use by_tensor::ByTensor;
pub use inlet::{Contribution, of_matrix};
pub use row_values::{row_values, row_values_with};

/// An element type that tensors and kernels share: `f32` or `f64`.
pub trait Element: WithDType + Real {}
impl Element for f32 {}
impl Element for f64 {}

/// Runs the body with the type name bound to the element type of a tensor: `f32` or `f64`.
///
/// ```
/// use dml_core::{candle_core::{Device, Tensor}, for_element, fused::with_slice};
///
/// let tensor = Tensor::new(&[1f32, 2.], &Device::Cpu)?;
/// let sum: f64 = for_element!(tensor, "tensor", |T| with_slice::<T, _>(&tensor, |x| x.iter().map(|x| f64::from(*x)).sum()))?;
/// assert_eq!(sum, 3.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
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
    use candle_core::DType::{F32, F64};
    let fits = tensor.device().is_cpu() && matches!(tensor.dtype(), F32 | F64);
    fits && !KERNELS_ARE_OFF.get()
}

/// Runs `f` as on a device that has no kernel: everything that it computes on this thread takes the composite form.
///
/// For tests that hold both forms to the same numbers.
pub fn without_kernels<R>(f: impl FnOnce() -> R) -> R {
    /// Restores what was, also when `f` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            KERNELS_ARE_OFF.set(self.0);
        }
    }
    let _restore = Restore(KERNELS_ARE_OFF.replace(true));
    f()
}

/// `f` on the elements of a CPU tensor in row-major order, without a copy where the tensor is contiguous.
///
/// # Errors
/// [`Error::Device`] for a tensor that is not on the CPU, [`Error::Tensor`] for another element type.
pub fn with_slice<T: WithDType, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    if tensor.elem_count() == 0 {
        // A view without elements may begin beyond the end of its storage.
        let (storage, _) = tensor.storage_and_layout();
        return match &*storage {
            Storage::Cpu(cpu) => Ok(f(&cpu.as_slice::<T>()?[..0])),
            _ => Err(not_on_the_cpu(tensor)),
        };
    }
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cpu(cpu), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        return Err(not_on_the_cpu(&tensor));
    };
    Ok(f(&cpu.as_slice::<T>()?[start..end]))
}

fn not_on_the_cpu(tensor: &Tensor) -> Error {
    Error::Device {
        arg: "tensor",
        expected: "the CPU".to_owned(),
        got: format!("{:?}", tensor.device().location()),
    }
}

/// The tensor, or where it is a view without elements, one that has a storage of its own.
///
/// Such a view may begin beyond the end of the storage that it looks into, which Candle's operations do not survive.
///
/// # Errors
/// [`Error::Tensor`] if the device can't hold an empty tensor.
pub fn whole(tensor: &Tensor) -> Result<Tensor> {
    if tensor.elem_count() > 0 || tensor.layout().start_offset() == 0 {
        return Ok(tensor.clone());
    }
    if has_kernel(tensor) {
        return for_element!(tensor, "tensor", |T| {
            let nothing =
                |x: &Tensor, _: &Tensor, _: &Tensor| -> Result<Tensor> { Ok(x.zeros_like()?) };
            unary("whole", tensor, Vec::<T>::new(), tensor.shape(), nothing)
        });
    }
    let (shape, device) = (tensor.shape(), tensor.device());
    Ok(Tensor::zeros(shape, tensor.dtype(), device)?)
}

/// The node of a value that is known already; `backward(input, value, gradient)` gives the gradient of the input.
///
/// # Errors
/// [`Error::Tensor`] if the input is not on the CPU, [`Error::Length`] if the shape does not hold the value.
pub fn unary<T: WithDType>(
    name: &'static str,
    input: &Tensor,
    value: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !input.track_op() {
        return Ok(Tensor::from_vec(value, shape, input.device())?);
    }
    Ok(input.apply_op1(Unary {
        name,
        value: Known::new(value, shape)?,
        backward: Box::new(backward),
    })?)
}

/// The node of a value of two inputs; `backward(left, right, value, gradient)` gives the gradients of both.
///
/// # Errors
/// [`Error::Tensor`] if the inputs are not on the CPU, [`Error::Length`] if the shape does not hold the value.
pub fn binary<T: WithDType>(
    name: &'static str,
    left: &Tensor,
    right: &Tensor,
    value: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Result<(Tensor, Tensor)>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    if !left.track_op() && !right.track_op() {
        return Ok(Tensor::from_vec(value, shape, left.device())?);
    }
    Ok(left.apply_op2(
        right,
        Binary {
            name,
            value: Known::new(value, shape)?,
            backward: Box::new(backward),
        },
    )?)
}

/// The node of a value of three inputs; `backward(inputs, value, gradient)` gives the gradient of each that needs one.
///
/// # Errors
/// [`Error::Tensor`] if the inputs are not on the CPU, [`Error::Length`] if the shape does not hold the value.
pub fn ternary<T: WithDType>(
    name: &'static str,
    inputs: [&Tensor; 3],
    value: Vec<T>,
    shape: impl Into<Shape>,
    backward: impl Fn([&Tensor; 3], &Tensor, &Tensor) -> Result<[Option<Tensor>; 3]>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    let [first, second, third] = inputs;
    if !inputs.iter().any(|input| input.track_op()) {
        return Ok(Tensor::from_vec(value, shape, first.device())?);
    }
    Ok(first.apply_op3(
        second,
        third,
        Ternary {
            name,
            value: Known::new(value, shape)?,
            backward: Box::new(backward),
        },
    )?)
}

/// A value on its way into the graph, taken once.
struct Known(Mutex<Option<(CpuStorage, Shape)>>);

impl Known {
    /// Candle takes the shape on trust, and would read beyond the end of a value that is too short.
    fn new<T: WithDType>(value: Vec<T>, shape: impl Into<Shape>) -> Result<Self> {
        let shape = shape.into();
        if value.len() != shape.elem_count() {
            return Err(Error::Length {
                arg: "value",
                expected: shape.elem_count(),
                got: value.len(),
            });
        }
        Ok(Self(Mutex::new(Some((
            T::to_cpu_storage_owned(value),
            shape,
        )))))
    }

    fn take(&self) -> candle_core::Result<(CpuStorage, Shape)> {
        let value = self.0.lock().ok().and_then(|mut value| value.take());
        value.ok_or_else(|| candle_core::Error::Msg("a fused value was asked for twice".to_owned()))
    }
}

type UnaryBackward = dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync;
type BinaryBackward =
    dyn Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Result<(Tensor, Tensor)> + Send + Sync;

type TernaryBackward =
    dyn Fn([&Tensor; 3], &Tensor, &Tensor) -> Result<[Option<Tensor>; 3]> + Send + Sync;

struct Unary {
    name: &'static str,
    value: Known,
    backward: Box<UnaryBackward>,
}

struct Binary {
    name: &'static str,
    value: Known,
    backward: Box<BinaryBackward>,
}

struct Ternary {
    name: &'static str,
    value: Known,
    backward: Box<TernaryBackward>,
}

impl fmt::Debug for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unary").field(&self.name).finish()
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Binary").field(&self.name).finish()
    }
}

impl fmt::Debug for Ternary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ternary").field(&self.name).finish()
    }
}

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.value.take()
    }

    fn bwd(
        &self,
        input: &Tensor,
        value: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        Ok(Some((self.backward)(input, value, gradient)?))
    }
}

impl CustomOp2 for Binary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.value.take()
    }

    fn bwd(
        &self,
        left: &Tensor,
        right: &Tensor,
        value: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (left, right) = (self.backward)(left, right, value, gradient)?;
        Ok((Some(left), Some(right)))
    }
}

impl CustomOp3 for Ternary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.value.take()
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        third: &Tensor,
        value: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [first, second, third] = (self.backward)([first, second, third], value, gradient)?;
        Ok((first, second, third))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

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

    #[test]
    fn a_value_that_does_not_fill_its_shape_is_an_error() -> Result<()> {
        let x = Var::new(&[1f32, 2.], &Device::Cpu)?;
        for length in [0, 1, 3] {
            let value = vec![0f32; length];
            let refused = unary("short", &x, value.clone(), 2, |x, _, _| Ok(x.clone()));
            assert!(matches!(refused, Err(Error::Length { expected: 2, .. })));
            let both = |x: &Tensor, r: &Tensor, _: &Tensor, _: &Tensor| Ok((x.clone(), r.clone()));
            assert!(binary("short", &x, &x, value, 2, both).is_err());
        }
        Ok(())
    }

    #[test]
    fn a_ternary_node_gives_each_input_its_gradient_or_none() -> Result<()> {
        let [a, b] = [3f64, 5.].map(|x| Var::new(x, &Device::Cpu));
        let (a, b) = (a?, b?);
        let constant = Tensor::new(7f64, &Device::Cpu)?;
        let inputs = [a.as_tensor(), b.as_tensor(), &constant];
        let product = ternary(
            "product",
            inputs,
            vec![105f64],
            (),
            |[a, b, c], _, gradient| {
                let a_gradient = ((gradient * b)? * c)?;
                let b_gradient = ((gradient * a)? * c)?;
                Ok([Some(a_gradient), Some(b_gradient), None])
            },
        )?;
        assert_eq!(product.to_scalar::<f64>()?, 105.0);
        let store = product.backward()?;
        let slope = |x: &Tensor| store.get(x).map(Tensor::to_scalar::<f64>).transpose();
        assert_eq!(slope(&a)?, Some(35.0));
        assert_eq!(slope(&b)?, Some(21.0));
        assert!(store.get(&constant).is_none());
        let [a, b] = [&a, &b].map(|x| x.as_tensor().detach());
        let outside = ternary("product", [&a, &b, &constant], vec![1f64], (), |_, _, _| {
            Ok([None, None, None])
        })?;
        assert!(!outside.track_op());
        Ok(())
    }
}
