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
use dml_core::checkpoint::CheckpointError;
use dml_core::{Error, Result, check};

use super::Optimizer;
use super::parameter_states::{ParameterStates, Update};
use crate::kernels::optimizer::SgdStep;

dml_core::config! {
    /// Configuration of [`Sgd`].
    pub struct SgdConfig {
        /// Learning rate, in `[0, 1e30]`. Default 0.001.
        pub lr: f64 = 1e-3,
        /// μ, the momentum, in `[0, 1e30]`: the decay of the momentum buffer in a step. Default 0, without a buffer.
        pub momentum: f64 = 0.0,
        /// d, the dampening of the momentum buffer, in `[-1e30, 1e30]`: `1 − d` times the gradient is added. Default 0.
        pub dampening: f64 = 0.0,
        /// λ, the weight decay (L2), in `[0, 1e30]`: `weight_decay · parameter` is added to the gradient. Default 0.
        pub weight_decay: f64 = 0.0,
        /// Nesterov's momentum; requires momentum and no dampening. Default false.
        pub nesterov: bool = false,
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
    parameters: ParameterStates,
    config: SgdConfig,
}

impl Sgd {
    /// An optimiser of named parameters.
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
        let buffers: &[&str] = if config.momentum == 0.0 {
            &[]
        } else {
            &["momentum_buffer"]
        };
        Ok(Self {
            parameters: ParameterStates::new(parameters, buffers)?,
            config,
        })
    }
}

impl Update for SgdStep {
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], buffers: &mut [&mut [T]]) {
        match buffers {
            [buffer] => SgdStep::apply(self, parameter, gradient, buffer),
            _ => SgdStep::apply(self, parameter, gradient, &mut []),
        }
    }

    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        buffers: &[Tensor],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let gradient = (gradient + (parameter * self.decay)?)?;
        let [buffer] = buffers else {
            return Ok(((parameter - (gradient * self.lr)?)?, Vec::new()));
        };
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
        Ok(((parameter - (direction * self.lr)?)?, vec![buffer]))
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let config = &self.config;
        self.parameters.step(gradients, |step| SgdStep {
            lr: config.lr,
            momentum: config.momentum,
            dampening: config.dampening,
            decay: config.weight_decay,
            nesterov: config.nesterov,
            first: step == 1,
        })
    }

    fn learning_rate(&self) -> f64 {
        self.config.lr
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.config.lr = learning_rate;
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        self.parameters.state(self.config.lr)
    }

    fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        self.config.lr = self.parameters.load_state(state)?;
        Ok(())
    }
}
