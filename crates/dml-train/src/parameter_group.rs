//! Parameter groups: parameters with their optimiser, learning rate and clipping.

use std::fmt;

use candle_core::backprop::GradStore;
use candle_core::{DType, Var};
use dml_core::{Optimizer, Result};

use crate::Clip;
use crate::mixed_precision::is_half;
use crate::schedule::{Pace, Plateau, Schedule};

/// Named parameters with an optimiser, schedules and clipping, as a parameter group of PyTorch.
///
/// Every [`NamedModule`](crate::NamedModule) and every [`Criterion`](crate::Criterion) has one; its methods are reached through theirs.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/setup.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `module(name, inputs, outputs)` is a linear layer with an optimiser, `objective()` a triplet loss.
/// let trunk = module("trunk", 4, 2)?;
/// let group = trunk.parameter_group();
/// let names = group.parameters().iter().map(|(name, _)| name.as_str());
/// assert!(names.eq(["fc1.weight", "fc1.bias"]));
/// assert_eq!(group.learning_rate(), Some(0.001));
/// assert!(trunk.frozen().parameter_group().is_frozen());
/// # Ok(())
/// # }
/// ```
pub struct ParameterGroup {
    name: String,
    parameters: Vec<(String, Var)>,
    /// For each parameter, its single-precision master if it is of half precision; empty without an optimiser.
    masters: Vec<Option<Var>>,
    pub(crate) optimizer: Option<Box<dyn Optimizer>>,
    base_rate: f64,
    by_iteration: Option<Box<dyn Schedule>>,
    by_epoch: Option<Box<dyn Schedule>>,
    pub(crate) plateau: Option<Plateau>,
    pub(crate) clip: Option<Clip>,
    pub(crate) frozen: bool,
    /// Whether no loss reads the parameters, as in a criterion of weight 0.
    pub(crate) left_out: bool,
}

impl ParameterGroup {
    pub(crate) fn new(
        name: impl Into<String>,
        parameters: impl IntoIterator<Item = (String, Var)>,
    ) -> Self {
        Self {
            name: name.into(),
            parameters: parameters.into_iter().collect(),
            masters: Vec::new(),
            optimizer: None,
            base_rate: 0.0,
            by_iteration: None,
            by_epoch: None,
            plateau: None,
            clip: None,
            frozen: false,
            left_out: false,
        }
    }

    /// The name of the module or criterion.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameters by name.
    #[must_use]
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// The parameters.
    pub fn variables(&self) -> impl Iterator<Item = &Var> {
        self.parameters.iter().map(|(_, var)| var)
    }

    /// Whether the parameters are frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The optimiser, if there is one.
    #[must_use]
    pub fn optimizer(&self) -> Option<&dyn Optimizer> {
        self.optimizer.as_deref()
    }

    /// The learning rate of the latest step; `None` without an optimiser.
    #[must_use]
    pub fn learning_rate(&self) -> Option<f64> {
        self.optimizer.as_ref().map(Optimizer::learning_rate)
    }

    /// Whether steps change the parameters.
    pub(crate) fn learns(&self) -> bool {
        self.optimizer.is_some() && !self.frozen
    }

    pub(crate) fn set_optimizer<O: Optimizer + 'static>(
        &mut self,
        make: impl FnOnce(Vec<(String, Var)>) -> Result<O>,
    ) -> Result<()> {
        let master = |(_, var): &(String, Var)| master(var);
        self.masters = self.parameters.iter().map(master).collect::<Result<_>>()?;
        let names = self.parameters.iter().map(|(name, _)| name.clone());
        let moved = names.zip(self.moved().cloned()).collect();
        let optimizer = make(moved)?;
        self.base_rate = optimizer.learning_rate();
        self.optimizer = Some(Box::new(optimizer));
        Ok(())
    }

    pub(crate) fn set_schedule(&mut self, pace: Pace, schedule: Box<dyn Schedule>) {
        match pace {
            Pace::Iteration => self.by_iteration = Some(schedule),
            Pace::Epoch => self.by_epoch = Some(schedule),
        }
    }

    /// The variables that the optimiser moves: the parameters, or their masters.
    pub(crate) fn moved(&self) -> impl Iterator<Item = &Var> {
        let masters = self.masters.iter().map(Option::as_ref);
        let masters = masters.chain(std::iter::repeat(None));
        let both = self.variables().zip(masters);
        both.map(|(var, master)| master.unwrap_or(var))
    }

    /// Parameters of half precision by name, each with its master.
    pub(crate) fn masters(&self) -> impl Iterator<Item = (&str, &Var, &Var)> {
        let both = self.parameters.iter().zip(&self.masters);
        both.filter_map(|((name, var), master)| Some((name.as_str(), var, master.as_ref()?)))
    }

    /// Sets masters to parameters that were changed from outside, such as by weights from a file. Other masters keep their
    /// digits.
    pub(crate) fn adopt_parameters(&self) -> Result<()> {
        for (_, var, master) in self.masters() {
            let rounded = master.as_detached_tensor().to_dtype(var.dtype())?;
            let changed = rounded.ne(&var.as_detached_tensor())?;
            if changed
                .to_dtype(DType::F32)?
                .max_all()?
                .to_scalar::<f32>()?
                > 0.0
            {
                master.set(&var.as_detached_tensor().to_dtype(master.dtype())?)?;
            }
        }
        Ok(())
    }

    /// Replaces gradients of parameters of half precision by gradients of their masters, in single precision.
    pub(crate) fn widen(&self, gradients: &mut GradStore) -> Result<()> {
        for (_, var, master) in self.masters() {
            if let Some(gradient) = gradients.remove(var) {
                gradients.insert(master, gradient.to_dtype(master.dtype())?);
            }
        }
        Ok(())
    }

    /// Learning rate by the schedules after this number of steps and epochs.
    pub(crate) fn rate(&self, steps: u64, epochs: u64) -> f64 {
        let factor = |schedule: &Option<Box<dyn Schedule>>, done| {
            schedule.as_ref().map_or(1.0, |own| own.factor(done))
        };
        self.base_rate
            * factor(&self.by_iteration, steps)
            * factor(&self.by_epoch, epochs)
            * self.plateau.as_ref().map_or(1.0, Plateau::factor)
    }

    /// Clips the gradients of the group and makes a step at a learning rate.
    pub(crate) fn step(&mut self, gradients: &mut GradStore, rate: f64) -> Result<()> {
        if let Some(clip) = self.clip {
            clip.apply(gradients, self.moved())?;
        }
        if let Some(optimizer) = &mut self.optimizer {
            optimizer.set_learning_rate(rate);
            optimizer.step(gradients)?;
        }
        for (_, var, master) in self.masters() {
            if gradients.get(master).is_some() {
                var.set(&master.as_detached_tensor().to_dtype(var.dtype())?)?;
            }
        }
        Ok(())
    }
}

/// A master in single precision for a parameter of half precision.
fn master(var: &Var) -> Result<Option<Var>> {
    if !is_half(var.dtype()) {
        return Ok(None);
    }
    let wide = var.as_detached_tensor().to_dtype(DType::F32)?;
    Ok(Some(Var::from_tensor(&wide)?))
}

impl fmt::Debug for ParameterGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterGroup")
            .field("name", &self.name)
            .field("parameters", &self.parameters.len())
            .field("base_rate", &self.base_rate)
            .field("frozen", &self.frozen)
            .finish_non_exhaustive()
    }
}

/// Writes the builder methods that modules and criteria have in common.
macro_rules! parameter_group_methods {
    () => {
        /// The optimiser of the parameters. Its learning rate is the base of all schedules.
        ///
        /// Parameters of half precision learn by masters: copies in single precision, which the optimiser moves and which
        /// are rounded to the parameters after every step. So steps that are too small for half precision add up.
        ///
        /// # Errors
        /// As `make`, which gets the named parameters.
        pub fn with_optimizer<O: dml_core::Optimizer + 'static>(
            mut self,
            make: impl FnOnce(Vec<(String, candle_core::Var)>) -> dml_core::Result<O>,
        ) -> dml_core::Result<Self> {
            self.group.set_optimizer(make)?;
            Ok(self)
        }

        /// Changes the learning rate after every iteration or epoch. There is one schedule of each pace; their factors
        /// multiply.
        #[must_use]
        pub fn with_schedule(
            mut self,
            pace: crate::schedule::Pace,
            schedule: impl crate::schedule::Schedule + 'static,
        ) -> Self {
            self.group.set_schedule(pace, Box::new(schedule));
            self
        }

        /// Lowers the learning rate when [validation](crate::Validation) does not improve. The run must have a validation
        /// that improves in the same direction.
        #[must_use]
        pub fn with_plateau(mut self, plateau: crate::schedule::Plateau) -> Self {
            self.group.plateau = Some(plateau);
            self
        }

        /// Clips the gradients of these parameters before every step.
        #[must_use]
        pub fn with_clip(mut self, clip: crate::Clip) -> Self {
            self.group.clip = Some(clip);
            self
        }

        /// Freezes the parameters, with or without an optimiser.
        #[must_use]
        pub fn frozen(mut self) -> Self {
            self.group.frozen = true;
            self
        }

        /// The parameter group.
        #[must_use]
        pub fn parameter_group(&self) -> &crate::ParameterGroup {
            &self.group
        }

        /// The parameter group, for [`Method::parameter_groups_mut`](crate::Method::parameter_groups_mut).
        pub fn parameter_group_mut(&mut self) -> &mut crate::ParameterGroup {
            &mut self.group
        }
    };
}
pub(crate) use parameter_group_methods;
