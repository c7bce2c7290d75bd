//! Evaluation of the model between epochs: the best epoch, and early stopping.
//!
//! ```text
//! best  = the first epoch whose value no other exceeds
//! stop when  latest evaluated epoch − best > patience
//! ```

use serde::{Deserialize, Serialize};

use crate::closure::Closure;
use crate::config::config;
use crate::error::AnyError;
use crate::schedule::Better;
use crate::{Method, Result, TrainError};

config! {
    /// Configuration of [`Validation`].
    pub struct ValidationConfig {
        /// Number of epochs from one evaluation to the next, 1 to 4,294,967,295. Default 1. PML's `test_interval`.
        pub every: u64 = 1,
        /// Patience of early stopping: the run ends when more epochs than this pass without a new best. Default: none.
        pub patience: Option<u64> = None,
        /// Direction in which the value improves. Default: higher.
        pub better: Better = Better::Higher,
    }
}

/// Evaluates the model between epochs, for plateau schedules, the best checkpoint and early stopping ([rules](self)); PML's
/// `HookContainer`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use candle_core::{DType, Device, Tensor};
/// use dml_train::{MetricLossOnly, Trainer, Validation, ValidationConfig};
///
/// let images = Tensor::zeros((3, 1, 28, 28), DType::F32, &Device::Cpu)?;
/// let config = ValidationConfig { patience: Some(3), ..ValidationConfig::default() };
/// let validation = Validation::new(config, move |model| {
///     let embeddings = model.embed(&images)?;
///     Ok(embeddings.dims()[1] as f64)
/// })?;
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_validation(validation)
///     .build()?;
/// trainer.run(2)?;
/// assert_eq!(trainer.best(), Some((1, 16.0)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Validation {
    pub(crate) config: ValidationConfig,
    evaluate: Box<Closure<Evaluate>>,
    pub(crate) state: ValidationState,
}

type Evaluate = dyn FnMut(&dyn Method) -> std::result::Result<f64, AnyError>;

/// State of a [`Validation`] in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValidationState {
    pub(crate) best: Option<Best>,
    pub(crate) last_epoch: u64,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) epoch: u64,
    pub(crate) step: u64,
    pub(crate) value: f64,
}

impl Validation {
    /// A validation by a closure, which may embed with [`Method::embed`]: Precision@1 of a validation set, say.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `every` is 0.
    pub fn new(
        config: ValidationConfig,
        evaluate: impl FnMut(&dyn Method) -> std::result::Result<f64, AnyError> + 'static,
    ) -> dml_core::Result<Self> {
        dml_core::check::at_least_one("every", config.every as usize)?;
        Ok(Self {
            config,
            evaluate: Box::new(Closure(evaluate)),
            state: ValidationState::default(),
        })
    }

    /// The value of the model, if `epoch` is one in which it is evaluated.
    pub(crate) fn evaluate(
        &mut self,
        epoch: u64,
        step: u64,
        model: &dyn Method,
    ) -> Result<Option<f64>> {
        if !epoch.is_multiple_of(self.config.every) {
            return Ok(None);
        }
        let value = (self.evaluate.0)(model).map_err(TrainError::Validation)?;
        if !value.is_finite() {
            let sentence = format!("expected a finite number, got {value}");
            return Err(TrainError::Validation(sentence.into()));
        }
        let better = |best: Best| self.config.better.is_better(value, best.value, 0.0);
        if self.state.best.is_none_or(better) {
            self.state.best = Some(Best { epoch, step, value });
        }
        self.state.last_epoch = epoch;
        Ok(Some(value))
    }

    pub(crate) fn best(&self) -> Option<Best> {
        self.state.best
    }

    /// Whether early stopping ends the run.
    pub(crate) fn is_exhausted(&self) -> bool {
        match (self.config.patience, self.state.best) {
            (Some(patience), Some(best)) => {
                self.state.last_epoch.saturating_sub(best.epoch) > patience
            }
            _ => false,
        }
    }
}
