//! Variables by name, whose first values follow from a seed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};
use candle_nn::VarBuilder;
use candle_nn::init::{Init, NormalOrUniform};
use candle_nn::var_builder::SimpleBackend;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Variables by name: what a loss learns, drawn from a seed instead of from a generator of the device, which Candle
/// can't seed on the CPU.
///
/// What a variable begins with depends on the seed, its name and its shape alone: not on the order in which variables
/// are made, and not on the device. Clones share their variables.
///
/// ```
/// use candle_nn::Init;
/// use dml_core::candle_core::{DType, Device};
/// use dml_losses::SeededVars;
///
/// let vars = SeededVars::new(7);
/// let builder = vars.builder(DType::F32, &Device::Cpu);
/// let weight = builder.get_with_hints((2, 3), "W", Init::Randn { mean: 0.0, stdev: 1.0 })?;
/// let again = SeededVars::new(7).builder(DType::F32, &Device::Cpu);
/// let again = again.get_with_hints((2, 3), "W", Init::Randn { mean: 0.0, stdev: 1.0 })?;
/// assert_eq!(weight.to_vec2::<f32>()?, again.to_vec2::<f32>()?);
/// assert_eq!(vars.named()[0].0, "W");
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeededVars {
    seed: u64,
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl SeededVars {
    /// A builder without variables.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            vars: Arc::default(),
        }
    }

    /// A builder of Candle's that creates variables here, and finds those that exist.
    #[must_use]
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// Every variable with its name, in the order of the names: for an optimiser.
    #[must_use]
    pub fn named(&self) -> Vec<(String, Var)> {
        let vars = self.lock();
        vars.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Every variable as a tensor by name, as `candle_core::safetensors::save` takes them.
    #[must_use]
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        let named = self.named().into_iter();
        named.map(|(name, var)| (name, var.into_inner())).collect()
    }

    /// Sets the variables to the tensors of their names. Names that are not here are left alone; on an error nothing
    /// has changed.
    ///
    /// # Errors
    /// If a variable has no tensor, or one of another shape.
    pub fn assign(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let mut changes = Vec::new();
        for (name, var) in self.named() {
            let Some(tensor) = tensors.get(&name) else {
                bail!("no tensor named {name}")
            };
            if tensor.shape() != var.shape() {
                bail!(
                    "{name}: expected shape {:?}, got {:?}",
                    var.shape(),
                    tensor.shape()
                )
            }
            let tensor = tensor.to_dtype(var.dtype())?.to_device(var.device())?;
            changes.push((var, tensor));
        }
        changes.iter().try_for_each(|(var, tensor)| var.set(tensor))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        // A map whose holder panicked between two of its operations is still whole.
        self.vars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rng(&self, name: &str) -> ChaCha8Rng {
        // FNV-1a: the same number for a name on every machine and in every release.
        let stream = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }
}

impl SimpleBackend for SeededVars {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let mut vars = self.lock();
        if let Some(var) = vars.get(name) {
            if *var.shape() != shape {
                bail!("{name}: expected shape {shape:?}, got {:?}", var.shape())
            }
            return Ok(var.as_tensor().clone());
        }
        let values = draw(&shape, init, &mut self.rng(name));
        let values = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        let var = Var::from_tensor(&values.to_device(device)?)?;
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        match self.lock().get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => bail!("no variable named {name}, and no shape to make one of"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }
}

fn draw(shape: &Shape, init: Init, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let count = shape.elem_count();
    match init {
        Init::Const(value) => vec![value; count],
        Init::Uniform { lo, up } => uniform(count, lo, up, rng),
        Init::Randn { mean, stdev } => normal(count, mean, stdev, rng),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape).max(1) as f64).sqrt();
            let bound = 3f64.sqrt() * stdev;
            match dist {
                NormalOrUniform::Normal => normal(count, 0.0, stdev, rng),
                NormalOrUniform::Uniform => uniform(count, -bound, bound, rng),
            }
        }
    }
}

fn uniform(count: usize, low: f64, high: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count)
        .map(|_| low + (high - low) * rng.random::<f64>())
        .collect()
}

/// Two normal numbers from two uniform ones, after Box and Muller (1958).
fn normal(count: usize, mean: f64, stdev: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        values.extend([mean + stdev * radius * cos, mean + stdev * radius * sin]);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Init = Init::Randn {
        mean: 1.0,
        stdev: 2.0,
    };

    fn values(vars: &SeededVars, name: &str, init: Init) -> Result<Vec<f64>> {
        let builder = vars.builder(DType::F64, &Device::Cpu);
        builder
            .get_with_hints(10_001, name, init)?
            .flatten_all()?
            .to_vec1()
    }

    #[test]
    fn a_draw_follows_the_seed_and_the_name_and_not_the_order() -> Result<()> {
        let (one, other) = (SeededVars::new(1), SeededVars::new(1));
        let (a, b) = (values(&one, "a", NORMAL)?, values(&one, "b", NORMAL)?);
        let (b_first, a_second) = (values(&other, "b", NORMAL)?, values(&other, "a", NORMAL)?);
        assert!(a == a_second && b == b_first && a != b);
        assert_ne!(values(&SeededVars::new(2), "a", NORMAL)?, a);
        Ok(())
    }

    #[test]
    fn draws_have_the_moments_that_were_asked_for() -> Result<()> {
        let vars = SeededVars::new(3);
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let square = |x: &f64| (x - mean) * (x - mean);
            (mean, x.iter().map(square).sum::<f64>() / x.len() as f64)
        };
        let (mean, variance) = moments(&values(&vars, "normal", NORMAL)?);
        assert!((mean - 1.0).abs() < 0.1 && (variance - 4.0).abs() < 0.3);
        let x = values(&vars, "uniform", Init::Uniform { lo: -1.0, up: 3.0 })?;
        let (mean, variance) = moments(&x);
        assert!((mean - 1.0).abs() < 0.06 && (variance - 16.0 / 12.0).abs() < 0.06);
        assert!(x.iter().all(|x| (-1.0..3.0).contains(x)));
        assert!(
            values(&vars, "two", Init::Const(2.0))?
                .iter()
                .all(|x| *x == 2.0)
        );
        Ok(())
    }

    #[test]
    fn a_name_is_one_variable_that_can_be_saved_and_put_back() -> Result<()> {
        let vars = SeededVars::new(0);
        let builder = vars.builder(DType::F32, &Device::Cpu).pp("losses.0");
        let weight = builder.get_with_hints((2, 2), "W", NORMAL)?;
        assert!(builder.contains_tensor("W") && !builder.contains_tensor("V"));
        let var = Var::from_tensor(&builder.get((2, 2), "W")?)?;
        var.set(&weight.zeros_like()?)?;
        assert_eq!(weight.to_vec2::<f32>()?, [[0.0; 2]; 2]);
        assert!(builder.get((2, 3), "W").is_err() && builder.get_unchecked("V").is_err());
        let saved = vars.tensors();
        let names: Vec<_> = saved.keys().collect();
        assert_eq!(names, ["losses.0.W"]);
        let other = SeededVars::new(1);
        let builder = other.builder(DType::F64, &Device::Cpu).pp("losses.0");
        let weight = builder.get_with_hints((2, 2), "W", NORMAL)?;
        other.assign(&saved)?;
        assert_eq!(weight.to_vec2::<f64>()?, [[0.0; 2]; 2]);
        builder.get(1, "V")?;
        assert!(other.assign(&saved).is_err());
        Ok(())
    }
}
