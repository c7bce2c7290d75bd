//! The memory of CPU tensors as slices.

use candle_core::{Layout, Storage, Tensor, WithDType};

use super::{has_kernel, unary};
use crate::{Error, Result, for_element};

/// `f` on the elements of a CPU tensor in row-major order, without a copy where the tensor is contiguous.
///
/// # Errors
/// [`Error::Device`] for a tensor that is not on the CPU, [`Error::Tensor`] for another element type.
pub fn with_slice<T: WithDType, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    with_slices([tensor], |[slice]| f(slice))
}

/// [`with_slice`] for several tensors of one element type.
///
/// # Errors
/// As [`with_slice`].
pub fn with_slices<T: WithDType, R, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[T]; N]) -> R,
) -> Result<R> {
    let tensors = in_order(&tensors)?;
    let memory: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[T]; N] = [&[]; N];
    for ((slice, (storage, layout)), tensor) in slices.iter_mut().zip(&memory).zip(&tensors) {
        *slice = elements(storage, layout, tensor)?;
    }
    Ok(f(slices))
}

/// The tensors, with their elements in order. This and [`elements`] do not depend on a closure, so that they are compiled once
/// for hundreds of them.
fn in_order(tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
    let in_order = |tensor: &&Tensor| match tensor.elem_count() {
        // A view without elements may begin beyond the end of its storage.
        0 => Ok((*tensor).clone()),
        _ => tensor.contiguous(),
    };
    let tensors: candle_core::Result<Vec<Tensor>> = tensors.iter().map(in_order).collect();
    Ok(tensors?)
}

/// The elements of a tensor that lie in order.
fn elements<'a, T: WithDType>(
    storage: &'a Storage,
    layout: &Layout,
    tensor: &Tensor,
) -> Result<&'a [T]> {
    let Storage::Cpu(cpu) = storage else {
        return Err(not_on_the_cpu(tensor));
    };
    let whole = cpu.as_slice::<T>()?;
    let start = layout.start_offset();
    Ok(match tensor.elem_count() {
        0 => &whole[..0],
        count => &whole[start..start + count],
    })
}

/// `f` on the elements of a CPU tensor from its first one on, and on its strides. A view whose last dimension lies in one
/// piece is lent as it is; any other is copied, and its strides are those of the copy.
///
/// # Errors
/// As [`with_slice`].
pub fn with_strides<T: WithDType, R>(
    tensor: &Tensor,
    f: impl FnOnce(&[T], &[usize]) -> R,
) -> Result<R> {
    if tensor.stride().last() != Some(&1) || tensor.elem_count() == 0 {
        let tensor = tensor.contiguous()?;
        return with_slice(&tensor, |data| f(data, tensor.stride()));
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else {
        return Err(not_on_the_cpu(tensor));
    };
    Ok(f(
        &cpu.as_slice::<T>()?[layout.start_offset()..],
        layout.stride(),
    ))
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
            let nothing = |_: &Tensor, _: &Tensor, _: &Tensor| Ok(Vec::new());
            unary("whole", tensor, Vec::<T>::new(), tensor.shape(), nothing)
        });
    }
    let (shape, device) = (tensor.shape(), tensor.device());
    Ok(Tensor::zeros(shape, tensor.dtype(), device)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn views_are_lent_with_their_strides() -> Result<()> {
        let x = Tensor::arange(0f32, 24., &Device::Cpu)?.reshape((2, 3, 4))?;
        let read = |x: &Tensor| with_strides(x, |x: &[f32], strides| (x[0], strides.to_vec()));
        let view = x.narrow(1, 1, 2)?.transpose(0, 1)?;
        assert_eq!(read(&view)?, (4.0, vec![4, 12, 1]));
        let across = x.narrow(0, 1, 1)?.transpose(1, 2)?;
        assert_eq!(read(&across)?, (12.0, vec![12, 3, 1]));
        assert_eq!(read(&x.narrow(0, 0, 1)?.sum_all()?.reshape(1)?)?.1, [1]);
        Ok(())
    }
}
