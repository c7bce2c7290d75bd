//! By hand, and the kernel against Candle's operations.

use candle_core::{DType, Device, Var};
use dml_core::autograd::without_kernels;

use super::*;

/// φ(x) = 2x − x³.
#[derive(Clone, Copy, Debug)]
struct Bent;
impl Margin for Bent {
    fn own<E: Expression>(&self, x: E) -> E {
        x.clone() * 2.0 - x.clone() * x.clone() * x
    }
}

fn flat(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

/// The values, and the gradients of matrix, rows and classes, one after the other.
fn numbers(dtype: DType, with: [bool; 2]) -> Result<Vec<f64>> {
    let var = |n: usize, shape: &[usize]| -> Result<Var> {
        let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.9).cos() + 0.1).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(Var::from_tensor(&tensor)?)
    };
    let (matrix, rows, classes) = (var(12, &[3, 4])?, var(3, &[3])?, var(4, &[4])?);
    let logits = ClassLogits {
        rows: with[0].then(|| rows.as_tensor().clone()),
        classes: with[1].then(|| classes.as_tensor().clone()),
        ..ClassLogits::new(matrix.as_tensor().clone(), 3.0)
    };
    let values = logits.cross_entropy(&[3, 0, 1], &Bent)?;
    let weights = Tensor::new(&[1f64, -2., 0.5], &Device::Cpu)?.to_dtype(dtype)?;
    let store = (&values * weights)?.sum_all()?.backward()?;
    let mut numbers = flat(&values)?;
    for (var, used) in [(&matrix, true), (&rows, with[0]), (&classes, with[1])] {
        match store.get(var.as_tensor()) {
            Some(gradient) => numbers.extend(flat(gradient)?),
            None => assert!(!used),
        }
    }
    Ok(numbers)
}

#[test]
fn the_kernel_agrees_with_the_composite_form() -> Result<()> {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
        for with in [[false, false], [true, false], [false, true], [true, true]] {
            let fused = numbers(dtype, with)?;
            let composite = without_kernels(|| numbers(dtype, with))?;
            assert_eq!(fused.len(), composite.len());
            for (a, b) in fused.iter().zip(&composite) {
                assert!(
                    (a - b).abs() < tolerance * (1.0 + b.abs()),
                    "{dtype:?} {with:?}: {a} {b}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_margin_lowers_the_own_logit() -> Result<()> {
    let matrix = Var::new(&[[1f64, 0.5]], &Device::Cpu)?;
    let value =
        ClassLogits::new(matrix.as_tensor().clone(), 2.0).cross_entropy(&[0], &Subtracted(0.5))?;
    // Both logits are 1.
    assert!((flat(&value)?[0] - 2f64.ln()).abs() < 1e-12);
    let store = value.sum_all()?.backward()?;
    let gradient = flat(store.get(matrix.as_tensor()).unwrap())?;
    assert!((gradient[0] + 1.0).abs() < 1e-12 && (gradient[1] - 1.0).abs() < 1e-12);
    let one_class = Tensor::new(&[[7f64]], &Device::Cpu)?;
    let value = ClassLogits::new(one_class, 2.0).cross_entropy(&[0], &Subtracted(0.5))?;
    assert_eq!(flat(&value)?, [0.0]);
    Ok(())
}
