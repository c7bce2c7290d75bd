//! What a component made of the inputs of a case.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use dml::Loss;
use dml::candle_core::backprop::GradStore;
use dml::candle_core::{Tensor, Var};

use crate::case::{Array, Case, Data};

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

    /// Whether every real value is a finite number.
    #[must_use]
    pub(crate) fn is_finite(&self) -> bool {
        self.values.values().all(|array| match &array.data {
            Data::Real(values) => values.iter().all(|x| x.is_finite()),
            Data::Whole(_) => true,
        })
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
        for (name, var) in &inputs.vars {
            let gradient = match gradients.get(var.as_tensor()) {
                Some(gradient) => gradient.clone(),
                None => var.zeros_like()?,
            };
            self.put_tensor(format!("grad.{name}"), &gradient)?;
        }
        Ok(())
    }
}

/// The inputs of a case that gradients are asked of, by name.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    vars: Vec<(String, Var)>,
}

impl Inputs {
    /// The input `in.NAME` as a variable; `None` if the case has none.
    pub(crate) fn optional(&mut self, case: &Case, name: &str) -> anyhow::Result<Option<Var>> {
        let var = case.var(&format!("in.{name}"))?;
        if let Some(var) = &var {
            self.vars.push((name.to_owned(), var.clone()));
        }
        Ok(var)
    }

    /// What a loss learns, set to the `param.NAME` of the case.
    pub(crate) fn parameters(&mut self, case: &Case, loss: &dyn Loss) -> anyhow::Result<()> {
        let parameters = loss.parameters();
        for (name, var) in &parameters {
            let name = format!("param.{name}");
            if let Some(value) = case.tensor(&name)? {
                var.set(&value.to_dtype(var.dtype())?)?;
                self.vars.push((name, var.clone()));
            }
        }
        for name in case.arrays().keys() {
            if let Some(name) = name.strip_prefix("param.") {
                ensure!(
                    parameters.iter().any(|(known, _)| known == name),
                    "{}: the loss learns no {name}",
                    case.path
                );
            }
        }
        Ok(())
    }

    /// The input `in.NAME` as a variable.
    pub(crate) fn required(&mut self, case: &Case, name: &str) -> anyhow::Result<Var> {
        self.optional(case, name)?
            .with_context(|| format!("{}: no in.{name}", case.path))
    }
}
