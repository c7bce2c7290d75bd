//! Hooks: code of the user that runs after iterations and epochs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::closure::Closure;
use crate::error::AnyError;
use crate::{Ended, Epoch, Iteration, Method};

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    #[default]
    Continue,
    /// It ends here, with a last checkpoint.
    Stop,
}

/// Result of a method of a [`Hook`].
pub type HookResult<T = Flow> = Result<T, AnyError>;

/// Called after every iteration, epoch and run, and after an epoch that is the best so far: logs, progress bars, stopping
/// rules.
///
/// Every method but [`name`](Hook::name) has a default that does nothing.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Ended, Epoch, Flow, Hook, HookResult, Method, MetricLossOnly, Trainer};
///
/// /// Ends the run when the mean loss of an epoch is small enough.
/// #[derive(Debug)]
/// struct SmallLoss(f64);
///
/// impl Hook for SmallLoss {
///     fn name(&self) -> &str {
///         "small_loss"
///     }
///
///     fn epoch(&mut self, done: &Epoch, _: &dyn Method) -> HookResult {
///         Ok(if done.mean_loss < self.0 { Flow::Stop } else { Flow::Continue })
///     }
/// }
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(SmallLoss(1.0))
///     .build()?;
/// assert_eq!(trainer.run(100)?, Ended::Stopped);
/// # Ok(())
/// # }
/// ```
pub trait Hook: fmt::Debug {
    /// Name used in error messages and as the key of the hook's state in checkpoints. Hooks with equal names are numbered.
    fn name(&self) -> &str;

    /// After an iteration.
    ///
    /// # Errors
    /// Any, which ends the run without a checkpoint.
    fn iteration(&mut self, _done: &Iteration, _model: &dyn Method) -> HookResult {
        Ok(Flow::Continue)
    }

    /// After an epoch and its validation.
    ///
    /// # Errors
    /// Any, which ends the run without a checkpoint.
    fn epoch(&mut self, _done: &Epoch, _model: &dyn Method) -> HookResult {
        Ok(Flow::Continue)
    }

    /// After an epoch whose validation is better than all before, and after [`epoch`](Hook::epoch) of every hook: for an
    /// export of the best model, say. The weights are those that validation evaluated: the averages, if the run averages.
    /// The checkpoint of the epoch is written after this, with the state that the hook then has.
    ///
    /// # Errors
    /// Any, which ends the run without a checkpoint.
    fn best(&mut self, _done: &Epoch, _model: &dyn Method) -> HookResult {
        Ok(Flow::Continue)
    }

    /// State of the hook for a checkpoint. What the hook wrote so far must be on the disk when this returns.
    ///
    /// # Errors
    /// Any, which ends the run without a checkpoint.
    fn state(&mut self) -> HookResult<Value> {
        Ok(Value::Null)
    }

    /// Restores a state that [`state`](Hook::state) returned.
    ///
    /// # Errors
    /// Any, which ends the resumption.
    fn load_state(&mut self, _state: &Value) -> HookResult<()> {
        Ok(())
    }

    /// After the run, with the reason for its end. It is not called after an error.
    ///
    /// # Errors
    /// Any.
    fn finish(&mut self, _ended: Ended) -> HookResult<()> {
        Ok(())
    }
}

/// Ends the run when a flag is set, as by Ctrl-C.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use dml_train::{Ended, MetricLossOnly, StopWhen, Trainer};
///
/// let is_interrupted = Arc::new(AtomicBool::new(false));
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(StopWhen::new(is_interrupted.clone()))
///     .build()?;
/// is_interrupted.store(true, Ordering::Relaxed);
/// assert_eq!(trainer.run(100)?, Ended::Stopped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StopWhen(Arc<AtomicBool>);

impl StopWhen {
    /// A hook that reads `flag` after every iteration.
    #[must_use]
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Hook for StopWhen {
    fn name(&self) -> &str {
        "stop_when"
    }

    fn iteration(&mut self, _: &Iteration, _: &dyn Method) -> HookResult {
        Ok(if self.0.load(Ordering::Relaxed) {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }
}

/// Ends the run with an error when a loss is NaN or infinite.
///
/// Without a loss scale the trainer does so itself. With one, it skips the step; this hook ends the run then, too.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MetricLossOnly, RefuseNonFinite, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_hook(RefuseNonFinite)
///     .build()?;
/// trainer.run(1)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RefuseNonFinite;

/// Error of [`RefuseNonFinite`]: a loss is NaN or infinite.
///
/// ```
/// use dml_train::{AnyError, NonFiniteLoss};
///
/// // Whether a hook failed because of its loss.
/// fn is_loss(source: &AnyError) -> bool {
///     source.downcast_ref::<NonFiniteLoss>().is_some()
/// }
/// # assert!(!is_loss(&"another".into()));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("epoch {epoch}, iteration {iteration}: the loss is {loss}")]
#[non_exhaustive]
pub struct NonFiniteLoss {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The iteration, from 0.
    pub iteration: u64,
    /// The loss.
    pub loss: f64,
}

impl Hook for RefuseNonFinite {
    fn name(&self) -> &str {
        "refuse_non_finite"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        if done.loss.is_finite() {
            return Ok(Flow::Continue);
        }
        Err(Box::new(NonFiniteLoss {
            epoch: done.epoch,
            iteration: done.iteration,
            loss: done.loss,
        }))
    }
}

type IterationClosure = dyn FnMut(&Iteration) -> HookResult;
type EpochClosure = dyn FnMut(&Epoch, &dyn Method) -> HookResult;

/// A closure called after every iteration.
#[derive(Debug)]
pub(crate) struct OnIteration(pub(crate) Box<Closure<IterationClosure>>);
/// A closure called after every epoch.
#[derive(Debug)]
pub(crate) struct OnEpoch(pub(crate) Box<Closure<EpochClosure>>);

impl Hook for OnIteration {
    fn name(&self) -> &str {
        "on_iteration"
    }

    fn iteration(&mut self, done: &Iteration, _: &dyn Method) -> HookResult {
        (self.0.0)(done)
    }
}

impl Hook for OnEpoch {
    fn name(&self) -> &str {
        "on_epoch"
    }

    fn epoch(&mut self, done: &Epoch, model: &dyn Method) -> HookResult {
        (self.0.0)(done, model)
    }
}
