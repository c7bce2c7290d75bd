//! Matrices of a case as rows of numbers, and gradients by central differences.

use anyhow::ensure;
use dml::candle_core::{Device, Tensor};

use crate::case::Case;

/// The rows of the matrix of that name.
pub(super) fn rows(case: &Case, name: &str) -> anyhow::Result<Vec<Vec<f64>>> {
    Ok(case.require(name)?.to_vec2()?)
}

/// The gradient of `function` at `rows`.
pub(super) fn gradient(
    rows: &[Vec<f64>],
    function: impl Fn(&[Vec<f64>]) -> f64,
) -> anyhow::Result<Tensor> {
    const STEP: f64 = 1e-6;
    let mut moved = rows.to_vec();
    let mut gradient = rows.to_vec();
    for (i, row) in rows.iter().enumerate() {
        for (k, x) in row.iter().enumerate() {
            let mut at = |x: f64| {
                moved[i][k] = x;
                function(&moved)
            };
            gradient[i][k] = (at(x + STEP) - at(x - STEP)) / (2.0 * STEP);
            moved[i][k] = *x;
        }
    }
    Ok(Tensor::new(gradient, &Device::Cpu)?)
}

/// One number.
pub(super) fn number(value: f64) -> anyhow::Result<Tensor> {
    Ok(Tensor::new(value, &Device::Cpu)?)
}

/// `Σ x y`.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// `x · y / (|x| |y|)`.
pub(super) fn cosine(x: &[f64], y: &[f64]) -> f64 {
    dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()
}

/// `Σ (x − y)²`.
pub(super) fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum()
}

/// Refuses a case whose terms are not reduced by their mean.
pub(super) fn ensure_mean_reducer(case: &Case, reducer: &serde_json::Value) -> anyhow::Result<()> {
    ensure!(
        reducer.is_null() || reducer["name"] == "MeanReducer",
        "{}: expected MeanReducer, got {reducer}",
        case.path
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_the_function() -> anyhow::Result<()> {
        let rows = [vec![1.0, 2.0], vec![-3.0, 0.5]];
        let gradient = gradient(&rows, |rows| dot(&rows[0], &rows[1]))?;
        let gradient: Vec<f64> = gradient.flatten_all()?.to_vec1()?;
        for (got, want) in gradient.iter().zip([-3.0, 0.5, 1.0, 2.0]) {
            assert!((got - want).abs() < 1e-8, "{got} {want}");
        }
        Ok(())
    }
}
