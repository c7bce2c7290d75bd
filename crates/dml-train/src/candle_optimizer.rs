//! Candle's own optimisers in a run.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use dml_core::{CheckpointError, Error, Optimizer, Result};

/// An optimiser of `candle_nn`, or one that implements its trait.
///
/// Candle's trait shows nothing of what an optimiser remembers. One without memory, such as `candle_nn::SGD`, can be
/// taken up again at any time ([`stateless`](CandleOptimizer::stateless)); one with memory, such as `candle_nn::AdamW`,
/// trains as well as ever, but its run can't be checkpointed ([`opaque`](CandleOptimizer::opaque)).
///
/// ```
/// use candle_core::{Device, Var};
/// use candle_nn::{Optimizer as _, SGD};
/// use dml_core::Optimizer;
/// use dml_train::CandleOptimizer;
///
/// let x = Var::new(3f64, &Device::Cpu)?;
/// let mut sgd = CandleOptimizer::stateless(SGD::new(vec![x.clone()], 0.25)?);
/// sgd.step(&x.sqr()?.backward()?)?;
/// assert_eq!(x.to_scalar::<f64>()?, 1.5);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct CandleOptimizer<O> {
    inner: O,
    has_memory: bool,
}

const LEARNING_RATE: &str = "learning_rate";

impl<O: candle_nn::Optimizer> CandleOptimizer<O> {
    /// One whose next step depends on nothing but parameters, gradients and learning rate.
    pub fn stateless(inner: O) -> Self {
        let has_memory = false;
        Self { inner, has_memory }
    }

    /// One that remembers what nobody can see: a checkpoint is refused.
    pub fn opaque(inner: O) -> Self {
        let has_memory = true;
        Self { inner, has_memory }
    }
}

fn refused() -> Error {
    Error::unsupported(
        "CandleOptimizer",
        "it shows nothing of its memory, so a checkpoint would not be whole; take one of dml-nn",
    )
}

impl<O: candle_nn::Optimizer + Send> Optimizer for CandleOptimizer<O> {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        Ok(self.inner.step(gradients)?)
    }

    fn learning_rate(&self) -> f64 {
        self.inner.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.inner.set_learning_rate(learning_rate);
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        if self.has_memory {
            return Err(refused());
        }
        let rate = Tensor::new(self.inner.learning_rate(), &Device::Cpu)?;
        Ok(HashMap::from([(LEARNING_RATE.to_owned(), rate)]))
    }

    fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        let own = self.state().map_err(candle_core::Error::from)?;
        let places = own.iter().map(|(name, tensor)| (name.as_str(), tensor));
        dml_core::checkpoint::fits(places, state)?;
        let rate = state[LEARNING_RATE].to_scalar()?;
        self.inner.set_learning_rate(rate);
        Ok(())
    }
}

dml_core::debug_fields!(CandleOptimizer<O>, |own| { has_memory: own.has_memory });

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, SGD};

    #[test]
    fn what_can_not_be_saved_is_refused() -> Result<()> {
        let x = Var::new(3f64, &Device::Cpu)?;
        let adam = AdamW::new(vec![x.clone()], ParamsAdamW::default())?;
        let adam = CandleOptimizer::opaque(adam);
        assert!(matches!(adam.state(), Err(Error::Unsupported { .. })));
        let sgd = CandleOptimizer::stateless(SGD::new(vec![x.clone()], 0.25)?);
        let mut other = CandleOptimizer::stateless(SGD::new(vec![x], 1.0)?);
        other.load_state(&sgd.state()?).unwrap();
        assert_eq!(other.learning_rate().to_bits(), 0.25f64.to_bits());
        assert!(other.load_state(&HashMap::new()).is_err());
        Ok(())
    }
}
