//! What a loss makes of a few rows: the numbers that tests look at.

use dml_core::candle_core::{DType, Device, Tensor, Var};
use dml_core::{Batch, Loss, Result, Tuples};

/// Rows with gradient, in double precision.
pub(crate) fn rows<const N: usize, const D: usize>(values: &[[f64; D]; N]) -> Result<Var> {
    Ok(Var::new(values, &Device::Cpu)?)
}

/// The values of the first term of a loss, and the gradient of their sum with respect to `of`.
pub(crate) fn values_and_gradient(
    loss: &dyn Loss,
    batch: &Batch,
    tuples: &Tuples,
    of: &Var,
) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let terms = loss.terms(batch, tuples)?;
    let term = terms.iter().next().expect("a loss has a term");
    if term.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (values, _) = term.values()?;
    let gradients = values.sum_all()?.backward()?;
    let gradient = match gradients.get(of.as_tensor()) {
        Some(gradient) => gradient.clone(),
        None => of.zeros_like()?,
    };
    let wide = |x: &Tensor| x.to_dtype(DType::F64);
    Ok((
        wide(&values.flatten_all()?)?.to_vec1()?,
        wide(&gradient)?.to_vec2()?,
    ))
}

/// Whether numbers agree to a relative 1e-9.
#[track_caller]
pub(crate) fn assert_near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{got:?} {want:?}");
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{got:?} {want:?}");
    }
}

/// Points on the unit circle, by their angle in degrees.
pub(crate) fn circle<const N: usize>(degrees: [f64; N]) -> Result<Var> {
    rows(&degrees.map(|angle| [angle.to_radians().cos(), angle.to_radians().sin()]))
}
