//! A value that a kernel has computed, as a node of Candle's graph.

use std::fmt;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Shape, Storage, Tensor};

use crate::Result;

type UnaryBackward = dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync;
type BinaryBackward = dyn Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)>
    + Send
    + Sync;

/// The node of a value that is known already; `backward(input, value, gradient)` gives the gradient of the input.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
pub fn unary(
    name: &'static str,
    input: &Tensor,
    value: Tensor,
    backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !input.track_op() {
        return Ok(value);
    }
    Ok(input.apply_op1(Unary {
        name,
        value,
        backward: Box::new(backward),
    })?)
}

/// The node of a value of two inputs; `backward(left, right, value, gradient)` gives the gradient of each that
/// needs one.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if Candle cannot do it.
pub fn binary(
    name: &'static str,
    left: &Tensor,
    right: &Tensor,
    value: Tensor,
    backward: impl Fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)>
    + Send
    + Sync
    + 'static,
) -> Result<Tensor> {
    if !left.track_op() && !right.track_op() {
        return Ok(value);
    }
    Ok(left.apply_op2(
        right,
        Binary {
            name,
            value,
            backward: Box::new(backward),
        },
    )?)
}

struct Unary {
    name: &'static str,
    value: Tensor,
    backward: Box<UnaryBackward>,
}

struct Binary {
    name: &'static str,
    value: Tensor,
    backward: Box<BinaryBackward>,
}

/// Candle wants memory of the node's own: a copy within the device.
fn on_cpu(value: &Tensor) -> candle_core::Result<(CpuStorage, Shape)> {
    let (storage, layout) = value.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, value.shape().clone())),
        _ => Err(candle_core::Error::Msg(
            "the value is not on the CPU".to_owned(),
        )),
    }
}

fn on_cuda(value: &Tensor) -> candle_core::Result<(CudaStorage, Shape)> {
    let (storage, layout) = value.storage_and_layout();
    match &*storage {
        Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, value.shape().clone())),
        _ => Err(candle_core::Error::Msg(
            "the value is not on a CUDA device".to_owned(),
        )),
    }
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

impl CustomOp1 for Unary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        on_cpu(&self.value)
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        on_cuda(&self.value)
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
        on_cpu(&self.value)
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        on_cuda(&self.value)
    }

    fn bwd(
        &self,
        left: &Tensor,
        right: &Tensor,
        value: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((self.backward)(left, right, value, gradient)?)
    }
}
