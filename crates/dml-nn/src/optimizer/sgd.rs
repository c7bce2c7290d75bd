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

use candle_core::Tensor;
use dml_core::autograd::Element;
use dml_core::{Result, check};

use super::parameter_states::{ParameterStates, Rule, Update};
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
pub struct Sgd(pub(super) ParameterStates<SgdConfig>);

impl Rule for SgdConfig {
    type Update = SgdStep;

    fn checked_rate(&self) -> Result<f64> {
        check::non_negative("momentum", self.momentum)?;
        check::finite("dampening", self.dampening)?;
        check::non_negative("weight_decay", self.weight_decay)?;
        let has_momentum = !self.nesterov || self.momentum != 0.0;
        let expected = "a number > 0 with nesterov";
        check::parameter(has_momentum, "momentum", self.momentum, expected)?;
        let is_plain = !self.nesterov || self.dampening == 0.0;
        check::parameter(is_plain, "dampening", self.dampening, "0 with nesterov")?;
        Ok(self.lr)
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 {
            &[]
        } else {
            &["momentum_buffer"]
        }
    }

    fn update(&self, step: u64, learning_rate: f64) -> SgdStep {
        SgdStep {
            lr: learning_rate,
            momentum: self.momentum,
            dampening: self.dampening,
            decay: self.weight_decay,
            nesterov: self.nesterov,
            first: step == 1,
        }
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
