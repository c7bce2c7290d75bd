//! Adam, and Adam with decoupled weight decay.
//!
//! ```text
//! g ← g + λθ   (Adam)                       θ ← (1 − lr·λ) θ   (AdamW)
//! m ← β₁ m + (1 − β₁) g                     v ← β₂ v + (1 − β₂) g²
//! θ ← θ − lr · m̂ / (√v̂ + ε)                 m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
//! ```
//!
//! Kingma & Ba 2015 (arXiv 1412.6980); Loshchilov & Hutter 2019 (arXiv 1711.05101). Steps t are counted for each
//! parameter.

use candle_core::Tensor;
use dml_core::autograd::Element;
use dml_core::{Result, check};

use super::parameter_states::{ParameterStates, Rule, Update};
use crate::kernels::optimizer::AdamStep;

dml_core::config! {
    /// Configuration of [`Adam`].
    pub struct AdamConfig {
        /// Learning rate, in `[0, 1e30]`. Default 0.001.
        pub lr: f64 = 1e-3,
        /// β₁ and β₂, the decay rates of the first and the second moment, in `[0, 1)`. Default 0.9 and 0.999.
        pub betas: [f64; 2] = [0.9, 0.999],
        /// ε, added to the root of the second moment, in `[0, 1e30]`. Default 1e-8.
        pub eps: f64 = 1e-8,
        /// λ, the weight decay (L2), in `[0, 1e30]`: `weight_decay · parameter` is added to the gradient. Default 0.
        pub weight_decay: f64 = 0.0,
    }
}

dml_core::config! {
    /// Configuration of [`AdamW`].
    pub struct AdamWConfig {
        /// Learning rate, in `[0, 1e30]`. Default 0.001.
        pub lr: f64 = 1e-3,
        /// β₁ and β₂, the decay rates of the first and the second moment, in `[0, 1)`. Default 0.9 and 0.999.
        pub betas: [f64; 2] = [0.9, 0.999],
        /// ε, added to the root of the second moment, in `[0, 1e30]`. Default 1e-8.
        pub eps: f64 = 1e-8,
        /// λ, the decoupled weight decay, in `[0, 1e30]`: a step subtracts `lr · weight_decay · parameter`. Default 0.01.
        pub weight_decay: f64 = 1e-2,
    }
}

/// Adam ([formula](self)).
///
/// ```
/// use candle_core::{Device, Var};
/// use dml_nn::{Adam, AdamConfig, Optimizer};
///
/// let x = Var::new(3f64, &Device::Cpu)?;
/// let mut adam = Adam::new([("x".to_owned(), x.clone())], AdamConfig { lr: 0.5, ..Default::default() })?;
/// for _ in 0..100 {
///     adam.step(&x.sqr()?.backward()?)?;
/// }
/// assert!(x.to_scalar::<f64>()?.abs() < 0.1);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Adam(pub(super) ParameterStates<AdamConfig>);

/// Adam with decoupled weight decay ([formula](self)).
///
/// ```
/// use candle_core::{Device, Var};
/// use dml_nn::{AdamW, AdamWConfig, Optimizer};
///
/// let x = Var::new(2f64, &Device::Cpu)?;
/// let config = AdamWConfig { lr: 0.5, weight_decay: 0.1, ..Default::default() };
/// let mut adam = AdamW::new([("x".to_owned(), x.clone())], config)?;
/// adam.step(&x.sqr()?.backward()?)?;
/// // Weight decay: (1 − 0.5 · 0.1) · 2 = 1.9. The first step of Adam is the learning rate.
/// assert!((x.to_scalar::<f64>()? - 1.4).abs() < 1e-6);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct AdamW(pub(super) ParameterStates<AdamWConfig>);

fn check_numbers(betas: [f64; 2], eps: f64, weight_decay: f64) -> Result<()> {
    check::non_negative("eps", eps)?;
    check::non_negative("weight_decay", weight_decay)?;
    for beta in betas {
        let ok = (0.0..1.0).contains(&beta);
        check::parameter(ok, "betas", beta, "numbers in [0, 1)")?;
    }
    Ok(())
}

impl AdamStep {
    /// A step without weight decay.
    fn new([beta1, beta2]: [f64; 2], eps: f64, step: u64, learning_rate: f64) -> Self {
        Self {
            first_rate: 1.0 - beta1,
            second_decay: beta2,
            step_size: learning_rate / (1.0 - beta1.powf(step as f64)),
            root_correction: (1.0 - beta2.powf(step as f64)).sqrt(),
            eps,
            coupled_decay: 0.0,
            shrink: 1.0,
        }
    }
}

/// PyTorch's names of the first and the second moment.
const BUFFERS: &[&str] = &["exp_avg", "exp_avg_sq"];

impl Rule for AdamConfig {
    type Update = AdamStep;

    fn checked_rate(&self) -> Result<f64> {
        check_numbers(self.betas, self.eps, self.weight_decay)?;
        Ok(self.lr)
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        BUFFERS
    }

    fn update(&self, step: u64, learning_rate: f64) -> AdamStep {
        AdamStep {
            coupled_decay: self.weight_decay,
            ..AdamStep::new(self.betas, self.eps, step, learning_rate)
        }
    }
}

impl Rule for AdamWConfig {
    type Update = AdamStep;

    fn checked_rate(&self) -> Result<f64> {
        check_numbers(self.betas, self.eps, self.weight_decay)?;
        Ok(self.lr)
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        BUFFERS
    }

    fn update(&self, step: u64, learning_rate: f64) -> AdamStep {
        AdamStep {
            shrink: 1.0 - learning_rate * self.weight_decay,
            ..AdamStep::new(self.betas, self.eps, step, learning_rate)
        }
    }
}

impl Update for AdamStep {
    fn apply<T: Element>(&self, parameter: &mut [T], gradient: &[T], buffers: &mut [&mut [T]]) {
        if let [first, second] = buffers {
            AdamStep::apply(self, parameter, gradient, first, second);
        }
    }

    fn composite(
        &self,
        parameter: &Tensor,
        gradient: &Tensor,
        buffers: &[Tensor],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let (first, second) = (&buffers[0], &buffers[1]);
        let gradient = (gradient + (parameter * self.coupled_decay)?)?;
        let first = (first + ((&gradient - first)? * self.first_rate)?)?;
        let squares = (gradient.sqr()? * (1.0 - self.second_decay))?;
        let second = ((second * self.second_decay)? + squares)?;
        let root = ((second.sqrt()? / self.root_correction)? + self.eps)?;
        let change = ((&first * self.step_size)? / root)?;
        Ok((((parameter * self.shrink)? - change)?, vec![first, second]))
    }
}
