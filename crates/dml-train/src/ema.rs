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

/// Running means of variables ([formula](self)).
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    averages: Vec<(String, Var, Tensor)>,
}

impl Ema {
    pub(crate) fn new(
        decay: f64,
        variables: impl IntoIterator<Item = (String, Var)>,
    ) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::InvalidParameter {
                name: "decay",
                value: decay,
                expected: "a number in [0, 1)",
            });
        }
        let average = |(name, var): (String, Var)| {
            let copy = var.as_tensor().copy()?.detach();
            Ok((name, var, wide(&copy)?))
        };
        Ok(Self {
            decay,
            averages: variables.into_iter().map(average).collect::<Result<_>>()?,
        })
    }

    /// Takes a step's weights in.
    pub(crate) fn update(&mut self) -> Result<()> {
        for (_, var, average) in &mut self.averages {
            let latest = wide(&var.as_detached_tensor())?;
            *average = ((&*average * self.decay)? + (latest * (1.0 - self.decay))?)?.detach();
        }
        Ok(())
    }

    /// Puts the averages in the place of the weights while `f` runs.
    pub(crate) fn while_in_place<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        let mut latest = Vec::new();
        for (_, var, average) in &self.averages {
            latest.push(var.as_tensor().copy()?.detach());
            var.set(&average.to_dtype(var.dtype())?)?;
        }
        let result = f();
        for ((_, var, _), latest) in self.averages.iter().zip(latest) {
            var.set(&latest)?;
        }
        Ok(result)
    }

    /// The averages by name.
    pub fn averages(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> + Clone {
        let averages = self.averages.iter();
        averages.map(|(name, _, average)| (name.as_str(), average))
    }

    /// Sets the averages, which [fit](dml_core::checkpoint::fits).
    pub(crate) fn assign(
        &mut self,
        tensors: &std::collections::HashMap<String, Tensor>,
    ) -> Result<()> {
        for (name, var, average) in &mut self.averages {
            if let Some(tensor) = tensors.get(name) {
                *average = tensor.to_device(var.device())?;
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
        let mut ema = Ema::new(0.75, [("w".to_owned(), w.clone())])?;
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
        let mut ema = Ema::new(0.9999, [("w".to_owned(), w.clone())])?;
        w.set(&Tensor::new(&[0f32], &Device::Cpu)?.to_dtype(DType::F16)?)?;
        ema.update()?;
        let average = ema.averages().next().unwrap().1.to_vec1::<f32>()?;
        approx::assert_abs_diff_eq!(average[0], 0.9999);
        Ok(())
    }
}
