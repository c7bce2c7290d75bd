//! The kernels of [`dml_kernels::cuda`] on tensors.
//!
//! [`has_kernel`] says whether a tensor can be given to a kernel, [`run`] launches one, and [`node()`](super::node()) makes its
//! result a node of Candle's graph. Without the feature `cuda` no tensor has a kernel. NVRTC compiles the text of a kernel
//! at its first launch, once a process and kind of device.
//!
//! Operations without a kernel take the composite form of Candle's operations, which stays on the device.

#[cfg(feature = "cuda")]
mod device;
pub(crate) mod euclidean;
pub(crate) mod log_sum_exp;
mod triplet_sum;

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use dml_kernels::cuda::{Buffer, Launch, Precision};

use crate::autograd::without_kernels;
use crate::{Error, Result, check};

pub use triplet_sum::{TripletMatrices, triplet_count, triplet_sum};

/// Computes launches in place of a GPU, for tests on machines without one.
pub trait Runner: Debug + Send + Sync {
    /// The outputs of a launch, each a list of its own; inputs are contiguous and fit the launch.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it can't be done.
    fn run(&self, launch: &Launch, precision: Precision, inputs: &[Tensor]) -> Result<Vec<Tensor>>;
}

thread_local! {
    static RUNNER: RefCell<Option<Arc<dyn Runner>>> = const { RefCell::new(None) };
}

/// Runs `f` as on a CUDA device whose kernels `runner` computes: tensors of the CPU take the kernels of CUDA where there
/// is one, and else the composite form.
///
/// For tests that hold the kernels, and what surrounds them, to the numbers of the CPU.
pub fn with_runner<R>(runner: Arc<dyn Runner>, f: impl FnOnce() -> R) -> R {
    /// Restores what was, also when `f` panics.
    struct Restore(Option<Arc<dyn Runner>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUNNER.set(self.0.take());
        }
    }
    let _restore = Restore(RUNNER.replace(Some(runner)));
    without_kernels(f)
}

/// Whether the kernels can take this tensor: `f32` or `f64` on a CUDA device, with something in it.
#[must_use]
pub fn has_kernel(tensor: &Tensor) -> bool {
    let device = tensor.device();
    let is_in_place = (cfg!(feature = "cuda") && device.is_cuda())
        || (device.is_cpu() && RUNNER.with_borrow(Option::is_some));
    is_in_place && matches!(tensor.dtype(), DType::F32 | DType::F64) && tensor.elem_count() > 0
}

/// Launches a kernel: its outputs, each a list `[len]` outside of the graph.
///
/// # Errors
/// [`Error::Length`] and [`Error::DType`] for inputs that do not fit the launch, [`Error::Device`] for tensors that are
/// not on a CUDA device, [`Error::Tensor`] for what CUDA refuses.
pub fn run(launch: &Launch, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let (inputs, precision) = checked(launch, inputs)?;
    if let Some(runner) = RUNNER.with_borrow(Clone::clone) {
        return runner.run(launch, precision, &inputs);
    }
    #[cfg(feature = "cuda")]
    if let Some(candle_core::Device::Cuda(device)) = inputs.first().map(Tensor::device) {
        return device::run(device, launch, precision, &inputs);
    }
    Err(Error::Device {
        arg: "inputs",
        expected: "a CUDA device".to_owned(),
        got: format!("{:?}", inputs.first().map(|x| x.device().location())),
    })
}

/// The inputs row by row, if they are what the launch reads, and the precision of its kernel.
fn checked(launch: &Launch, inputs: &[&Tensor]) -> Result<(Vec<Tensor>, Precision)> {
    check::length("inputs", launch.inputs.len(), inputs.len())?;
    let mut precision = None;
    for (input, extent) in inputs.iter().zip(&launch.inputs) {
        check::length("inputs", extent.len, input.elem_count())?;
        let fits = match (extent.buffer, input.dtype()) {
            (Buffer::Real, DType::F32) => {
                *precision.get_or_insert(Precision::F32) == Precision::F32
            }
            (Buffer::Real, DType::F64) => {
                *precision.get_or_insert(Precision::F64) == Precision::F64
            }
            (Buffer::F64, DType::F64)
            | (Buffer::I64, DType::I64)
            | (Buffer::U32, DType::U32)
            | (Buffer::U8, DType::U8) => true,
            _ => false,
        };
        let expected = "the element types of the kernel, of one precision";
        check::dtype(fits, "inputs", input, expected)?;
    }
    let inputs: candle_core::Result<Vec<Tensor>> =
        inputs.iter().map(|x| x.detach().contiguous()).collect();
    Ok((inputs?, precision.unwrap_or(Precision::F32)))
}

/// As [`run`], for a launch with so many outputs.
///
/// # Errors
/// As [`run`], and [`Error::Length`] if the launch has another number of outputs.
pub fn run_for<const N: usize>(launch: &Launch, inputs: &[&Tensor]) -> Result<[Tensor; N]> {
    let outputs = run(launch, inputs)?;
    let got = outputs.len();
    outputs.try_into().map_err(|_| Error::Length {
        arg: "outputs",
        expected: N,
        got,
    })
}

#[cfg(test)]
mod tests;
