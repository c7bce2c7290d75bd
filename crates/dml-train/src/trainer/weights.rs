//! The weights of a run to and from files, without the rest of its state.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use dml_core::checkpoint;

use super::Trainer;
use super::named_state::{average_of_buffer, prefix, without_prefix};
use super::parameter_groups::named_parameters;
use crate::{Method, Result, TrainError, Validation};

impl<M: Method> Trainer<M> {
    /// Loads the weights and buffers of the best validation so far. Counters and optimisers stay as they are.
    ///
    /// # Errors
    /// [`TrainError::NoCheckpoint`] if there was no validation or no checkpoint was kept; as
    /// [`resume`](Trainer::resume).
    pub fn load_best(&mut self) -> Result<()> {
        let checkpoints = self.checkpoints()?;
        let best = self.run.validation.as_ref().and_then(Validation::best);
        let step = best.map(|best| best.step);
        let kept = checkpoints.steps()?;
        let Some(step) = step.filter(|step| kept.contains(step)) else {
            return Err(TrainError::NoCheckpoint {
                folder: checkpoints.folder().to_owned(),
                wanted: "best",
            });
        };
        let tensors = checkpoints.read(step)?.tensors;
        self.assign_weights(&tensors)?;
        // Validation evaluated the averages, so these are the best weights.
        let averages = without_prefix(&tensors, prefix::AVERAGES);
        let weights = self.parameters().into_iter().chain(self.masters());
        let buffers = self.buffers().into_iter();
        let buffers = buffers.map(|(name, var)| (average_of_buffer(&name), var));
        for (name, var) in weights.chain(buffers) {
            if let Some(average) = averages.get(&name) {
                let average = average.to_dtype(var.dtype())?;
                var.set(&average.to_device(var.device())?)?;
            }
        }
        Ok(())
    }

    /// Writes the weights and buffers of the modules to a safetensors file, as `module/parameter`.
    ///
    /// # Errors
    /// [`TrainError::Tensors`] if the file can't be written.
    pub fn save_model(&self, path: impl AsRef<Path>) -> Result<()> {
        let modules = self.run.method.modules().into_iter();
        let tensors: HashMap<String, Tensor> = modules
            .flat_map(|module| named_parameters(module.parameter_group()))
            .chain(self.buffers())
            .map(|(name, var)| (name, var.as_tensor().clone()))
            .collect();
        Ok(checkpoint::save(path.as_ref(), &tensors)?)
    }

    /// Sets parameters, their masters and buffers to the tensors of a checkpoint. Nothing is set unless all of them fit.
    pub(super) fn assign_weights(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        let kinds = self.variables();
        for (prefix, variables) in &kinds {
            let variables = variables
                .iter()
                .map(|(name, var)| (name.as_str(), var.as_tensor()));
            checkpoint::fits(variables, &without_prefix(tensors, prefix))?;
        }
        for (prefix, variables) in kinds {
            for (name, var) in variables {
                let tensor = &tensors[&format!("{prefix}{name}")];
                var.set(&tensor.to_device(var.device())?)?;
            }
        }
        Ok(())
    }
}
