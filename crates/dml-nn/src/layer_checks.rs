//! Assertions that tests of layers share.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use dml_core::Result;
use dml_core::autograd::without_kernels;

use crate::Layer;

/// A variable of this shape with a few dozen different numbers in [−1, 1].
pub(crate) fn numbers(shape: &[usize]) -> Var {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|i| ((i * 37 + i / 7 * 11) % 61) as f64 / 30.0 - 1.0)
        .collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&values).unwrap()
}

/// (7 i mod 11) / 4 − 1: the numbers of the examples that were computed with PyTorch.
pub(crate) fn sevens(shape: &[usize]) -> Var {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|i| (i * 7 % 11) as f64 / 4.0 - 1.0)
        .collect();
    let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    Var::from_tensor(&values).unwrap()
}

pub(crate) fn list(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// `Σ (i + 1) y_i`, in which every value counts differently.
pub(crate) fn counted(y: &Tensor) -> Tensor {
    let weights: Vec<f64> = (0..y.elem_count()).map(|i| (i + 1) as f64).collect();
    let weights = Tensor::from_vec(weights, y.shape(), y.device()).unwrap();
    let weights = weights.to_dtype(y.dtype()).unwrap();
    (y * weights).unwrap().sum_all().unwrap()
}

/// The gradients of [`counted`].
pub(crate) fn gradients(y: &Tensor) -> GradStore {
    counted(y).backward().unwrap()
}

/// Asserts that two lists agree to an absolute tolerance.
#[track_caller]
pub(crate) fn close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance, "at {i}: {a} and {b}");
    }
}

/// The input and the parameters of a layer.
fn leaves(layer: &dyn Layer, input: &Var) -> Vec<(String, Var)> {
    let mut leaves = vec![("input".to_owned(), input.clone())];
    leaves.extend(layer.parameters());
    leaves
}

/// Asserts that the gradients of input and parameters, in double precision, are the limits of central differences.
#[track_caller]
pub(crate) fn follows_differences(layer: &dyn Layer, input: &Var) -> Result<()> {
    let store = gradients(&layer.forward_t(input, true)?);
    let h = 1e-6;
    for (name, var) in leaves(layer, input) {
        let gradient = list(store.get(&var).unwrap());
        let values = list(&var);
        for (i, gradient) in gradient.iter().enumerate() {
            let at = |x: f64| -> Result<f64> {
                let mut values = values.clone();
                values[i] = x;
                var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
                Ok(counted(&layer.forward_t(input, true)?).to_scalar()?)
            };
            let difference = (at(values[i] + h)? - at(values[i] - h)?) / (2.0 * h);
            at(values[i])?;
            let error = (gradient - difference).abs();
            assert!(
                error < 1e-5 * (1.0 + difference.abs()),
                "{name} {i}: {gradient} {difference}"
            );
        }
    }
    Ok(())
}

/// Asserts that kernels and Candle's operations give the same value and gradients, for the input and for a view.
#[track_caller]
pub(crate) fn forms_agree(layer: &dyn Layer, input: &Var) -> Result<()> {
    let swapped =
        |x: &Tensor| -> Result<Tensor> { Ok(x.transpose(2, 3)?.contiguous()?.transpose(2, 3)?) };
    let fused = layer.forward_t(input, true)?;
    let of_view = layer.forward_t(&swapped(input)?, true)?;
    let composite = without_kernels(|| layer.forward_t(input, true))?;
    assert_eq!(fused.dims(), composite.dims());
    close(&list(&fused), &list(&of_view), 0.0);
    close(&list(&fused), &list(&composite), 1e-12);
    let stores = [gradients(&fused), gradients(&of_view)];
    let composite = without_kernels(|| gradients(&composite));
    for (_, leaf) in leaves(layer, input) {
        let of = |store: &GradStore| list(store.get(&leaf).unwrap());
        close(&of(&stores[0]), &of(&stores[1]), 1e-12);
        close(&of(&stores[0]), &of(&composite), 1e-9);
    }
    Ok(())
}
