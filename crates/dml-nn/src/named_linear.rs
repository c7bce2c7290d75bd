//! A linear layer within a layer, with the name that its user gives it.

use candle_core::Tensor;
use dml_core::Result;

use crate::{Graph, GraphValue, Layer, Linear, Parameters};

/// A linear layer and the beginning of the names of its parameters, such as `out_proj.`.
#[derive(Clone, Debug)]
pub(crate) struct NamedLinear {
    pub(crate) prefix: String,
    pub(crate) linear: Linear,
}

impl NamedLinear {
    pub(crate) fn new((name, linear): (&str, Linear)) -> Self {
        let prefix = format!("{name}.");
        Self { prefix, linear }
    }

    pub(crate) fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        self.linear.forward_t(input, train)
    }

    pub(crate) fn export(&self, graph: &mut Graph, input: &GraphValue) -> Result<GraphValue> {
        self.linear.export_named(&self.prefix, graph, input)
    }

    pub(crate) fn add_to(&self, parameters: &mut Parameters) {
        parameters.append(&self.prefix, self.linear.parameters());
    }

    /// Outputs and inputs.
    pub(crate) fn sizes(&self) -> Result<(usize, usize)> {
        Ok(self.linear.weight().dims2()?)
    }
}
