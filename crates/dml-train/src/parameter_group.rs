//! Parameter groups: parameters with their optimiser, learning rate and clipping.

mod builder_methods;

use candle_core::backprop::GradStore;
use candle_core::{DType, Var};
use dml_core::{Optimizer, Result, RunningStatistics};

use crate::mixed_precision::is_half;
use crate::parameter_rules::GroupedOptimizer;
use crate::schedule::{Pace, Plateau, Schedule};

use crate::{Clip, Learns, ParameterRules, ParameterSetting};
pub(crate) use builder_methods::parameter_group_methods;

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
    /// When the group as a whole learns.
    pub(crate) learns: Learns,
    /// When each parameter learns while the group does; empty if all of them always do.
    parameters_learn: Vec<Learns>,
    /// Running statistics beside parameters that are frozen for some time, each with the position of such a parameter, and
    /// whether they were frozen before.
    statistics: Vec<(RunningStatistics, usize, bool)>,
    /// The current epoch.
    epoch: u64,
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
            learns: Learns::Always,
            parameters_learn: Vec::new(),
            statistics: Vec::new(),
            epoch: 1,
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

    /// Whether the group as a whole is frozen in the current epoch.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        !self.learns.in_epoch(self.epoch)
    }

    /// Whether the parameter at a position is frozen in the current epoch, by itself or with the group.
    #[must_use]
    pub fn is_parameter_frozen(&self, position: usize) -> bool {
        let own = self.parameters_learn.get(position);
        self.is_frozen() || own.is_some_and(|own| !own.in_epoch(self.epoch))
    }

    /// Whether the parameter at a position learns in some epoch in which the group does.
    pub(crate) fn ever_learns(&self, position: usize) -> bool {
        self.parameters_learn.get(position) != Some(&Learns::Never)
    }

    /// Begins an epoch: freezes what does not learn in it, with its running statistics.
    pub(crate) fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        for (statistics, parameter, frozen) in &self.statistics {
            // A group that is frozen as a whole is computed as outside of training anyway.
            let learns = self.parameters_learn.get(*parameter);
            let learns = learns.is_none_or(|own| own.in_epoch(epoch));
            statistics.set_frozen(*frozen || !learns);
        }
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

    /// Whether steps change the parameters in some epoch.
    pub(crate) fn learns(&self) -> bool {
        self.optimizer.is_some() && self.learns != Learns::Never
    }

    pub(crate) fn set_optimizer<O: Optimizer + 'static>(
        &mut self,
        make: impl FnOnce(Vec<(String, Var)>) -> Result<O>,
    ) -> Result<()> {
        self.parameters_learn.clear();
        self.make_masters()?;
        let optimizer = make(self.named_moved().collect())?;
        self.base_rate = optimizer.learning_rate();
        self.optimizer = Some(Box::new(optimizer));
        Ok(())
    }

    pub(crate) fn set_optimizers<O: Optimizer + 'static>(
        &mut self,
        rules: &ParameterRules,
        mut make: impl FnMut(Vec<(String, Var)>, &ParameterSetting) -> Result<O>,
    ) -> Result<()> {
        let plan = rules.plan(&self.parameters)?;
        let learn = plan.parameters().iter().map(|own| own.setting.learns);
        self.parameters_learn = learn.collect();
        self.make_masters()?;
        let moved: Vec<_> = self.named_moved().collect();
        let mut optimizers: Vec<(f64, Box<dyn Optimizer>)> = Vec::new();
        for (setting, members) in plan.groups() {
            if setting.learns != Learns::Never {
                let members = members.iter().filter_map(|i| moved.get(*i).cloned());
                let optimizer = make(members.collect(), setting)?;
                optimizers.push((setting.rate_factor, Box::new(optimizer)));
            }
        }
        let optimizer = GroupedOptimizer::new(optimizers)?;
        self.base_rate = optimizer.learning_rate();
        self.optimizer = Some(Box::new(optimizer));
        Ok(())
    }

    /// Freezes running statistics of buffers while the parameters beside them are frozen: `layer1.bn.running_mean` while
    /// `layer1.bn.weight` is.
    pub(crate) fn follow_statistics(
        &mut self,
        statistics: &[RunningStatistics],
        buffers: &[(String, Var)],
    ) {
        self.statistics.clear();
        for own in statistics {
            let is_mean = |(_, var): &&(String, Var)| var.id() == own.mean().id();
            let Some((mean, _)) = buffers.iter().find(is_mean) else {
                continue;
            };
            let norm = mean.rsplit_once('.').map_or("", |(norm, _)| norm);
            let is_beside = |(name, _): &(String, Var)| {
                name.rsplit_once('.').map_or("", |(owner, _)| owner) == norm
            };
            if let Some(position) = self.parameters.iter().position(is_beside) {
                let frozen = own.is_frozen();
                self.statistics.push((own.clone(), position, frozen));
            }
        }
        self.begin_epoch(self.epoch);
    }

    /// A master for every parameter of half precision that learns in some epoch.
    fn make_masters(&mut self) -> Result<()> {
        let parameters = self.parameters.iter().enumerate();
        let masters = parameters.map(|(i, (_, var))| {
            if self.ever_learns(i) {
                master(var)
            } else {
                Ok(None)
            }
        });
        self.masters = masters.collect::<Result<_>>()?;
        Ok(())
    }

    /// The variables that the optimiser moves, by the names of the parameters.
    fn named_moved(&self) -> impl Iterator<Item = (String, Var)> {
        let names = self.parameters.iter().map(|(name, _)| name.clone());
        names.zip(self.moved().cloned())
    }

    /// Removes the gradients of parameters that are frozen in the current epoch by themselves.
    pub(crate) fn drop_frozen(&self, gradients: &mut GradStore) {
        for (moved, learns) in self.moved().zip(&self.parameters_learn) {
            if !learns.in_epoch(self.epoch) {
                gradients.remove(moved);
            }
        }
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

dml_core::debug_fields!(ParameterGroup, |own| {
    name: own.name,
    parameters: own.parameters.len(),
    base_rate: own.base_rate,
    learns: own.learns,
});
