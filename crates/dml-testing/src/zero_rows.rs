//! Gradients of rows of zeros.
//!
//! The reference divides a row by at least 1e-12, so the gradient of a row of zeros that a component normalises is 10¹²
//! times the one that reaches it, which overflows in half precision and moves the row by millions in the first step.
//! Here such a row has no part in the gradient of what was normalised.

use anyhow::ensure;
use dml::candle_core::{Device, Tensor};

use crate::case::{Case, elements};

/// Only a division by 1e-12 makes a gradient as large as this.
const DIVIDED: f64 = 1e5;
/// What of such a gradient may be left: what reaches the row past the division.
const LEFT: f64 = 1e-6;

/// What has to come out as the gradient `name`: as the file says, but where a row of the input is 0 and the reference has
/// divided by 1e-12, what was `got`.
///
/// # Errors
/// A sentence that names the row, if what was got there is no gradient without that division.
pub(crate) fn without_division(
    case: &Case,
    name: &str,
    got: &Tensor,
    want: Tensor,
) -> anyhow::Result<Tensor> {
    let input = name
        .strip_prefix("grad.")
        .and_then(|of| case.get(&format!("in.{of}")));
    let (Some(input), &[_, dim]) = (input, want.dims()) else {
        return Ok(want);
    };
    if input.dims() != want.dims() || got.dims() != want.dims() || dim == 0 {
        return Ok(want);
    }
    let (input, got): (Vec<f64>, Vec<f64>) = (elements(input)?, elements(got)?);
    let mut values: Vec<f64> = elements(&want)?;
    let largest = |row: &[f64]| row.iter().fold(0.0, |top: f64, x| top.max(x.abs()));
    let rows = values.chunks_exact_mut(dim).zip(got.chunks_exact(dim));
    for (i, ((want, got), input)) in rows.zip(input.chunks_exact(dim)).enumerate() {
        let divided = largest(want);
        if divided <= DIVIDED || input.iter().any(|x| *x != 0.0) {
            continue;
        }
        ensure!(
            got.iter().all(|x| x.abs() <= LEFT * divided),
            "{name}, row {i} of zeros: expected no division by 1e-12, got {got:?}"
        );
        want.copy_from_slice(got);
    }
    Ok(Tensor::from_vec(values, want.shape(), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed_cases;

    #[test]
    fn only_rows_of_zeros_that_were_divided_are_replaced() -> anyhow::Result<()> {
        let cases = packed_cases()?;
        let case = cases
            .iter()
            .find(|case| case.path == "distance/LpDistance/l2-zero-row");
        let case = case.expect("a case with a row of zeros");
        let name = "grad.embeddings";
        let want = case.expected()[name].clone();
        let dim = want.dims()[1];
        let row = case.real("in.embeddings")?;
        let row = row
            .chunks_exact(dim)
            .position(|row| row.iter().all(|x| *x == 0.0));
        let row = row.expect("a row of zeros");
        let mut values: Vec<f64> = elements(&want)?;
        values[row * dim..][..dim].fill(0.25);
        let got = Tensor::from_slice(&values, want.shape(), &Device::Cpu)?;
        let held = without_division(case, name, &got, want.clone())?;
        assert_eq!(elements::<f64>(&held)?, values);
        let error = without_division(case, name, &want, want.clone()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("row {row} of zeros")), "{error}");
        // Another shape is left to the comparison.
        let other = Tensor::new(&[[1.0, 2.0]], &Device::Cpu)?;
        let held = without_division(case, name, &other, want.clone())?;
        assert_eq!(elements::<f64>(&held)?, elements::<f64>(&want)?);
        Ok(())
    }
}
