//! The kernels for CUDA: their text compiles for GPUs, and on the host it computes what the CPU's kernels do.

mod images;
mod search;
mod sources;
mod tensors;
mod triplets;

use std::sync::Arc;

use dml::candle_core::{DType, Device, Tensor, Var};
use dml::core::autograd::cuda::with_runner;
use dml_testing::HostKernels;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `[rows, columns]` of numbers from −2 to 2.
fn draw(seed: u64, rows: usize, columns: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..rows * columns)
        .map(|_| rng.random_range(-2.0..2.0))
        .collect()
}

fn var(values: &[f64], shape: &[usize], dtype: DType) -> Var {
    let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// `f` as on a CUDA device; `None` where the kernels can't be compiled for the host.
fn on_cuda<R>(f: impl FnOnce() -> R) -> Option<R> {
    let kernels: Arc<HostKernels> = HostKernels::get().unwrap()?;
    Some(with_runner(kernels, f))
}

/// The value of `f`, and the gradient of each variable of an uneven sum of it.
fn outcome(vars: &[&Var], f: &dyn Fn() -> dml::Result<Tensor>) -> Vec<Vec<f64>> {
    let value = f().unwrap();
    let weights: Vec<f64> = (0..value.elem_count())
        .map(|i| 0.3 + (i as f64 * 0.7).sin())
        .collect();
    let weights = Tensor::from_vec(weights, value.shape(), &Device::Cpu).unwrap();
    let weights = weights.to_dtype(value.dtype()).unwrap();
    let sum = (&value * weights).unwrap().sum_all().unwrap();
    let store = sum.backward().unwrap();
    let mut outcome = vec![numbers(&value)];
    for var in vars {
        let gradient = store.get(var.as_tensor());
        outcome.push(gradient.map_or_else(|| vec![0.0; var.elem_count()], numbers));
    }
    outcome
}

/// Holds what `f` gives on a CUDA device to what it gives on the CPU.
fn assert_alike(what: &str, vars: &[&Var], f: &dyn Fn() -> dml::Result<Tensor>) {
    let on_cpu = outcome(vars, f);
    let Some(on_cuda) = on_cuda(|| outcome(vars, f)) else {
        return;
    };
    let tolerance = match vars[0].dtype() {
        DType::F64 => 1e-10,
        _ => 2e-5,
    };
    for (which, (got, want)) in on_cuda.iter().zip(&on_cpu).enumerate() {
        assert_eq!(got.len(), want.len(), "{what}");
        let size = want.iter().fold(1.0, |size, x| f64::max(size, x.abs()));
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            assert!(
                (got - want).abs() <= tolerance * size
                    || (got.is_nan() && want.is_nan())
                    || got == want,
                "{what}: {which}[{i}]: {got} on CUDA, {want} on the CPU"
            );
        }
    }
}
