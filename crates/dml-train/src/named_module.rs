//! Pieces of the model: a Candle module with what a run has to know of it.

use std::fmt;

use candle_core::{Tensor, Var};
use candle_nn::ModuleT;
use dml_core::{Contents, Result, SeedSequence, Trainable};

use crate::ParameterGroup;
use crate::parameter_group::parameter_group_methods;

/// A named module: trunk, embedder, classifier, generator.
///
/// A [`Trainable`] says what it learns, remembers and draws from, and becomes a module by [`NamedModule::of`]. Candle's modules
/// say nothing, so all three are given here: parameters, buffers such as running means, and the seeds of dropout. A
/// checkpoint holds them.
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
    seeds: Vec<SeedSequence>,
}

impl NamedModule {
    /// A module that knows its parameters, buffers and seeds, such as the layers of `dml-nn`. Every module of a run needs a
    /// name of its own.
    pub fn of(name: impl Into<String>, module: impl Trainable + 'static) -> Self {
        let Contents {
            parameters,
            buffers,
            seeds,
        } = module.contents();
        Self::new(name, module, parameters)
            .with_buffers(buffers)
            .with_seeds(seeds)
    }

    /// Any module, and the parameters that it reads, by name. What else it holds is told by
    /// [`with_buffers`](NamedModule::with_buffers) and [`with_seeds`](NamedModule::with_seeds). Every module of a run needs a name of its
    /// own.
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
        let data = data.map_err(|_| dml_core::Error::Unsupported {
            component: "NamedModule::from_var_map",
            reason: "a thread failed while it changed the map of variables",
        })?;
        let mut parameters: Vec<(String, Var)> = data
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect();
        // A map has no order, and sums over parameters shall have one.
        parameters.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self::new(name, module, parameters))
    }

    /// What the module changes without learning it, such as running means: goes into checkpoints.
    #[must_use]
    pub fn with_buffers(mut self, buffers: impl IntoIterator<Item = (String, Var)>) -> Self {
        self.buffers = buffers.into_iter().collect();
        self
    }

    /// [Handles](SeedSequence::handle) of what the module draws from: without those of its dropout, a run can neither
    /// be taken up again exactly nor use a gradient cache.
    #[must_use]
    pub fn with_seeds(mut self, seeds: impl IntoIterator<Item = SeedSequence>) -> Self {
        self.seeds = seeds.into_iter().collect();
        self
    }

    /// One more sequence that the module draws from.
    pub(crate) fn add_seeds(&mut self, seeds: SeedSequence) {
        self.seeds.push(seeds);
    }

    parameter_group_methods!();

    /// The module's output. A frozen module works as outside of training, and no gradient goes through it.
    ///
    /// # Errors
    /// As the module.
    pub fn forward(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        if self.group.is_frozen() {
            return Ok(self.module.forward_t(input, false)?.detach());
        }
        Ok(self.module.forward_t(input, train)?)
    }

    /// The output with gradient to the input even if the module is frozen: its parameters stay, what is before learns.
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

    /// What the module changes without learning it.
    #[must_use]
    pub fn buffers(&self) -> &[(String, Var)] {
        &self.buffers
    }

    /// What the module draws from.
    #[must_use]
    pub fn seeds(&self) -> &[SeedSequence] {
        &self.seeds
    }
}

impl fmt::Debug for NamedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedModule")
            .field("group", &self.group)
            .field("buffers", &self.buffers.len())
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}
