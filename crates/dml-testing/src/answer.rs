//! What a component made of the inputs of a case.

use std::collections::BTreeMap;

use dml::Loss;
use dml::candle_core::Tensor;
use dml::candle_core::backprop::GradStore;

use crate::case::Case;
use crate::inputs::Inputs;

/// Values by the names that the case gives them: `out.loss`, `grad.embeddings`, …
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    values: BTreeMap<String, Tensor>,
}

impl<const N: usize> From<[(&str, Tensor); N]> for Answer {
    fn from(values: [(&str, Tensor); N]) -> Self {
        Self {
            values: values.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

impl Answer {
    /// The value of that name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&Tensor> {
        self.values.get(name)
    }

    pub(crate) fn put(&mut self, name: impl Into<String>, value: Tensor) {
        self.values.insert(name.into(), value);
    }

    /// Takes over what the case expects: for a value that a property check has held the component to already.
    pub(crate) fn accept(&mut self, case: &Case, name: &str) {
        if let Some(value) = case.get(name) {
            self.put(name, value.clone());
        }
    }

    /// What a loss learns, as `out.param.NAME`, and what it remembers, as `out.NAME`. The values are copied, since a later
    /// call of the loss may change them.
    pub(crate) fn put_state(&mut self, loss: &dyn Loss) -> anyhow::Result<()> {
        for (name, var) in loss.parameters() {
            self.put(format!("out.param.{name}"), var.copy()?);
        }
        for (name, buffer) in loss.buffers()? {
            self.put(format!("out.{name}"), buffer.copy()?);
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
            self.put(format!("grad.{name}"), gradient);
        }
        Ok(())
    }
}
