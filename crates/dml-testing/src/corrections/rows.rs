//! Matrices of a case as rows of numbers, and gradients by central differences.

use anyhow::{Context, ensure};

use crate::case::{Array, Case, Data};

/// A matrix `[rows, dim]` in row-major order.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) values: Vec<f64>,
    pub(super) dim: usize,
}

impl Rows {
    /// The tensor of that name.
    pub(super) fn of(case: &Case, name: &str) -> anyhow::Result<Self> {
        let array = case
            .get(name)
            .with_context(|| format!("{}: no {name}", case.path))?;
        ensure!(
            array.shape.len() == 2,
            "{name}: expected a matrix, got shape {:?}",
            array.shape
        );
        Ok(Self {
            values: array.to_real(),
            dim: array.shape[1],
        })
    }

    /// The rows in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// One row.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// The gradient of `function` at these rows.
    pub(super) fn gradient(&self, function: impl Fn(&Self) -> f64) -> Array {
        const STEP: f64 = 1e-6;
        let mut moved = self.clone();
        let mut gradient = Vec::with_capacity(self.values.len());
        for (i, x) in self.values.iter().enumerate() {
            let mut at = |x: f64| {
                moved.values[i] = x;
                function(&moved)
            };
            gradient.push((at(x + STEP) - at(x - STEP)) / (2.0 * STEP));
            moved.values[i] = *x;
        }
        Array {
            shape: vec![self.len(), self.dim],
            data: Data::Real(gradient),
        }
    }
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
    fn gradients_are_those_of_the_function() {
        let rows = Rows {
            values: vec![1.0, 2.0, -3.0, 0.5],
            dim: 2,
        };
        let gradient = rows
            .gradient(|rows| dot(rows.row(0), rows.row(1)))
            .to_real();
        for (got, want) in gradient.iter().zip([-3.0, 0.5, 1.0, 2.0]) {
            assert!((got - want).abs() < 1e-8, "{got} {want}");
        }
    }
}
