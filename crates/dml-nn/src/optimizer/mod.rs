//! Optimisers that update parameters in place, in one pass over memory for each parameter and step.

pub mod adam;
mod in_place;
mod parameter_states;
pub mod sgd;

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use dml_core::{CheckpointError, Result};

pub use dml_core::Optimizer;

pub use adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use sgd::{Sgd, SgdConfig};

use parameter_states::ParameterStates;

macro_rules! optimizers {
    ($($(#[$of_new:meta])* $Name:ident by $Rule:ident;)+) => {$(
        impl $Name {
            /// An optimiser of named parameters.
            ///
            /// # Errors
            $(#[$of_new])*
            pub fn new(
                parameters: impl IntoIterator<Item = (String, Var)>,
                config: $Rule,
            ) -> Result<Self> {
                ParameterStates::new(parameters, config).map(Self)
            }
        }

        impl From<f64> for $Rule {
            /// The default configuration, but for the learning rate.
            fn from(lr: f64) -> Self {
                Self { lr, ..Self::default() }
            }
        }

        impl Optimizer for $Name {
            fn step(&mut self, gradients: &GradStore) -> Result<()> {
                self.0.step(gradients)
            }

            fn learning_rate(&self) -> f64 {
                self.0.learning_rate
            }

            fn set_learning_rate(&mut self, learning_rate: f64) {
                self.0.learning_rate = learning_rate;
            }

            fn state(&self) -> Result<HashMap<String, Tensor>> {
                self.0.state()
            }

            fn load_state(
                &mut self,
                state: &HashMap<String, Tensor>,
            ) -> std::result::Result<(), CheckpointError> {
                self.0.load_state(state)
            }
        }
    )+};
}
optimizers! {
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a negative rate, ε or decay or a β outside [0, 1),
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) for two parameters of one name,
    /// [`Error::DType`](dml_core::Error::DType) for whole numbers.
    Adam by AdamConfig;

    /// As [`Adam::new`].
    AdamW by AdamWConfig;

    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a negative rate, momentum or decay, or Nesterov's
    /// momentum without momentum or with dampening; [`Error::Unsupported`](dml_core::Error::Unsupported) for two parameters of
    /// one name, [`Error::DType`](dml_core::Error::DType) for whole numbers.
    Sgd by SgdConfig;
}

#[cfg(test)]
mod tests;
