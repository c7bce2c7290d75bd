//! Stochastic gradient descent, with momentum.
//!
//! ```text
//! g ← g + λθ
//! b ← μ b + (1 − d) g,   b ← g in the first step
//! θ ← θ − lr · b,   with Nesterov's momentum θ ← θ − lr (g + μ b)
//! ```
//!
//! Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in PyTorch's form:
//! the learning rate stands outside of the momentum.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use dml_core::autograd::Element;
use dml_core::kernels::optimizer::SgdStep;
use dml_core::{Error, Result, check};

use super::Optimizer;
use super::slot::{self, Slot, Update};
use dml_core::checkpoint::CheckpointError;

/// The parameters of [`Sgd`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct SgdConfig {
    /// The learning rate. In `[0, 1e30]`.
    pub lr: f64,
    /// μ, what remains of the running direction after a step. In `[0, 1e30]`.
    pub momentum: f64,
    /// d, what of the gradient does not enter the running direction. In `[-1e30, 1e30]`.
    pub dampening: f64,
    /// λ, the weight of the parameter in its own gradient. In `[0, 1e30]`.
    pub weight_decay: f64,
    /// Whether the gradient counts where the momentum will lead; needs momentum and no dampening.
    pub nesterov: bool,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            nesterov: false,
        }
    }
}

/// Stochastic gradient descent ([formula](self)).
///
/// ```
/// use candle_core::{Device, Var};
/// use dml_nn::{Optimizer, Sgd, SgdConfig};
///
/// let x = Var::new(3f64, &Device::Cpu)?;
/// let mut sgd = Sgd::new([("x".to_owned(), x.clone())], SgdConfig { lr: 0.25, ..Default::default() })?;
/// sgd.step(&x.sqr()?.backward()?)?;
/// assert_eq!(x.to_scalar::<f64>()?, 1.5);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Sgd {
    slots: Slots,
    config: SgdConfig,
}

#[derive(Debug)]
enum Slots {
    Plain(Vec<Slot<0>>),
    Momentum(Vec<Slot<1>>),
}

/// PyTorch's name of the running direction.
const NAME: [&str; 1] = ["momentum_buffer"];

impl Sgd {
    /// Optimises the named parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a negative rate, momentum or decay, or Nesterov's momentum without momentum or
    /// with dampening; [`Error::Unsupported`] for two parameters of one name, [`Error::DType`] for whole numbers.
    pub fn new(
        parameters: impl IntoIterator<Item = (String, Var)>,
        config: SgdConfig,
    ) -> Result<Self> {
        check::non_negative("lr", config.lr)?;
        check::non_negative("momentum", config.momentum)?;
        check::finite("dampening", config.dampening)?;
        check::non_negative("weight_decay", config.weight_decay)?;
        if config.nesterov && config.momentum == 0.0 {
            return Err(Error::InvalidParameter {
                name: "momentum",
                value: config.momentum,
                expected: "a number > 0 with nesterov",
            });
        }
        if config.nesterov && config.dampening != 0.0 {
            return Err(Error::InvalidParameter {
                name: "dampening",
                value: config.dampening,
                expected: "0 with nesterov",
            });
        }
        let slots = if config.momentum == 0.0 {
            Slots::Plain(slot::slots(parameters)?)
        } else {
            Slots::Momentum(slot::slots(parameters)?)
        };
        Ok(Self { slots, config })
    }

    fn numbers(config: &SgdConfig, step: u64) -> SgdStep {
        SgdStep {
            lr: config.lr,
            momentum: config.momentum,
            dampening: config.dampening,
            decay: config.weight_decay,
            nesterov: config.nesterov,
            first: step == 1,
        }
    }
}

impl Update<0> for SgdStep {
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], _: [&mut [T]; 0]) {
        SgdStep::apply(self, parameter, gradient, &mut []);
    }

    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        _: &[Tensor; 0],
    ) -> Result<(Tensor, [Tensor; 0])> {
        let gradient = (gradient + (parameter * self.decay)?)?;
        Ok(((parameter - (gradient * self.lr)?)?, []))
    }
}

impl Update<1> for SgdStep {
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], [buffer]: [&mut [T]; 1]) {
        SgdStep::apply(self, parameter, gradient, buffer);
    }

    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        [buffer]: &[Tensor; 1],
    ) -> Result<(Tensor, [Tensor; 1])> {
        let gradient = (gradient + (parameter * self.decay)?)?;
        let buffer = if self.first {
            gradient.clone()
        } else {
            ((buffer * self.momentum)? + (&gradient * (1.0 - self.dampening))?)?
        };
        let direction = if self.nesterov {
            (gradient + (&buffer * self.momentum)?)?
        } else {
            buffer.clone()
        };
        Ok(((parameter - (direction * self.lr)?)?, [buffer]))
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let config = &self.config;
        match &mut self.slots {
            Slots::Plain(slots) => slots
                .iter_mut()
                .try_for_each(|slot| slot.step(gradients, |step| Self::numbers(config, step))),
            Slots::Momentum(slots) => slots
                .iter_mut()
                .try_for_each(|slot| slot.step(gradients, |step| Self::numbers(config, step))),
        }
    }

    fn learning_rate(&self) -> f64 {
        self.config.lr
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.config.lr = learning_rate;
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        match &self.slots {
            Slots::Plain(slots) => slot::state(slots, [], self.config.lr),
            Slots::Momentum(slots) => slot::state(slots, NAME, self.config.lr),
        }
    }

    fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        self.config.lr = match &mut self.slots {
            Slots::Plain(slots) => slot::load_state(slots, [], state)?,
            Slots::Momentum(slots) => slot::load_state(slots, NAME, state)?,
        };
        Ok(())
    }
}
