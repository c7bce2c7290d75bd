//! Launches on a GPU: compiles the text at run time, hands the arguments on, wraps what was written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda::cudarc::driver::{CudaSlice, CudaView, LaunchConfig, PushKernelArg};
use candle_core::cuda::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda::{CudaDType, CudaDevice};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Storage, Tensor};
use dml_kernels::cuda::{BLOCK, Buffer, Launch, Number, Precision, Source};

use crate::Result;

/// Compiled texts by the name of the source and the compute capability of the device.
type Texts = HashMap<(&'static str, (i32, i32)), Arc<str>>;

/// What has been compiled in this process.
static COMPILED: Mutex<Option<Texts>> = Mutex::new(None);

fn failed(what: &str, why: impl std::fmt::Display) -> candle_core::Error {
    candle_core::Error::Msg(format!("{what}: {why}"))
}

/// The text compiled for that device.
fn compiled(source: &'static Source, device: &CudaDevice) -> candle_core::Result<Arc<str>> {
    let stream = device.cuda_stream();
    let capability = stream
        .context()
        .compute_capability()
        .map_err(|why| failed("asking for the compute capability", why))?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default();
    if let Some(ptx) = compiled.get(&(source.name, capability)) {
        return Ok(ptx.clone());
    }
    let (major, minor) = capability;
    let options = CompileOptions {
        options: vec![format!("--gpu-architecture=compute_{major}{minor}")],
        ..CompileOptions::default()
    };
    let ptx = compile_ptx_with_opts(source.for_device(), options)
        .map_err(|why| failed(source.name, format!("{why:?}")))?;
    let ptx: Arc<str> = ptx.to_src().into();
    compiled.insert((source.name, capability), ptx.clone());
    Ok(ptx)
}

/// Part of the memory of an input.
enum View<'a> {
    F32(CudaView<'a, f32>),
    F64(CudaView<'a, f64>),
    I64(CudaView<'a, i64>),
    U32(CudaView<'a, u32>),
    U8(CudaView<'a, u8>),
}

/// Memory of an output.
enum Slice {
    F32(CudaSlice<f32>),
    F64(CudaSlice<f64>),
    I64(CudaSlice<i64>),
    U32(CudaSlice<u32>),
    U8(CudaSlice<u8>),
}

/// A number as the kernel takes it.
enum Value {
    I64(i64),
    I32(i32),
    F32(f32),
    F64(f64),
}

impl Value {
    fn of(number: Number, precision: Precision) -> Self {
        match (number, precision) {
            (Number::Size(x), _) => Self::I64(x),
            (Number::Flags(x), _) => Self::I32(x),
            (Number::Real(x), Precision::F32) => Self::F32(x as f32),
            (Number::Real(x), Precision::F64) => Self::F64(x),
        }
    }
}

fn view<T: CudaDType>(
    storage: &CudaStorage,
    start: usize,
    len: usize,
) -> candle_core::Result<CudaView<'_, T>> {
    Ok(storage.as_cuda_slice::<T>()?.slice(start..start + len))
}

fn wrapped<T: CudaDType>(slice: CudaSlice<T>, len: usize, device: &CudaDevice) -> Tensor {
    let storage = CudaStorage::wrap_cuda_slice(slice, device.clone());
    Tensor::from_storage(Storage::Cuda(storage), len, BackpropOp::none(), false)
}

/// The outputs of a launch; the inputs are contiguous and fit it.
#[allow(unsafe_code)] // Each block below says why it is sound.
pub(super) fn run(
    device: &CudaDevice,
    launch: &Launch,
    precision: Precision,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>> {
    let ptx = compiled(launch.source, device)?;
    let function = device.get_or_load_custom_func(
        &launch.name(precision),
        &format!("dml_{}", launch.source.name),
        &ptx,
    )?;
    let memory: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
    let mut views = Vec::with_capacity(inputs.len());
    for ((storage, layout), extent) in memory.iter().zip(&launch.inputs) {
        let Storage::Cuda(storage) = &**storage else {
            let why = "expected every input on the device of the first";
            return Err(failed(launch.kernel, why).into());
        };
        let (start, len) = (layout.start_offset(), extent.len);
        views.push(match (extent.buffer, precision) {
            (Buffer::Real, Precision::F32) => View::F32(view(storage, start, len)?),
            (Buffer::Real, Precision::F64) | (Buffer::F64, _) => {
                View::F64(view(storage, start, len)?)
            }
            (Buffer::I64, _) => View::I64(view(storage, start, len)?),
            (Buffer::U32, _) => View::U32(view(storage, start, len)?),
            (Buffer::U8, _) => View::U8(view(storage, start, len)?),
        });
    }
    let mut slices = Vec::with_capacity(launch.outputs.len());
    for extent in &launch.outputs {
        let len = extent.len;
        // SAFETY: a kernel writes every number of its outputs before anybody reads them.
        slices.push(unsafe {
            match (extent.buffer, precision) {
                (Buffer::Real, Precision::F32) => Slice::F32(device.alloc(len)?),
                (Buffer::Real, Precision::F64) | (Buffer::F64, _) => Slice::F64(device.alloc(len)?),
                (Buffer::I64, _) => Slice::I64(device.alloc(len)?),
                (Buffer::U32, _) => Slice::U32(device.alloc(len)?),
                (Buffer::U8, _) => Slice::U8(device.alloc(len)?),
            }
        });
    }
    let numbers: Vec<Value> = launch
        .numbers
        .iter()
        .map(|number| Value::of(*number, precision))
        .collect();
    let blocks = u32::try_from(launch.blocks).map_err(|why| failed(launch.kernel, why))?;
    let mut arguments = function.builder();
    for view in &views {
        match view {
            View::F32(view) => arguments.arg(view),
            View::F64(view) => arguments.arg(view),
            View::I64(view) => arguments.arg(view),
            View::U32(view) => arguments.arg(view),
            View::U8(view) => arguments.arg(view),
        };
    }
    for slice in &mut slices {
        match slice {
            Slice::F32(slice) => arguments.arg(slice),
            Slice::F64(slice) => arguments.arg(slice),
            Slice::I64(slice) => arguments.arg(slice),
            Slice::U32(slice) => arguments.arg(slice),
            Slice::U8(slice) => arguments.arg(slice),
        };
    }
    for number in &numbers {
        match number {
            Value::I64(number) => arguments.arg(number),
            Value::I32(number) => arguments.arg(number),
            Value::F32(number) => arguments.arg(number),
            Value::F64(number) => arguments.arg(number),
        };
    }
    let config = LaunchConfig {
        grid_dim: (blocks, 1, 1),
        block_dim: (BLOCK as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are those of the kernel, in number, order, type and size: the same launch has run on the host
    // in the tests, where each argument is checked against the kernel's signature.
    unsafe { arguments.launch(config) }.map_err(|why| failed(launch.kernel, why))?;
    let lengths = launch.outputs.iter().map(|extent| extent.len);
    Ok(slices
        .into_iter()
        .zip(lengths)
        .map(|(slice, len)| match slice {
            Slice::F32(slice) => wrapped(slice, len, device),
            Slice::F64(slice) => wrapped(slice, len, device),
            Slice::I64(slice) => wrapped(slice, len, device),
            Slice::U32(slice) => wrapped(slice, len, device),
            Slice::U8(slice) => wrapped(slice, len, device),
        })
        .collect())
}
