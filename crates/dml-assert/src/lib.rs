//! Assertions for unit tests of the role crates: a function that has a kernel and a composite form.

use dml_core::autograd::without_kernels;
use dml_core::candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Holds the value and the gradient of `f` at random entries in `[-2, 2)` to those of its composite form, and the gradient
/// to central differences.
///
/// # Panics
/// If they differ, or `f` fails.
#[track_caller]
pub fn assert_forms_agree(
    seed: u64,
    shape: (usize, usize),
    f: impl Fn(&Tensor) -> dml_core::Result<Tensor>,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.0 * shape.1;
    let entries: Vec<f64> = (0..count).map(|_| rng.random_range(-2.0..2.0)).collect();
    let at = |entries: &[f64]| value_and_gradient(entries, shape, &f).expect("a value");
    let (value, gradient) = at(&entries);
    let (composite, composite_gradient) = without_kernels(|| at(&entries));
    assert_close("value", &value, &composite, 1e-10);
    assert_close("gradient", &gradient, &composite_gradient, 1e-9);
    for k in (0..count).step_by(3) {
        let moved = |shift: f64| {
            let mut entries = entries.clone();
            entries[k] += shift;
            weighted(&at(&entries).0)
        };
        let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        let what = format!("gradient of entry {k} and central difference");
        assert_close(&what, &gradient[k..=k], &[difference], 1e-5);
    }
}

/// A fixed uneven weight of each entry of a value.
fn weight(i: usize) -> f64 {
    0.3 + (i as f64 * 0.7).sin()
}

fn weighted(value: &[f64]) -> f64 {
    value.iter().enumerate().map(|(i, x)| weight(i) * x).sum()
}

/// The value of `f`, and the gradient of its weighted sum.
fn value_and_gradient(
    entries: &[f64],
    shape: (usize, usize),
    f: &impl Fn(&Tensor) -> dml_core::Result<Tensor>,
) -> dml_core::Result<(Vec<f64>, Vec<f64>)> {
    let flat = |x: &Tensor| x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let x = Var::from_tensor(&Tensor::from_slice(entries, shape, &Device::Cpu)?)?;
    let value = f(&x)?;
    let weights: Vec<f64> = (0..value.elem_count()).map(weight).collect();
    let weights = Tensor::from_vec(weights, value.shape(), &Device::Cpu)?;
    let gradients = (&value * weights)?.sum_all()?.backward()?;
    let gradient = gradients.get(x.as_tensor());
    let gradient = gradient.map_or_else(|| Ok(vec![0.0; entries.len()]), flat)?;
    Ok((flat(&value)?, gradient))
}

#[track_caller]
fn assert_close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(
            error <= tolerance * (1.0 + want.abs()),
            "{what} {i}: {got}, {want}"
        );
    }
}
