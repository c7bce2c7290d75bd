//! What the normalisations with fixed formulas (rows, groups of channels, pixels) have in common.

use dml_core::kernels::Real;

/// A normalisation of slices: `y = x̂ γ + β` with statistics of the input itself.
pub(crate) trait Normalization: Copy + Send + Sync + 'static {
    /// y, given x, γ and β.
    ///
    /// # Panics
    /// If a length does not fit.
    fn forward<T: Real>(self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T>;

    /// The gradients, given x, the gradient of y, and γ.
    ///
    /// # Panics
    /// If a length does not fit.
    fn backward<T: Real>(self, x: &[T], gradient: &[T], weight: &[T]) -> Gradients<T>;
}

/// Gradients of a normalisation.
#[derive(Debug)]
pub(crate) struct Gradients<T> {
    /// Of x.
    pub(crate) input: Vec<T>,
    /// Of γ.
    pub(crate) weight: Vec<f64>,
    /// Of β.
    pub(crate) bias: Vec<f64>,
}

impl<T> Gradients<T> {
    /// The gradients with those of γ and β, pairs in the order of the parts, added up part by part.
    pub(crate) fn of_parts(
        input: Vec<T>,
        parameters: usize,
        parts: impl IntoIterator<Item = [f64; 2]>,
    ) -> Self {
        let (mut weight, mut bias) = (vec![0.0; parameters], vec![0.0; parameters]);
        for (i, part) in parts.into_iter().enumerate() {
            weight[i % parameters] += part[0];
            bias[i % parameters] += part[1];
        }
        Self {
            input,
            weight,
            bias,
        }
    }
}
