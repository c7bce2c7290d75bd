//! The builder of a trainer: method, data, and the options of a run.

use std::sync::Arc;

use candle_core::{DType, Device};
use dml_core::{Dataset, Sampler, check};

use crate::closure::Closure;
use crate::hook::{OnEpoch, OnIteration};
use crate::loader::MAX_THREADS;
use crate::{
    Checkpoints, Clip, EmaConfig, Epoch, Hook, HookResult, Iteration, Method, MixedPrecision,
    Result, SubsetBatchMiner, Trainer, Validation,
};

/// Most batches that a step accumulates.
const MAX_ACCUMULATION: usize = 1 << 20;

/// Builds a [`Trainer`]: [`Trainer::builder`], any of the methods here, [`build`](TrainerBuilder::build).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// use dml_train::{Clip, MetricLossOnly, Trainer};
///
/// let method = MetricLossOnly::new(module("trunk", 784, 16)?, objective()?);
/// let mut trainer = Trainer::builder(method, digits()?, sampler()?)
///     .with_seed(7)
///     .with_iterations_per_epoch(3)
///     .with_accumulation(2)
///     .with_clip(Clip::norm(1.0)?)
///     .with_ema(0.999)
///     .build()?;
/// trainer.run(1)?;
/// assert_eq!(trainer.steps(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TrainerBuilder<M> {
    pub(crate) method: M,
    pub(crate) dataset: Arc<dyn Dataset>,
    pub(crate) sampler: Arc<dyn Sampler>,
    pub(crate) seed: u64,
    pub(crate) device: Device,
    pub(crate) input_dtype: Option<DType>,
    pub(crate) mixed_precision: Option<MixedPrecision>,
    pub(crate) loading_threads: usize,
    pub(crate) iterations_per_epoch: Option<u64>,
    pub(crate) accumulation: usize,
    pub(crate) gradient_cache: Option<usize>,
    pub(crate) subset_batch_miner: Option<Box<dyn SubsetBatchMiner>>,
    pub(crate) clip: Option<Clip>,
    pub(crate) measures_gradients: bool,
    pub(crate) ema: Option<EmaConfig>,
    /// Number of steps in which every parameter of a module must have got a gradient; `None` if they need not.
    pub(crate) gradients_within: Option<u64>,
    pub(crate) validation: Option<Validation>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) hooks: Vec<Box<dyn Hook>>,
}

impl<M: Method> TrainerBuilder<M> {
    pub(crate) fn new(method: M, dataset: Arc<dyn Dataset>, sampler: Arc<dyn Sampler>) -> Self {
        Self {
            method,
            dataset,
            sampler,
            seed: 0,
            device: Device::Cpu,
            input_dtype: None,
            mixed_precision: None,
            loading_threads: 1,
            iterations_per_epoch: None,
            accumulation: 1,
            gradient_cache: None,
            subset_batch_miner: None,
            clip: None,
            measures_gradients: false,
            ema: None,
            gradients_within: Some(1),
            validation: None,
            checkpoints: None,
            hooks: Vec::new(),
        }
    }

    dml_core::setters! {
        /// Seed of the random numbers of the data set, such as those of augmentations. Default 0.
        pub fn with_seed(self, seed: u64) { self.seed = seed }

        /// Device of inputs and parameters. Default: the CPU.
        pub fn with_device(self, device: Device) { self.device = device }

        /// Element type that floating-point inputs are converted to, such as that of half-precision parameters. Default: no
        /// conversion.
        pub fn with_input_dtype(self, dtype: DType) { self.input_dtype = Some(dtype) }

        /// Computes in half precision and learns in single. Inputs are converted, as by
        /// [`with_input_dtype`](Self::with_input_dtype). All modules that learn must have parameters in the same half precision,
        /// or in single precision.
        pub fn with_mixed_precision(self, policy: MixedPrecision) {
            self.input_dtype = Some(policy.dtype);
            self.mixed_precision = Some(policy)
        }

        /// Number of threads that fetch batches ahead, at most 1,024; with 0, batches are fetched between the steps. Default 1.
        /// Results do not depend on it.
        pub fn with_loading_threads(self, loading_threads: usize) { self.loading_threads = loading_threads }

        /// Number of iterations of an epoch, at least 1. Default: a pass over the sampler. After a shorter epoch, the next one
        /// continues the pass; a longer one begins another pass.
        pub fn with_iterations_per_epoch(self, iterations: u64) { self.iterations_per_epoch = Some(iterations) }

        /// Number of batches of a step, 1 to 2²⁰, whose gradients are averaged. Default 1.
        pub fn with_accumulation(self, batches: usize) { self.accumulation = batches }

        /// Computes the gradients of a batch `rows` rows at a time, at least 1: batches of any size in the memory of `rows`
        /// rows, for the price of a second forward pass.
        ///
        /// Unlike with accumulation, the loss compares all rows of the batch. The modules must treat each row by itself, which
        /// batch normalisation in training does not. The run ends with an error where a buffer of a module shows this; freeze
        /// its statistics then. Gao et al. 2021 (arXiv 2101.06983).
        pub fn with_gradient_cache(self, rows: usize) { self.gradient_cache = Some(rows) }

        /// Learns from a part of every batch, which the miner chooses by the embeddings of the whole batch (of the first view,
        /// if there are several).
        pub fn with_subset_batch_miner(self, miner: impl SubsetBatchMiner + 'static) {
            self.subset_batch_miner = Some(Box::new(miner))
        }

        /// Clips the gradients of all parameters together, before modules and criteria clip theirs.
        pub fn with_clip(self, clip: Clip) { self.clip = Some(clip) }

        /// Reports the norm of all gradients together, which costs a pass over them.
        pub fn with_gradient_norm(self) { self.measures_gradients = true }

        /// Averages the weights and buffers of the modules that learn, by a decay in [0, 1) or an [`EmaConfig`]. Validation
        /// evaluates the averages.
        ///
        /// A decay alone rises from 2/11 over the first steps, so that the average of a short run is not its first weights.
        /// `EmaConfig { ramp: false, .. }` has the same decay from the first step on.
        pub fn with_ema(self, config: impl Into<EmaConfig>) { self.ema = Some(config.into()) }

        /// Allows parameters that no gradient reaches: they are named in a warning of [`tracing`] instead of
        /// [`TrainError::Unused`](crate::TrainError::Unused).
        ///
        /// Without this, every parameter that is not frozen must get a gradient: a parameter of a module in the first step in
        /// which the module has its turn, a parameter of a criterion within the first epoch, since a batch without pairs reads
        /// none of them. A gradient of zeros counts. Criteria and classifiers of weight 0, and modules that a method
        /// [leaves out](crate::Losses::leaving_out) of a batch, are not expected to get any.
        pub fn allow_unused_parameters(self) { self.gradients_within = None }

        /// Number of steps in which every parameter of a module must have got a gradient at least once, at least 1. Default 1.
        /// For modules of which a batch uses some parameters only, such as a mixture of experts.
        pub fn require_gradients_within(self, steps: u64) { self.gradients_within = Some(steps) }

        /// Evaluates the model between epochs.
        pub fn with_validation(self, validation: Validation) { self.validation = Some(validation) }

        /// Writes checkpoints.
        pub fn with_checkpoints(self, checkpoints: Checkpoints) { self.checkpoints = Some(checkpoints) }

        /// One more hook; they are called in the order in which they came.
        pub fn with_hook(self, hook: impl Hook + 'static) { self.hooks.push(Box::new(hook)) }
    }

    /// Calls a closure after every iteration.
    #[must_use]
    pub fn on_iteration(self, call: impl FnMut(&Iteration) -> HookResult + 'static) -> Self {
        self.with_hook(OnIteration(Box::new(Closure(call))))
    }

    /// Calls a closure after every epoch, with the model.
    #[must_use]
    pub fn on_epoch(self, call: impl FnMut(&Epoch, &dyn Method) -> HookResult + 'static) -> Self {
        self.with_hook(OnEpoch(Box::new(Closure(call))))
    }

    /// The trainer.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a count out of its range, or a decay
    /// outside of [0, 1); [`Error::Unsupported`](dml_core::Error::Unsupported) for a miner before a loss that takes no
    /// tuples; [`TrainError`](crate::TrainError) for parameters without an optimiser, a variable that two
    /// optimisers would move or one would twice, two modules or criteria of one name, a
    /// plateau schedule without a validation or of another direction than its, parameters of another half precision than the run's.
    pub fn build(self) -> Result<Trainer<M>> {
        let batches = self.accumulation;
        let is_count = (1..=MAX_ACCUMULATION).contains(&batches);
        let expected = "a whole number from 1 to 2^20";
        check::whole(is_count, "accumulation", batches, expected)?;
        let threads = self.loading_threads;
        let expected = "a whole number <= 1,024";
        let fits = threads <= MAX_THREADS;
        check::whole(fits, "loading_threads", threads, expected)?;
        if self.gradients_within == Some(0) {
            check::at_least_one("require_gradients_within", 0)?;
        }
        if let Some(rows) = self.gradient_cache {
            check::at_least_one("gradient_cache", rows)?;
        }
        if let Some(iterations) = self.iterations_per_epoch {
            check::at_least_one("iterations_per_epoch", iterations as usize)?;
        }
        for criterion in self.method.criteria() {
            criterion.check_miner()?;
        }
        Trainer::new(self)
    }
}
