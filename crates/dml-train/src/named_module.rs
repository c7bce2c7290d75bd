//! Modules of a run: Candle modules with their parameters, buffers and random sequences.

use candle_core::{Tensor, Var};
use candle_nn::ModuleT;
use dml_core::{Contents, Error, Result, RunningStatistics, SeedSequence, Trainable, no_grad};

use crate::ParameterGroup;
use crate::parameter_group::parameter_group_methods;

/// A named module: trunk, embedder, classifier, generator.
///
/// [`NamedModule::of`] takes a [`Trainable`], which has its parameters, buffers, seeds and statistics. Candle's modules do not have them,
/// so they are given with the module: parameters, buffers such as running means, and the seeds of dropout. Checkpoints
/// contain all three.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{VarBuilder, VarMap, linear};
/// use dml_nn::{Adam, AdamConfig};
/// use dml_train::{Clip, NamedModule};
///
/// let variables = VarMap::new();
/// let module = linear(4, 2, VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
/// let trunk = NamedModule::from_var_map("trunk", module, &variables)?
///     .with_optimizer(|parameters| Adam::new(parameters, AdamConfig::default()))?
///     .with_clip(Clip::norm(1.0)?);
/// let embeddings = trunk.forward(&Tensor::zeros((3, 4), DType::F32, &Device::Cpu)?, true)?;
/// assert_eq!(embeddings.dims(), [3, 2]);
/// assert_eq!(trunk.parameter_group().parameters().len(), 2);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub struct NamedModule {
    module: Box<dyn ModuleT>,
    pub(crate) group: ParameterGroup,
    buffers: Vec<(String, Var)>,
    pub(crate) seeds: Vec<SeedSequence>,
}

impl NamedModule {
    /// A module that has its parameters, buffers and seeds, such as the layers of `dml-nn`. Names are unique in a run.
    pub fn of(name: impl Into<String>, module: impl Trainable + 'static) -> Self {
        let Contents {
            parameters,
            buffers,
            seeds,
            statistics,
        } = module.contents();
        Self::new(name, module, parameters)
            .with_buffers(buffers)
            .with_seeds(seeds)
            .with_statistics(&statistics)
    }

    /// Any module, with the parameters that it reads, by name. Set its buffers and random sequences by
    /// [`with_buffers`](NamedModule::with_buffers) and [`with_seeds`](NamedModule::with_seeds). Names are unique in a run.
    pub fn new(
        name: impl Into<String>,
        module: impl ModuleT + 'static,
        parameters: impl IntoIterator<Item = (String, Var)>,
    ) -> Self {
        Self {
            module: Box::new(module),
            group: ParameterGroup::new(name, parameters),
            buffers: Vec::new(),
            seeds: Vec::new(),
        }
    }

    /// A module made from a [`VarBuilder`](candle_nn::VarBuilder) over `variables`, all of which are its parameters.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) if a thread failed while it changed the map.
    pub fn from_var_map(
        name: impl Into<String>,
        module: impl ModuleT + 'static,
        variables: &candle_nn::VarMap,
    ) -> Result<Self> {
        let data = variables.data().lock();
        let reason = "a thread failed while it changed the map of variables";
        let data = data.map_err(|_| Error::unsupported("NamedModule::from_var_map", reason))?;
        let parameters = data.iter().map(|(name, var)| (name.clone(), var.clone()));
        let mut parameters: Vec<(String, Var)> = parameters.collect();
        // A map has no order, and sums over parameters shall have one.
        parameters.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self::new(name, module, parameters))
    }

    dml_core::setters! {
        /// Sets the buffers: variables that the module changes without learning them, such as running means.
        pub fn with_buffers(self, buffers: impl IntoIterator<Item = (String, Var)>) {
            self.buffers = buffers.into_iter().collect()
        }

        /// Sets [handles](SeedSequence::handle) of the random sequences of the module. Without those of its dropout, a run can
        /// neither be resumed exactly nor use a gradient cache.
        pub fn with_seeds(self, seeds: impl IntoIterator<Item = SeedSequence>) {
            self.seeds = seeds.into_iter().collect()
        }

        /// Sets the running statistics that are frozen in epochs in which the parameters beside them are. Their buffers must have
        /// been [set](NamedModule::with_buffers) before.
        ///
        /// A module that is frozen as a whole works as outside of training anyway; this is for
        /// [`with_parameter_rules`](NamedModule::with_parameter_rules).
        pub fn with_statistics(self, statistics: &[RunningStatistics]) {
            self.group.follow_statistics(statistics, &self.buffers)
        }
    }

    parameter_group_methods!();

    /// The output of the module. A frozen module works as outside of training, and no gradient passes it.
    ///
    /// # Errors
    /// As the module.
    pub fn forward(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        if self.group.is_frozen() {
            return Ok(no_grad(|| self.module.forward_t(input, false))?.detach());
        }
        Ok(self.module.forward_t(input, train)?)
    }

    /// The output of the module. Gradients pass to its input even if it is frozen, so that modules before it learn.
    ///
    /// # Errors
    /// As the module.
    pub fn forward_through(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let train = train && !self.group.is_frozen();
        Ok(self.module.forward_t(input, train)?)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.group.name()
    }

    /// The buffers: variables that the module changes without learning them.
    #[must_use]
    pub fn buffers(&self) -> &[(String, Var)] {
        &self.buffers
    }

    /// The random sequences of the module.
    #[must_use]
    pub fn seeds(&self) -> &[SeedSequence] {
        &self.seeds
    }
}

dml_core::debug_fields!(NamedModule, |own| {
    group: own.group,
    buffers: own.buffers.len(),
    seeds: own.seeds,
});
