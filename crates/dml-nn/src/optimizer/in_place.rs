//! Updates of a parameter in the memory of its tensor, as one of Candle's in-place operations.

use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use dml_core::Result;
use dml_core::autograd::Element;

use super::parameter_states::Update;

/// Applies an update to a contiguous parameter on the CPU and to its buffers.
pub(super) fn update_in_place<T: CpuElement, U: Update>(
    var: &Var,
    gradient: &Tensor,
    update: &U,
    buffers: &mut [Vec<T>],
) -> Result<()> {
    let operation = UpdateInPlace {
        update,
        buffers: Mutex::new(buffers.iter_mut().map(Vec::as_mut_slice).collect()),
    };
    Ok(var.inplace_op2(&gradient.detach().contiguous()?, &operation)?)
}

/// An element type of which the memory of a tensor on the CPU can be borrowed to be written.
pub(super) trait CpuElement: Element {
    /// The memory; `None` if it holds another element type.
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! cpu_element {
    ($t:ty, $variant:ident) => {
        impl CpuElement for $t {
            fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(values) => Some(values),
                    _ => None,
                }
            }
        }
    };
}
cpu_element!(f32, F32);
cpu_element!(f64, F64);

struct UpdateInPlace<'a, T, U> {
    update: &'a U,
    /// Candle calls operations by shared reference, and the update writes the buffers.
    buffers: Mutex<Vec<&'a mut [T]>>,
}

impl<T: CpuElement, U: Update> InplaceOp2 for UpdateInPlace<'_, T, U> {
    fn name(&self) -> &'static str {
        "optimizer_step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        parameter_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (Some(written), Some(read)) = (
            parameter_layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("optimizer_step: parameter and gradient must be contiguous");
        };
        let Some(parameter) = T::slice_mut(parameter) else {
            candle_core::bail!("optimizer_step: the parameter has another element type");
        };
        let parameter = &mut parameter[written.0..written.1];
        let gradient = &gradient.as_slice::<T>()?[read.0..read.1];
        let Ok(mut buffers) = self.buffers.lock() else {
            candle_core::bail!("optimizer_step: an earlier step of this parameter failed");
        };
        self.update.apply(parameter, gradient, &mut buffers);
        Ok(())
    }
}
