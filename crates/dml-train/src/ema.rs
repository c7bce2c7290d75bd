//! Exponential moving averages of the weights.
//!
//! ```text
//! w̄ ← dₜ · w̄ + (1 − dₜ) · w      after the t-th step, t = 1, 2, …;   w̄ = w before the first
//! dₜ = min(d, (1 + t) / (10 + t))   with a ramp;   dₜ = d   without
//! ```
//!
//! Without a ramp, w̄ is mostly the first weights until about 1/(1 − d) steps are done: after 100 steps at d = 0.999 it
//! has covered a tenth of the way. With it, about the last tenth of the steps counts until d is reached.
//!
//! Polyak & Juditsky 1992; with decay: Tarvainen & Valpola 2017, "Mean teachers are better role models" (arXiv
//! 1703.01780); the ramp is that of TensorFlow's `ExponentialMovingAverage` with `num_updates`.

use candle_core::{DType, Tensor, Var};
use dml_core::{Result, check};
use serde::{Deserialize, Serialize};

dml_core::config! {
    serde always:
    /// Configuration of [`Ema`] ([formula](self)); a number stands for a decay with the defaults.
    pub struct EmaConfig {
        /// d, the share of the average that remains after a step, in [0, 1). Default 0.999.
        pub decay: f64 = 0.999,
        /// Whether the decay rises to d with the number of steps. Default true.
        pub ramp: bool = true,
        /// Treatment of buffers such as running statistics. Default: averaged like weights.
        pub buffers: EmaBuffers = EmaBuffers::Average,
    }
}

impl From<f64> for EmaConfig {
    fn from(decay: f64) -> Self {
        Self {
            decay,
            ..Self::default()
        }
    }
}

/// Buffers that are used with averaged weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EmaBuffers {
    /// Averages with the decay of the weights. Buffers of whole numbers are the latest.
    #[default]
    Average,
    /// The latest, which belong to the latest weights.
    Latest,
}

/// A weight or buffer and its mean.
#[derive(Debug)]
struct Averaged {
    name: String,
    /// The variable that the model reads.
    var: Var,
    /// The variable that the optimiser moves: the same, or its master.
    moved: Var,
    average: Tensor,
}

/// Running means of variables ([formula](self)).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{EmaConfig, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_ema(EmaConfig { decay: 0.99, ramp: false, ..EmaConfig::default() })
///     .build()?;
/// trainer.run(1)?;
/// let ema = trainer.ema().ok_or("no averages")?;
/// assert!(ema.averages().map(|(name, _)| name).eq(["trunk/fc1.weight", "trunk/fc1.bias"]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ema {
    config: EmaConfig,
    averages: Vec<Averaged>,
}

impl Ema {
    /// Averages of weights by name, each with the variable that the optimiser moves, and of buffers by name.
    pub(crate) fn new(
        config: EmaConfig,
        weights: impl IntoIterator<Item = (String, Var, Var)>,
        buffers: impl IntoIterator<Item = (String, Var)>,
    ) -> Result<Self> {
        let is_share = (0.0..1.0).contains(&config.decay);
        check::parameter(is_share, "decay", config.decay, "a number in [0, 1)")?;
        let average = |(name, var, moved): (String, Var, Var)| {
            Ok(Averaged {
                average: wide(&moved.as_detached_tensor())?,
                name,
                var,
                moved,
            })
        };
        let buffers = buffers
            .into_iter()
            .filter(|_| config.buffers == EmaBuffers::Average)
            .map(|(name, var)| (name, var.clone(), var));
        let all = weights.into_iter().chain(buffers);
        Ok(Self {
            averages: all.map(average).collect::<Result<_>>()?,
            config,
        })
    }

    /// Sets the averages to the latest weights.
    pub(crate) fn restart(&mut self) -> Result<()> {
        for Averaged { moved, average, .. } in &mut self.averages {
            *average = wide(&moved.as_detached_tensor())?;
        }
        Ok(())
    }

    /// Updates the averages after step number `step`, from 1.
    pub(crate) fn update(&mut self, step: u64) -> Result<()> {
        let decay = self.decay(step);
        for Averaged { moved, average, .. } in &mut self.averages {
            let latest = wide(&moved.as_detached_tensor())?;
            *average = if latest.dtype().is_float() {
                ((&*average * decay)? + (latest * (1.0 - decay))?)?.detach()
            } else {
                latest
            };
        }
        Ok(())
    }

    fn decay(&self, step: u64) -> f64 {
        let decay = self.config.decay;
        let step = step as f64;
        if self.config.ramp {
            decay.min((1.0 + step) / (10.0 + step))
        } else {
            decay
        }
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

/// Runs `f` with the averages, if there are any, in the place of the weights. The weights come back even if `f` panics.
pub(crate) fn with_averages<T>(ema: Option<&Ema>, f: impl FnOnce() -> T) -> Result<T> {
    let mut latest = Latest(Vec::new());
    for Averaged { var, average, .. } in ema.iter().flat_map(|ema| &ema.averages) {
        let average = average.to_dtype(var.dtype())?;
        latest.0.push((var, var.as_tensor().copy()?.detach()));
        var.set(&average)?;
    }
    let result = f();
    latest.put_back()?;
    Ok(result)
}

/// The latest weights, while averages are in their place.
struct Latest<'a>(Vec<(&'a Var, Tensor)>);

impl Latest<'_> {
    /// Puts every weight back, even if another can't be, and returns the first error.
    fn put_back(&mut self) -> Result<()> {
        let mut all = Ok(());
        for (var, latest) in self.0.drain(..) {
            let set = var.set(&latest);
            all = all.and(set);
        }
        Ok(all?)
    }
}

impl Drop for Latest<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.put_back() {
            tracing::error!(%error, "weights could not be put back in the place of their averages");
        }
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

    fn plain(decay: f64) -> EmaConfig {
        EmaConfig {
            ramp: false,
            ..decay.into()
        }
    }

    #[test]
    fn the_decay_rises_with_the_steps() -> Result<()> {
        let ema = Ema::new(0.999.into(), [], [])?;
        assert_eq!([1, 8, 80].map(|t| ema.decay(t)), [2.0 / 11.0, 0.5, 0.9]);
        assert_eq!(ema.decay(u64::MAX), 0.999);
        assert_eq!(Ema::new(plain(0.999), [], [])?.decay(1), 0.999);
        // A weight that goes from 0 to 1 in 100 even steps is near its end, not near its beginning.
        let w = Var::new(0f64, &Device::Cpu)?;
        let mut ema = Ema::new(0.999.into(), [("w".to_owned(), w.clone(), w.clone())], [])?;
        for step in 1..=100 {
            w.set(&Tensor::new(step as f64 / 100.0, &Device::Cpu)?)?;
            ema.update(step)?;
        }
        let average = ema.averages().next().unwrap().1.to_scalar::<f64>()?;
        assert!((0.85..1.0).contains(&average), "{average}");
        Ok(())
    }

    #[test]
    fn buffers_are_averaged_or_the_latest() -> Result<()> {
        let floats = Var::new(&[0f32], &Device::Cpu)?;
        let counts = Var::new(&[0u32], &Device::Cpu)?;
        for (buffers, expected) in [(EmaBuffers::Average, 2.0), (EmaBuffers::Latest, 4.0)] {
            floats.set(&Tensor::new(&[0f32], &Device::Cpu)?)?;
            counts.set(&Tensor::new(&[0u32], &Device::Cpu)?)?;
            let config = EmaConfig {
                buffers,
                ..plain(0.5)
            };
            let named = [("floats", &floats), ("counts", &counts)];
            let named = named.map(|(name, var)| (name.to_owned(), var.clone()));
            let mut ema = Ema::new(config, [], named)?;
            floats.set(&Tensor::new(&[4f32], &Device::Cpu)?)?;
            counts.set(&Tensor::new(&[4u32], &Device::Cpu)?)?;
            ema.update(1)?;
            let seen = with_averages(Some(&ema), || {
                (floats.to_vec1::<f32>(), counts.to_vec1::<u32>())
            })?;
            assert_eq!((seen.0?, seen.1?), (vec![expected], vec![4]));
            assert_eq!(floats.to_vec1::<f32>()?, [4.0]);
        }
        Ok(())
    }

    #[test]
    fn weights_come_back_after_a_panic() -> Result<()> {
        let w = Var::new(&[0f64], &Device::Cpu)?;
        let ema = Ema::new(0.5.into(), [("w".to_owned(), w.clone(), w.clone())], [])?;
        w.set(&Tensor::new(&[4f64], &Device::Cpu)?)?;
        let judged =
            std::panic::AssertUnwindSafe(|| with_averages(Some(&ema), || panic!("a fault")));
        std::panic::catch_unwind(judged).unwrap_err();
        assert_eq!(w.to_vec1::<f64>()?, [4.0]);
        Ok(())
    }

    #[test]
    fn averages_follow_and_weights_come_back() -> Result<()> {
        let w = Var::new(&[0f64, 8.], &Device::Cpu)?;
        let mut ema = Ema::new(plain(0.75), [("w".to_owned(), w.clone(), w.clone())], [])?;
        w.set(&Tensor::new(&[4f64, 8.], &Device::Cpu)?)?;
        ema.update(1)?;
        ema.update(2)?;
        let seen = with_averages(Some(&ema), || w.to_vec1::<f64>())??;
        assert_eq!(seen, [1.75, 8.0]); // 0.25 · 4 = 1, then 0.75 · 1 + 0.25 · 4
        assert_eq!(w.to_vec1::<f64>()?, [4.0, 8.0]);
        assert!(Ema::new(1.0.into(), [], []).is_err());
        Ok(())
    }

    #[test]
    fn half_precision_is_averaged_in_single() -> Result<()> {
        let w = Var::from_tensor(&Tensor::new(&[1f32], &Device::Cpu)?.to_dtype(DType::F16)?)?;
        let mut ema = Ema::new(plain(0.9999), [("w".to_owned(), w.clone(), w.clone())], [])?;
        w.set(&Tensor::new(&[0f32], &Device::Cpu)?.to_dtype(DType::F16)?)?;
        ema.update(1)?;
        let average = ema.averages().next().unwrap().1.to_vec1::<f32>()?;
        approx::assert_abs_diff_eq!(average[0], 0.9999);
        Ok(())
    }
}
