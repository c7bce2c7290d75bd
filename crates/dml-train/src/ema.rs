//! Averaged weights, which often search better than the latest ones.
//!
//! ```text
//! w̄ ← d · w̄ + (1 − d) · w        after every step;   w̄ = w before the first
//! ```
//!
//! Polyak & Juditsky 1992; with decay: Tarvainen & Valpola 2017, "Mean teachers are better role models" (arXiv
//! 1703.01780).

use candle_core::{DType, Tensor, Var};
use dml_core::{Error, Result};

/// A weight and its mean.
#[derive(Debug)]
struct Averaged {
    name: String,
    /// What the model reads.
    var: Var,
    /// What the optimiser moves: the same, or its master.
    moved: Var,
    average: Tensor,
}

/// Running means of variables ([formula](self)).
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: Vec<Averaged>,
}

impl Ema {
    /// Of weights by name, each as the model reads it and as the optimiser moves it.
    pub(crate) fn new(
        decay: f64,
        weights: impl IntoIterator<Item = (String, Var, Var)>,
    ) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::InvalidParameter {
                name: "decay",
                value: decay,
                expected: "a number in [0, 1)",
            });
        }
        let average = |(name, var, moved): (String, Var, Var)| {
            Ok(Averaged {
                average: wide(&moved.as_detached_tensor())?,
                name,
                var,
                moved,
            })
        };
        Ok(Self {
            decay,
            averages: weights.into_iter().map(average).collect::<Result<_>>()?,
        })
    }

    /// Begins anew with the weights as they are.
    pub(crate) fn restart(&mut self) -> Result<()> {
        for Averaged { moved, average, .. } in &mut self.averages {
            *average = wide(&moved.as_detached_tensor())?;
        }
        Ok(())
    }

    /// Takes a step's weights in.
    pub(crate) fn update(&mut self) -> Result<()> {
        for Averaged { moved, average, .. } in &mut self.averages {
            let latest = wide(&moved.as_detached_tensor())?;
            *average = ((&*average * self.decay)? + (latest * (1.0 - self.decay))?)?.detach();
        }
        Ok(())
    }

    /// Puts the averages in the place of the weights while `f` runs.
    pub(crate) fn while_in_place<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        let mut latest = Vec::new();
        for Averaged { var, average, .. } in &self.averages {
            latest.push(var.as_tensor().copy()?.detach());
            var.set(&average.to_dtype(var.dtype())?)?;
        }
        let result = f();
        for (own, latest) in self.averages.iter().zip(latest) {
            own.var.set(&latest)?;
        }
        Ok(result)
    }

    /// The averages by name.
    pub fn averages(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> + Clone {
        let averages = self.averages.iter();
        averages.map(|own| (own.name.as_str(), &own.average))
    }

    /// Sets the averages, which [fit](dml_core::checkpoint::fits).
    pub(crate) fn assign(
        &mut self,
        tensors: &std::collections::HashMap<String, Tensor>,
    ) -> Result<()> {
        for own in &mut self.averages {
            if let Some(tensor) = tensors.get(&own.name) {
                own.average = tensor.to_device(own.var.device())?;
            }
        }
        Ok(())
    }
}

/// Averages of half-precision weights are kept in single: they change by less than half precision tells apart.
fn wide(tensor: &Tensor) -> Result<Tensor> {
    Ok(match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.to_dtype(DType::F32)?,
        // A copy: the variable's own memory changes with the next step.
        _ => tensor.copy()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn averages_follow_and_weights_come_back() -> Result<()> {
        let w = Var::new(&[0f64, 8.], &Device::Cpu)?;
        let mut ema = Ema::new(0.75, [("w".to_owned(), w.clone(), w.clone())])?;
        w.set(&Tensor::new(&[4f64, 8.], &Device::Cpu)?)?;
        ema.update()?;
        ema.update()?;
        let seen = ema.while_in_place(|| w.to_vec1::<f64>())??;
        assert_eq!(seen, [1.75, 8.0]); // 0.25 · 4 = 1, then 0.75 · 1 + 0.25 · 4
        assert_eq!(w.to_vec1::<f64>()?, [4.0, 8.0]);
        assert!(Ema::new(1.0, []).is_err());
        Ok(())
    }

    #[test]
    fn half_precision_is_averaged_in_single() -> Result<()> {
        let w = Var::from_tensor(&Tensor::new(&[1f32], &Device::Cpu)?.to_dtype(DType::F16)?)?;
        let mut ema = Ema::new(0.9999, [("w".to_owned(), w.clone(), w.clone())])?;
        w.set(&Tensor::new(&[0f32], &Device::Cpu)?.to_dtype(DType::F16)?)?;
        ema.update()?;
        let average = ema.averages().next().unwrap().1.to_vec1::<f32>()?;
        approx::assert_abs_diff_eq!(average[0], 0.9999);
        Ok(())
    }
}
