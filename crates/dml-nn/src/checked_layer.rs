//! What the tests hold a layer to: numbers from PyTorch, central differences, its composite form, threads and views.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::Result;
use dml_core::autograd::without_kernels;

use crate::Layer;

/// Numbers without a pattern. In Python:
///
/// ```text
/// def num(n): return torch.tensor([((i*29%83)/41.0-1.0)*(1.0+i%3) for i in range(n)], dtype=torch.float64)
/// ```
pub(crate) fn numbers(count: usize) -> Vec<f64> {
    let number = |i: usize| ((i * 29 % 83) as f64 / 41.0 - 1.0) * (1.0 + (i % 3) as f64);
    (0..count).map(number).collect()
}

/// `numbers` as an input of that shape.
pub(crate) fn input(shape: &[usize]) -> Result<Var> {
    let count = shape.iter().product();
    Ok(Var::from_vec(numbers(count), shape, &Device::Cpu)?)
}

/// γ of 0.5, 0.8, …, or β of −0.25, 0.05, ….
pub(crate) fn row(first: f64, count: usize) -> Result<Var> {
    let row: Vec<f64> = (0..count).map(|i| 0.3 * i as f64 + first).collect();
    Ok(Var::from_vec(row, count, &Device::Cpu)?)
}

/// The factors whose product with the output is summed and differentiated: `num(n + 7)[7:]`.
fn factors(y: &Tensor) -> Result<Tensor> {
    let count = y.elem_count();
    let factors = numbers(count + 7)[7..].to_vec();
    let factors = Tensor::from_vec(factors, y.shape(), y.device())?;
    Ok(factors.to_dtype(y.dtype())?)
}

/// Output, and gradients of the input and of the parameters.
pub(crate) fn run(layer: &dyn Layer, x: &Tensor, train: bool) -> Result<Vec<Vec<f64>>> {
    let y = layer.forward_t(x, train)?;
    assert_eq!(y.dtype(), x.dtype());
    let store = (&y * factors(&y)?)?
        .to_dtype(DType::F64)?
        .sum_all()?
        .backward()?;
    let mut all = vec![y];
    let parameters = layer.parameters();
    let leaves = parameters.iter().map(|(_, var)| var.as_tensor());
    for leaf in [x].into_iter().chain(leaves) {
        all.push(store.get(leaf).expect("a gradient of every leaf").clone());
    }
    let flat = |x: &Tensor| x.to_dtype(DType::F64)?.flatten_all()?.to_vec1();
    Ok(all.iter().map(flat).collect::<candle_core::Result<_>>()?)
}

#[track_caller]
pub(crate) fn assert_close(got: &[Vec<f64>], wanted: &[Vec<f64>], limit: f64) {
    assert_eq!(got.len(), wanted.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert_eq!(got.len(), wanted.len());
        for (a, b) in got.iter().zip(wanted) {
            let near = (a - b).abs() <= limit * b.abs().max(1.0);
            assert!(near || a.is_nan() && b.is_nan(), "{i}: {got:?}, {wanted:?}");
        }
    }
}

/// Holds gradients to central differences and both forms to each other, in double precision; then single precision, half
/// precision, a view and a single thread to the result in double precision.
#[track_caller]
pub(crate) fn check(
    make: impl Fn(DType) -> Result<Box<dyn Layer>>,
    shape: &[usize],
    train: bool,
) -> Result<()> {
    let layer = make(DType::F64)?;
    let x = input(shape)?;
    let fused = run(&*layer, &x, train)?;
    let composite = without_kernels(|| run(&*layer, &x, train))?;
    assert_close(&fused, &composite, 1e-10);

    let parameters = layer.parameters();
    let leaves = [&x]
        .into_iter()
        .chain(parameters.iter().map(|(_, var)| var));
    for (leaf, gradient) in leaves.zip(&fused[1..]) {
        let own = leaf.as_detached_tensor().copy()?;
        let values = own.flatten_all()?.to_vec1::<f64>()?;
        for i in (0..values.len()).step_by(values.len().div_ceil(25)) {
            let at = |step: f64| -> Result<f64> {
                let mut values = values.clone();
                values[i] += step;
                leaf.set(&Tensor::from_vec(values, leaf.shape(), leaf.device())?)?;
                let y = layer.forward_t(&x, train)?;
                Ok((&y * factors(&y)?)?.sum_all()?.to_scalar()?)
            };
            let difference = (at(1e-5)? - at(-1e-5)?) / 2e-5;
            let gap = (difference - gradient[i]).abs();
            assert!(
                gap < 1e-5 * difference.abs().max(1.0),
                "{difference}, {}",
                gradient[i]
            );
        }
        leaf.set(&own)?;
    }

    for (dtype, limit) in [(DType::F32, 2e-5), (DType::BF16, 0.15), (DType::F16, 0.02)] {
        let layer = make(dtype)?;
        let x = Var::from_tensor(&x.to_dtype(dtype)?)?;
        let fused = run(&*layer, &x, train)?;
        let composite = without_kernels(|| run(&*layer, &x, train))?;
        assert_close(&fused, &composite, limit);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool");
        assert_eq!(pool.install(|| run(&*layer, &x, train))?, fused);
    }

    let turned = x
        .transpose(0, x.rank() - 1)?
        .contiguous()?
        .transpose(0, x.rank() - 1)?;
    let turned = layer
        .forward_t(&turned, train)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    assert_close(&[turned], &fused[..1], 1e-10);
    Ok(())
}
