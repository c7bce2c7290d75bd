//! Gradients kept from growing too large.
//!
//! ```text
//! Norm:    g ← g · min(1, max / (‖g‖₂ + 10⁻⁶)),   ‖g‖₂ over all parameters together
//! Value:   gᵢ ← min(max(gᵢ, −max), max)
//! ```
//!
//! Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks" (arXiv 1211.5063), §3.2.

use std::collections::HashSet;

use candle_core::Var;
use candle_core::backprop::GradStore;
use dml_core::{Result, check};

use crate::host_numbers::{norm, tensor_norm};

/// How the gradients of a group of parameters are limited ([formula](self)).
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use dml_train::Clip;
///
/// let w = Var::new(&[0f32, 0.], &Device::Cpu)?;
/// let mut gradients = (w.as_tensor() * &Tensor::new(&[3f32, -4.], &Device::Cpu)?)?.sum_all()?.backward()?;
/// Clip::norm(1.0)?.apply(&mut gradients, [&w])?;
/// let clipped = gradients.get(w.as_tensor()).unwrap().to_vec1::<f32>()?;
/// assert!((clipped[0] - 0.6).abs() < 1e-6 && (clipped[1] + 0.8).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip(Limit);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Norm(f64),
    Value(f64),
}

impl Clip {
    /// Limits the norm of all gradients together.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless `max` is a finite number > 0.
    pub fn norm(max: f64) -> Result<Self> {
        Ok(Self(Limit::Norm(check::positive("max", max)?)))
    }

    /// Limits every number of the gradients.
    ///
    /// # Errors
    /// As [`Clip::norm`].
    pub fn value(max: f64) -> Result<Self> {
        Ok(Self(Limit::Value(check::positive("max", max)?)))
    }

    /// Limits the gradients of `parameters`; those without a gradient are left alone.
    ///
    /// # Errors
    /// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
    pub fn apply<'a>(
        self,
        gradients: &mut GradStore,
        parameters: impl IntoIterator<Item = &'a Var>,
    ) -> Result<()> {
        let parameters: Vec<&Var> = parameters.into_iter().collect();
        match self.0 {
            Limit::Norm(max) => {
                let norm = gradient_norm(gradients, parameters.iter().copied())?;
                let factor = max / (norm + 1e-6);
                // A norm that is no number stays one: the step shall not look healthy.
                if factor >= 1.0 {
                    return Ok(());
                }
                scale(gradients, parameters, factor)
            }
            Limit::Value(max) => {
                for parameter in parameters {
                    if let Some(gradient) = gradients.remove(parameter) {
                        gradients.insert(parameter, gradient.clamp(-max, max)?);
                    }
                }
                Ok(())
            }
        }
    }
}

/// The Euclidean norm of the gradients of `parameters` together.
///
/// # Errors
/// [`Error::Tensor`](dml_core::Error::Tensor) if Candle cannot do it.
pub(crate) fn gradient_norm<'a>(
    gradients: &GradStore,
    parameters: impl IntoIterator<Item = &'a Var>,
) -> Result<f64> {
    let mut norms = Vec::new();
    for parameter in distinct(parameters) {
        if let Some(gradient) = gradients.get(parameter) {
            norms.push(tensor_norm(gradient)?);
        }
    }
    Ok(norm(&norms))
}

/// Every variable once: a frozen module may share some with one that learns, and there is one gradient for both.
fn distinct<'a>(parameters: impl IntoIterator<Item = &'a Var>) -> impl Iterator<Item = &'a Var> {
    let mut seen = HashSet::new();
    let parameters = parameters.into_iter();
    parameters.filter(move |parameter| seen.insert(parameter.id()))
}

/// Multiplies the gradients of `parameters`.
pub(crate) fn scale<'a>(
    gradients: &mut GradStore,
    parameters: impl IntoIterator<Item = &'a Var>,
    factor: f64,
) -> Result<()> {
    for parameter in distinct(parameters) {
        if let Some(gradient) = gradients.remove(parameter) {
            gradients.insert(parameter, (gradient * factor)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};

    fn gradients(values: &[f64]) -> (Var, Var, GradStore) {
        let w = Var::zeros(values.len(), DType::F64, &Device::Cpu).unwrap();
        let unused = Var::zeros(3, DType::F64, &Device::Cpu).unwrap();
        let slope = Tensor::new(values, &Device::Cpu).unwrap();
        let value = (w.as_tensor() * &slope).unwrap().sum_all().unwrap();
        (w, unused, value.backward().unwrap())
    }

    #[test]
    fn a_variable_counts_once() -> Result<()> {
        let (w, _, mut store) = gradients(&[3.0, -4.0]);
        assert_eq!(gradient_norm(&store, [&w, &w])?, 5.0);
        scale(&mut store, [&w, &w], 0.5)?;
        assert_eq!(store.get(&w).unwrap().to_vec1::<f64>()?, [1.5, -2.0]);
        Ok(())
    }

    fn clipped(clip: Clip, values: &[f64]) -> Vec<f64> {
        let (w, unused, mut store) = gradients(values);
        clip.apply(&mut store, [&w, &unused]).unwrap();
        assert!(store.get(&unused).is_none());
        store.get(&w).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn short_gradients_stay_and_long_ones_are_cut() -> Result<()> {
        assert_eq!(clipped(Clip::norm(6.0)?, &[3.0, -4.0]), [3.0, -4.0]);
        let cut = clipped(Clip::norm(2.5)?, &[3.0, -4.0]);
        approx::assert_relative_eq!(cut[0], 3.0 * 2.5 / (5.0 + 1e-6));
        assert_eq!(clipped(Clip::value(3.5)?, &[3.0, -4.0]), [3.0, -3.5]);
        assert!(Clip::norm(0.0).is_err() && Clip::value(f64::INFINITY).is_err());
        Ok(())
    }
}
