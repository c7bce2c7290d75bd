//! Residual blocks: the input plus what a branch makes of it.

use candle_core::Tensor;
use dml_core::{Result, RunningStatistics, SeedSequence, autograd};
use dml_nn::{DropPath, DropPathConfig, Graph, GraphValue, Layer, Parameters, Sequential};

/// `x + s · branch(x)`, or the branch alone; `s` is stochastic depth. The parameters of the branch have its name before
/// theirs, if it has one.
#[derive(Debug)]
pub(crate) struct Residual {
    name: Option<&'static str>,
    branch: Sequential,
    shortcut: Option<DropPath>,
}

impl Residual {
    pub(crate) fn new(
        name: Option<&'static str>,
        branch: Sequential,
        shortcut: Option<DropPath>,
    ) -> Self {
        Self {
            name,
            branch,
            shortcut,
        }
    }

    fn named(&self, parameters: Parameters) -> Parameters {
        match self.name {
            None => parameters,
            Some(name) => parameters.prefixed(name),
        }
    }
}

impl Layer for Residual {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let branch = self.branch.forward_t(input, train)?;
        match &self.shortcut {
            None => Ok(branch),
            Some(depth) => autograd::sum(&depth.forward_t(&branch, train)?, input),
        }
    }

    fn parameters(&self) -> Parameters {
        self.named(self.branch.parameters())
    }

    fn buffers(&self) -> Parameters {
        self.named(self.branch.buffers())
    }

    fn statistics(&self) -> Vec<RunningStatistics> {
        self.branch.statistics()
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let mut seeds = self.branch.seeds();
        seeds.extend(self.shortcut.iter().flat_map(Layer::seeds));
        seeds
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        let branch = match self.name {
            None => self.branch.export(graph, input)?,
            Some(name) => graph.part(name, &self.branch, input)?,
        };
        match &self.shortcut {
            None => Ok(branch),
            Some(_) => Ok(graph.node("Add", &[&branch, input])),
        }
    }
}

/// Stochastic depth of a branch, with the probability that an example is dropped.
pub(crate) fn stochastic_depth(drop_prob: f64, seeds: SeedSequence) -> Result<DropPath> {
    let config = DropPathConfig {
        drop_prob,
        ..DropPathConfig::default()
    };
    DropPath::new(config, seeds)
}
