//! Errors of a run. Every message names the module, file or hook.

use std::io;
use std::path::{Path, PathBuf};

use candle_core::DType;
use dml_core::CheckpointError;
use dml_core::folder_lock::FolderLockError;

use crate::schedule::Better;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, TrainError>;

/// Any error of a hook or a validation.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in a run.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dml_train::{MetricLossOnly, NamedModule, TrainError, Trainer};
///
/// // A module with parameters, and no optimiser.
/// # let parameters = module("trunk", 784, 16)?.parameter_group().parameters().to_vec();
/// let trunk = NamedModule::new("trunk", |x: &candle_core::Tensor| x.flatten_from(1), parameters);
/// let method = MetricLossOnly::new(trunk, objective()?);
/// let error = Trainer::builder(method, digits()?, sampler()?).build().unwrap_err();
/// assert!(matches!(error, TrainError::NoOptimizer { group } if group == "trunk"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A distance, miner, loss, data set or layer failed.
    #[error(transparent)]
    Core(#[from] dml_core::Error),
    /// Parameters have no optimiser and are not frozen.
    #[error("{group}: has parameters and no optimizer; give it one, or freeze it")]
    NoOptimizer {
        /// The module or criterion.
        group: String,
    },
    /// A plateau schedule gets no value, since the run has no validation.
    #[error(
        "{group}: has a plateau schedule, and the run no validation; give it one by with_validation"
    )]
    PlateauWithoutValidation {
        /// The module or criterion.
        group: String,
    },
    /// A plateau schedule and the validation improve in different directions.
    #[error(
        "{group}: expected a plateau schedule whose better is {expected:?}, as the validation's, got {got:?}"
    )]
    PlateauDirection {
        /// The module or criterion.
        group: String,
        /// Direction of the validation.
        expected: Better,
        /// Direction of the schedule.
        got: Better,
    },
    /// Two modules or criteria have the same name, which is their key in checkpoints.
    #[error("{name}: two modules or criteria have this name")]
    SameName {
        /// The name.
        name: String,
    },
    /// A variable would be moved by two optimisers.
    #[error("{parameter}: belongs to {first} and to {second}")]
    Shared {
        /// The variable's name in the second.
        parameter: String,
        /// The first module or criterion.
        first: String,
        /// The second module or criterion.
        second: String,
    },
    /// An optimiser would move a variable twice a step.
    #[error(
        "{second} of {group}: is the variable that is called {first}; expected every variable once"
    )]
    Twice {
        /// The module or criterion.
        group: String,
        /// One name of the variable.
        first: String,
        /// Another.
        second: String,
    },
    /// A parameter has another element type than mixed precision computes in.
    #[error("{parameter} of {group}: expected element type {expected:?} or F32, got {got:?}")]
    ParameterType {
        /// The module or criterion.
        group: String,
        /// The parameter.
        parameter: String,
        /// Element type of mixed precision.
        expected: DType,
        /// Element type of the parameter.
        got: DType,
    },
    /// An operation of the model, or of its gradient, is not available in half precision on this device.
    #[error(
        "mixed precision: {operation} can't be computed in {dtype:?} on this device; use another, or single precision"
    )]
    Precision {
        /// The operation.
        operation: &'static str,
        /// The element type.
        dtype: DType,
    },
    /// A loss, embedding, gradient, buffer or parameter is not finite. The step was not made, and no checkpoint was written
    /// after it. Weights, buffers,
    /// random sequences and the position in the data are as before the iteration. The exception is a parameter that an
    /// earlier step made infinite or NaN: it stays so, and the latest checkpoint is the last good state.
    #[error(
        "epoch {epoch}, iteration {iteration}: {what}; the loss is {loss}, the learning rate {}; no step was made and no \
         checkpoint written since",
        rates(learning_rates)
    )]
    NonFinite {
        /// The value that is not finite.
        what: Box<NonFinite>,
        /// The epoch, from 1.
        epoch: u64,
        /// The iteration of the epoch, from 0.
        iteration: u64,
        /// Weighted sum of all losses.
        loss: f64,
        /// Learning rate of every module and criterion that makes steps.
        learning_rates: Vec<(String, f64)>,
    },
    /// Steps in half precision were skipped until the loss scale reached its minimum.
    #[error(
        "epoch {epoch}, iteration {iteration}: {what} at a loss scale of {scale}, and the smallest allowed is {min_scale}; \
         the loss is {loss}, the learning rate {}; no step was made",
        rates(learning_rates)
    )]
    LossScale {
        /// The value that is not finite.
        what: Box<NonFinite>,
        /// The epoch, from 1.
        epoch: u64,
        /// The iteration of the epoch, from 0.
        iteration: u64,
        /// Weighted sum of all losses.
        loss: f64,
        /// Learning rate of every module and criterion that makes steps.
        learning_rates: Vec<(String, f64)>,
        /// Loss scale of the iteration.
        scale: f64,
        /// Smallest loss scale of the configuration.
        min_scale: f64,
    },
    /// The learning rate by base rate and schedules is NaN or infinite.
    #[error(
        "{group}: expected a finite learning rate, got {got} after {steps} steps; check its schedules"
    )]
    LearningRate {
        /// The module or criterion.
        group: String,
        /// The learning rate.
        got: f64,
        /// Steps made so far.
        steps: u64,
    },
    /// Parameters that should learn got no gradient.
    #[error(
        "no gradient reaches {}; some operations of Candle have no backward pass and cut the graph without an error \
         (layer_norm, rms_norm, softmax_last_dim, rope, and the modules LayerNorm and RmsNorm): use forms made of basic \
         operations, such as layer_norm_slow, freeze the modules, or call allow_unused_parameters",
        listed(parameters)
    )]
    Unused {
        /// All of them, as `group/parameter`.
        parameters: Vec<String>,
    },
    /// Code of a data set or sampler panicked.
    #[error("{component}: panicked: {message}")]
    Panicked {
        /// `data set` or `sampler`.
        component: &'static str,
        /// What the panic said.
        message: String,
    },
    /// An earlier step failed while optimisers moved the parameters, so that some have moved and others have not.
    #[error(
        "an earlier step failed halfway, so the weights belong to no step; resume from the latest checkpoint"
    )]
    Interrupted,
    /// The sampler has no batch, so an epoch would never end.
    #[error("sampler: expected at least one batch in pass {pass}, got none")]
    NoBatches {
        /// The pass over the data, from 1.
        pass: u64,
    },
    /// An operation on a file failed.
    #[error("can't {action} {}", path.display())]
    Io {
        /// The operation, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Tensors of a checkpoint do not fit the run, or can't be written or read.
    #[error("can't take or keep the tensors of the run")]
    Tensors(#[from] CheckpointError),
    /// A file of a checkpoint is damaged or was written by something else.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        problem: String,
    },
    /// A checkpoint was written by another version of this crate.
    #[error(
        "{}: expected a checkpoint of format {expected}, got format {got}; resume with the version of dml that wrote it, or begin anew in another folder",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that this version reads and writes.
        expected: u32,
        /// The format of the checkpoint.
        got: u32,
    },
    /// Another run is writing checkpoints to the folder, or the folder can't be locked.
    #[error(transparent)]
    Locked(FolderLockError),
    /// A new run would write among the checkpoints of an earlier one.
    #[error("{}: holds the checkpoints of an earlier run; resume it, or choose another folder", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The checkpoint belongs to a run with other random numbers.
    #[error("{name}: expected the random sequences {expected:?} of the checkpoint, got {got:?}")]
    Seeds {
        /// The module or criterion, or `data set`.
        name: String,
        /// The seeds in the checkpoint.
        expected: Vec<u64>,
        /// The seeds of the run.
        got: Vec<u64>,
    },
    /// The checkpoint belongs to a run over other data, or with other batches.
    #[error("{what}: expected {expected} as in the checkpoint, got {got}")]
    OtherData {
        /// Rows, labels, batches, or what a pass holds.
        what: &'static str,
        /// Value in the checkpoint.
        expected: String,
        /// Value of the run.
        got: String,
    },
    /// There is no checkpoint to read.
    #[error("{}: found no {wanted} checkpoint", folder.display())]
    NoCheckpoint {
        /// The folder.
        folder: PathBuf,
        /// The wanted one: `latest`, `best` or `such`.
        wanted: &'static str,
    },
    /// A hook failed.
    #[error("hook {name} failed")]
    Hook {
        /// Its name.
        name: String,
        /// Why.
        source: AnyError,
    },
    /// The validation failed.
    #[error("the validation failed")]
    Validation(#[source] AnyError),
}

/// A value of a step that is NaN or infinite.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NonFinite {
    /// A loss, weighted.
    #[error("the loss {name} is {value}")]
    Loss {
        /// Its name.
        name: String,
        /// Its value.
        value: f64,
    },
    /// Embeddings.
    #[error("the embeddings hold NaN or infinity")]
    Embeddings,
    /// The gradient of a parameter.
    #[error("the gradient of {parameter} of {group} holds NaN or infinity")]
    Gradient {
        /// The module or criterion.
        group: String,
        /// The parameter.
        parameter: String,
    },
    /// A buffer, such as a running variance, that was finite before the step.
    #[error("the buffer {buffer} became NaN or infinite")]
    Buffer {
        /// Module and name, as `module/buffer`.
        buffer: String,
    },
    /// A parameter itself, after an earlier step.
    #[error("the parameter {parameter} of {group} is NaN or infinite")]
    Parameter {
        /// The module or criterion.
        group: String,
        /// The parameter.
        parameter: String,
    },
}

/// Learning rates in a sentence.
fn rates(rates: &[(String, f64)]) -> String {
    let rates: Vec<String> = rates
        .iter()
        .map(|(name, rate)| format!("{rate} ({name})"))
        .collect();
    match rates.is_empty() {
        true => "unknown".to_owned(),
        false => rates.join(", "),
    }
}

/// The first names of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more parameters"),
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}

impl TrainError {
    /// The same error, told as one of mixed precision if that is what it is.
    pub(crate) fn of_precision(self) -> Self {
        fn cause(error: &candle_core::Error) -> Option<TrainError> {
            use candle_core::Error;
            match error {
                Error::UnsupportedDTypeForOp(dtype, operation) => Some(TrainError::Precision {
                    operation,
                    dtype: *dtype,
                }),
                Error::WithBacktrace { inner, .. } => cause(inner),
                _ => None,
            }
        }
        match &self {
            Self::Core(dml_core::Error::Tensor(error)) => cause(error).unwrap_or(self),
            _ => self,
        }
    }

    /// An error of a hook.
    pub(crate) fn hook(name: &str, source: AnyError) -> Self {
        Self::Hook {
            name: name.to_owned(),
            source,
        }
    }

    /// For `map_err`: what was tried with which file.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// For `map_err`: a file whose contents make no sense.
    pub(crate) fn damaged<'a, E: std::fmt::Display>(path: &'a Path) -> impl FnOnce(E) -> Self + 'a {
        move |problem| Self::Damaged {
            path: path.to_path_buf(),
            problem: problem.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use dml_core::with_causes;

    use super::*;

    /// Every error that has a cause, from an error of the system up.
    fn nested() -> Vec<TrainError> {
        let system = || io::Error::from_raw_os_error(28);
        let path = || PathBuf::from("some/file");
        let file = || CheckpointError::File {
            path: path(),
            source: system().into(),
        };
        let io = || TrainError::Io {
            action: "write",
            path: path(),
            source: system(),
        };
        let hook = |name: &str, source| TrainError::Hook {
            name: name.to_owned(),
            source,
        };
        let locked = FolderLockError::Io {
            path: path(),
            source: system(),
        };
        vec![
            io(),
            TrainError::Tensors(file()),
            TrainError::Core(dml_core::Error::Dataset(Box::new(io()))),
            TrainError::Locked(locked),
            hook("log", Box::new(io())),
            hook(
                "outer",
                Box::new(hook("inner", Box::new(TrainError::Tensors(file())))),
            ),
            TrainError::Validation(Box::new(io())),
        ]
    }

    #[test]
    fn no_error_repeats_the_text_of_its_cause() {
        for error in nested() {
            let mut all = vec![error.to_string()];
            let mut cause = error.source();
            while let Some(own) = cause {
                all.push(own.to_string());
                cause = own.source();
            }
            for pair in all.windows(2) {
                assert!(!pair[0].contains(&pair[1]), "{all:?}");
            }
            let whole = all.join(": ");
            assert_eq!(with_causes(&error).to_string(), whole);
            assert_eq!(whole.matches("(os error 28)").count(), 1, "{whole}");
            assert_eq!(whole.matches("some/file").count(), 1, "{whole}");
        }
    }
}
