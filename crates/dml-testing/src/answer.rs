//! What a component made of the inputs of a case.

use std::collections::BTreeMap;

use dml::Loss;
use dml::candle_core::Tensor;
use dml::candle_core::backprop::GradStore;

use crate::case::{Array, Case};
use crate::inputs::Inputs;

/// Values by the names that the case gives them: `out.loss`, `grad.embeddings`, …
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    values: BTreeMap<String, Array>,
}

impl Answer {
    /// The value of that name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&Array> {
        self.values.get(name)
    }

    pub(crate) fn put(&mut self, name: impl Into<String>, value: Array) {
        self.values.insert(name.into(), value);
    }

    /// Takes over what the case expects: for a value that a property check has held the component to already.
    pub(crate) fn accept(&mut self, case: &Case, name: &str) {
        if let Some(array) = case.get(name) {
            self.put(name, array.clone());
        }
    }

    pub(crate) fn put_tensor(
        &mut self,
        name: impl Into<String>,
        value: &Tensor,
    ) -> anyhow::Result<()> {
        self.put(name, Array::try_from(value)?);
        Ok(())
    }

    /// What a loss learns, as `out.param.NAME`, and what it remembers, as `out.NAME`.
    pub(crate) fn put_state(&mut self, loss: &dyn Loss) -> anyhow::Result<()> {
        for (name, var) in loss.parameters() {
            self.put_tensor(format!("out.param.{name}"), &var)?;
        }
        for (name, buffer) in loss.buffers()? {
            self.put_tensor(format!("out.{name}"), &buffer)?;
        }
        Ok(())
    }

    /// Takes over the answer to one step of a sequence of calls: `out.loss` as `out.loss.2`.
    pub(crate) fn put_step(&mut self, step: usize, answer: Answer) {
        let numbered = answer.values.into_iter();
        self.values
            .extend(numbered.map(|(name, value)| (format!("{name}.{step}"), value)));
    }

    /// The gradient of each input under the name of the case; zero where the result does not depend on it.
    pub(crate) fn put_gradients(
        &mut self,
        inputs: &Inputs,
        gradients: &GradStore,
    ) -> anyhow::Result<()> {
        for (name, var) in inputs.variables() {
            let gradient = match gradients.get(var.as_tensor()) {
                Some(gradient) => gradient.clone(),
                None => var.zeros_like()?,
            };
            self.put_tensor(format!("grad.{name}"), &gradient)?;
        }
        Ok(())
    }
}
