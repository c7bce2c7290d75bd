//! Optimisers of groups of parameters as one, with a learning rate in common.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use dml_core::{CheckpointError, Optimizer, Result, check};

/// Key of the learning rate in the state.
const LEARNING_RATE: &str = "learning_rate";

/// Optimisers of disjoint parameters, each at a share of one learning rate.
#[derive(Debug)]
pub(crate) struct GroupedOptimizer {
    learning_rate: f64,
    /// The factor of the learning rate, and the optimiser.
    groups: Vec<(f64, Box<dyn Optimizer>)>,
}

impl GroupedOptimizer {
    /// Optimisers with their factors. All have the learning rate that the factors are multiplied with.
    pub(crate) fn new(groups: Vec<(f64, Box<dyn Optimizer>)>) -> Result<Self> {
        let mut rates = groups
            .iter()
            .map(|(_, optimizer)| optimizer.learning_rate());
        let learning_rate = rates.next().unwrap_or(0.0);
        let other = rates.find(|own| own.to_bits() != learning_rate.to_bits());
        let (name, got) = ("learning rate of a group", other.unwrap_or(learning_rate));
        let expected = "that of the first group, as the rules multiply it by their factors";
        check::parameter(other.is_none(), name, got, expected)?;
        let mut grouped = Self {
            learning_rate,
            groups,
        };
        grouped.set_learning_rate(learning_rate);
        Ok(grouped)
    }
}

impl Optimizer for GroupedOptimizer {
    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        let mut groups = self.groups.iter_mut();
        groups.try_for_each(|(_, optimizer)| optimizer.step(gradients))
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
        for (factor, optimizer) in &mut self.groups {
            optimizer.set_learning_rate(learning_rate * *factor);
        }
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        let learning_rate = Tensor::new(self.learning_rate, &Device::Cpu)?;
        let mut all = HashMap::from([(LEARNING_RATE.to_owned(), learning_rate)]);
        for (i, (_, optimizer)) in self.groups.iter().enumerate() {
            let state = optimizer.state()?.into_iter();
            all.extend(state.map(|(name, tensor)| (format!("{i}/{name}"), tensor)));
        }
        Ok(all)
    }

    fn load_state(
        &mut self,
        state: &HashMap<String, Tensor>,
    ) -> std::result::Result<(), CheckpointError> {
        let before = self.state().map_err(candle_core::Error::from)?;
        let places = before.iter().map(|(name, tensor)| (name.as_str(), tensor));
        dml_core::checkpoint::fits(places, state)?;
        for (i, (_, optimizer)) in self.groups.iter_mut().enumerate() {
            let prefix = format!("{i}/");
            let own = |(name, tensor): (&String, &Tensor)| {
                Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone()))
            };
            optimizer.load_state(&state.iter().filter_map(own).collect())?;
        }
        self.learning_rate = state[LEARNING_RATE].to_scalar::<f64>()?;
        Ok(())
    }
}
