//! Optimisers: steps along gradients, with a state that checkpoints hold.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};

use crate::Result;
use crate::checkpoint::{self, CheckpointError};
use crate::forward;

/// Changes parameters by their gradients.
///
/// Parameters without a gradient are left as they are.
///
/// ```
/// use std::collections::HashMap;
/// use dml_core::candle_core::{Device, Tensor, Var, backprop::GradStore};
/// use dml_core::{CheckpointError, Optimizer, Result};
///
/// /// Gradient descent, which has no state.
/// #[derive(Debug)]
/// struct Descent {
///     parameters: Vec<Var>,
///     learning_rate: f64,
/// }
///
/// impl Optimizer for Descent {
///     fn step(&mut self, gradients: &GradStore) -> Result<()> {
///         for parameter in &self.parameters {
///             if let Some(gradient) = gradients.get(parameter.as_tensor()) {
///                 parameter.set(&(parameter.as_tensor() - (gradient * self.learning_rate)?)?)?;
///             }
///         }
///         Ok(())
///     }
///     fn learning_rate(&self) -> f64 {
///         self.learning_rate
///     }
///     fn set_learning_rate(&mut self, learning_rate: f64) {
///         self.learning_rate = learning_rate;
///     }
///     fn state(&self) -> Result<HashMap<String, Tensor>> {
///         Ok(HashMap::new())
///     }
///     fn load_state(&mut self, _: &HashMap<String, Tensor>) -> std::result::Result<(), CheckpointError> {
///         Ok(())
///     }
/// }
///
/// let x = Var::new(3f32, &Device::Cpu)?;
/// let mut descent = Descent { parameters: vec![x.clone()], learning_rate: 0.25 };
/// descent.step(&x.sqr()?.backward()?)?;
/// assert_eq!(x.to_scalar::<f32>()?, 1.5);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Optimizer: Debug + Send {
    /// One step.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if a gradient does not lie beside its parameter.
    fn step(&mut self, gradients: &GradStore) -> Result<()>;

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the next step, for schedules.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// State that the next step depends on besides parameters and gradients, by name.
    ///
    /// # Errors
    /// [`Error::Tensor`](crate::Error::Tensor) if Candle can't hold it.
    fn state(&self) -> Result<HashMap<String, Tensor>>;

    /// Restores a state that an optimiser of the same parameters had. Nothing is changed unless all of it fits.
    ///
    /// # Errors
    /// [`CheckpointError`] for a tensor that is missing, has no place, or is of another shape or element type.
    fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError>;

    /// Writes the state to a safetensors file. A file that is there is replaced once all of the state is written.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file can't be written.
    fn save(&self, path: &Path) -> std::result::Result<(), CheckpointError> {
        let state = self.state().map_err(candle_core::Error::from)?;
        checkpoint::save(path, &state)
    }

    /// Restores the state from a safetensors file: the next steps are those that would have followed.
    ///
    /// # Errors
    /// As [`load_state`](Optimizer::load_state), and if the file can't be read.
    fn load(&mut self, path: &Path) -> std::result::Result<(), CheckpointError> {
        self.load_state(&checkpoint::load(path, &Device::Cpu)?)
    }
}

type Outcome = std::result::Result<(), CheckpointError>;

forward!(Optimizer for [&mut T, Box<T>] {
    fn learning_rate(&self) -> f64;
    fn state(&self) -> Result<HashMap<String, Tensor>>;
    fn save(&self, path: &Path) -> Outcome;
} mut {
    fn step(&mut self, gradients: &GradStore) -> Result<()>;
    fn set_learning_rate(&mut self, learning_rate: f64);
    fn load_state(&mut self, state: &HashMap<String, Tensor>) -> Outcome;
    fn load(&mut self, path: &Path) -> Outcome;
});
