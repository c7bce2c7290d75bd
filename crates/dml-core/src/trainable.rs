//! Modules that list what a training loop saves and restores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{ModuleT, Var};

use crate::SeedSequence;

/// Parameters, buffers, seeds and statistics of a module.
///
/// ```
/// use dml_core::{Contents, SeedSequence};
///
/// let dropout = Contents { seeds: vec![SeedSequence::new(7)], ..Contents::default() };
/// assert!(dropout.parameters.is_empty() && dropout.buffers.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Contents {
    /// Learned parameters by name.
    pub parameters: Vec<(String, Var)>,
    /// Tensors that change without being learned, by name: the running statistics of batch normalisation.
    pub buffers: Vec<(String, Var)>,
    /// Sources of randomness: [handles](SeedSequence::handle).
    pub seeds: Vec<SeedSequence>,
    /// Running statistics of batch normalisation: handles that freeze them.
    pub statistics: Vec<RunningStatistics>,
}

/// A handle on the running statistics of one batch normalisation. Clones share the switch.
///
/// Frozen statistics are used in training, too, and are not updated.
///
/// ```
/// use dml_core::RunningStatistics;
/// use dml_core::candle_core::{DType, Device, Var};
///
/// let statistics = RunningStatistics::new(Var::zeros(3, DType::F32, &Device::Cpu)?);
/// let handle = statistics.clone();
/// handle.set_frozen(true);
/// assert!(statistics.is_frozen());
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunningStatistics {
    mean: Var,
    frozen: Arc<AtomicBool>,
}

impl RunningStatistics {
    /// Statistics that are not frozen. `mean` is the buffer of the running mean, by which a module finds their name.
    #[must_use]
    pub fn new(mean: Var) -> Self {
        let frozen = Arc::default();
        Self { mean, frozen }
    }

    /// The buffer of the running mean.
    #[must_use]
    pub fn mean(&self) -> &Var {
        &self.mean
    }

    /// Whether the statistics are frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// Freezes the statistics, or updates them again.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }
}

/// A module that lists its [`Contents`], which checkpoints save and resumed runs restore.
///
/// ```
/// use dml_core::candle_core::{Device, ModuleT, Result, Tensor, Var};
/// use dml_core::{Contents, Trainable};
///
/// /// Multiplies by a number that it learns.
/// struct Scale(Var);
/// impl ModuleT for Scale {
///     fn forward_t(&self, x: &Tensor, _train: bool) -> Result<Tensor> {
///         x.broadcast_mul(&self.0)
///     }
/// }
/// impl Trainable for Scale {
///     fn contents(&self) -> Contents {
///         Contents { parameters: vec![("scale".to_owned(), self.0.clone())], ..Contents::default() }
///     }
/// }
/// let scale = Scale(Var::new(&[2f32], &Device::Cpu)?);
/// assert_eq!(scale.contents().parameters[0].0, "scale");
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait Trainable: ModuleT {
    /// Parameters, buffers, seeds and statistics.
    fn contents(&self) -> Contents;
}
