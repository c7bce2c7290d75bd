//! What a network learns, by name, in memory and on disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};

use dml_core::checkpoint::{self, CheckpointError};

use crate::lora::{AdapterSlot, LowRank};

/// Named variables in order. Names and layouts are PyTorch's (`conv1.weight`), so files can be exchanged with it.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use dml_nn::Parameters;
///
/// let mut parameters = Parameters::default();
/// parameters.push("weight", Var::zeros((2, 3), DType::F32, &Device::Cpu)?);
/// let parameters = parameters.prefixed("fc1");
/// assert_eq!(parameters.iter().next().unwrap().0, "fc1.weight");
/// assert_eq!(parameters.element_count(), 6);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<Parameter>);

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    var: Var,
    /// Place for an adapter, of the weight of a linear layer.
    adapter: Option<AdapterSlot>,
}

impl Parameters {
    /// Adds a variable.
    pub fn push(&mut self, name: impl Into<String>, var: Var) {
        let (name, adapter) = (name.into(), None);
        self.0.push(Parameter { name, var, adapter });
    }

    /// Adds the weight of a linear layer, with the place for its adapter.
    pub(crate) fn push_weight(&mut self, name: &str, var: Var, slot: &AdapterSlot) {
        let (name, adapter) = (name.to_owned(), Some(slot.clone()));
        self.0.push(Parameter { name, var, adapter });
    }

    /// Adds variables under their own names.
    ///
    /// ```
    /// use candle_core::{DType, Device, Var};
    /// use dml_nn::Parameters;
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.push("weight", Var::zeros((2, 3), DType::F32, &Device::Cpu)?);
    /// let mut all = Parameters::default();
    /// all.add(parameters.clone());
    /// all.extend("fc2", parameters);
    /// assert!(all.iter().map(|(name, _)| name).eq(["weight", "fc2.weight"]));
    /// # Ok::<(), candle_core::Error>(())
    /// ```
    pub fn add(&mut self, parameters: Parameters) {
        self.0.extend(parameters.0);
    }

    /// Adds variables with the beginning of their names.
    pub(crate) fn append(&mut self, beginning: &str, parameters: Parameters) {
        self.0.extend(parameters.beginning_with(beginning).0);
    }

    /// The adapters that are active in the linear layers.
    pub(crate) fn adapters(&self) -> impl Iterator<Item = Arc<LowRank>> {
        self.adaptable().filter_map(|(_, _, slot)| slot.active())
    }

    /// Names, weights and places for adapters of the linear layers, in order.
    pub(crate) fn adaptable(&self) -> impl Iterator<Item = (&str, &Var, &AdapterSlot)> {
        let weights = self.0.iter();
        weights.filter_map(|own| Some((own.name.as_str(), &own.var, own.adapter.as_ref()?)))
    }

    fn beginning_with(mut self, beginning: &str) -> Self {
        for parameter in &mut self.0 {
            parameter.name.insert_str(0, beginning);
        }
        self
    }

    /// Adds the variables of a part of the network, with the name of the part before theirs.
    pub fn extend(&mut self, part: &str, parameters: Parameters) {
        self.append(&format!("{part}."), parameters);
    }

    /// The same variables as those of the part `name` of a larger network: `weight` becomes `name.weight`.
    #[must_use]
    pub fn prefixed(self, name: &str) -> Self {
        self.beginning_with(&format!("{name}."))
    }

    /// Names and variables in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Var)> + Clone {
        self.0.iter().map(|own| (own.name.as_str(), &own.var))
    }

    /// The variable of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.iter()
            .find(|(own, _)| *own == name)
            .map(|(_, var)| var)
    }

    /// How many variables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers they hold together.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.0.iter().map(|own| own.var.elem_count()).sum()
    }

    /// The values by name, sharing memory with the variables.
    #[must_use]
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        let tensor = |(name, var): (&str, &Var)| (name.to_owned(), var.as_tensor().clone());
        self.iter().map(tensor).collect()
    }

    /// Sets every variable to the tensor of its name. Nothing is set unless all fit.
    ///
    /// # Errors
    /// [`CheckpointError`] for a tensor that is missing, has no variable, or is of another shape or element type.
    pub fn assign(&self, tensors: &HashMap<String, Tensor>) -> Result<(), CheckpointError> {
        checkpoint::fits(
            self.iter().map(|(name, var)| (name, var.as_tensor())),
            tensors,
        )?;
        for (name, var) in self.iter() {
            var.set(&tensors[name].to_device(var.device())?)?;
        }
        Ok(())
    }

    /// Writes the values to a safetensors file, in place of what stands there, when all of it is written.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file can't be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        checkpoint::save(path.as_ref(), &self.tensors())
    }

    /// Sets every variable to the tensor of its name in a safetensors file, such as PyTorch writes with
    /// `safetensors.torch.save_file(model.state_dict(), path)`.
    ///
    /// # Errors
    /// As [`assign`](Parameters::assign); if the file can't be read, is not as [`save`](Parameters::save) wrote it, or has
    /// NaN or an infinite number in it. Nothing is set then.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let tensors = checkpoint::load(path.as_ref(), &Device::Cpu)?;
        checkpoint::finite(&tensors)?;
        self.assign(&tensors)
    }
}

impl IntoIterator for Parameters {
    type Item = (String, Var);
    type IntoIter = std::vec::IntoIter<(String, Var)>;

    fn into_iter(self) -> Self::IntoIter {
        let pairs = self.0.into_iter().map(|own| (own.name, own.var));
        pairs.collect::<Vec<_>>().into_iter()
    }
}

impl FromIterator<(String, Var)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, Var)>>(parameters: I) -> Self {
        let mut all = Self::default();
        for (name, var) in parameters {
            all.push(name, var);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn two() -> Parameters {
        let var = |x: f32| Var::new(&[[x, -x]], &Device::Cpu).unwrap();
        [("a".to_owned(), var(1.0)), ("b".to_owned(), var(2.0))]
            .into_iter()
            .collect()
    }

    #[test]
    fn what_is_saved_is_loaded() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        let (saved, loaded) = (two(), two());
        saved
            .get("a")
            .unwrap()
            .set(&Tensor::new(&[[5f32, 6.]], &Device::Cpu)?)?;
        saved.save(&path)?;
        loaded.load(&path)?;
        assert_eq!(loaded.get("a").unwrap().to_vec2::<f32>()?, [[5., 6.]]);
        assert_eq!(loaded.get("b").unwrap().to_vec2::<f32>()?, [[2., -2.]]);
        assert_eq!(
            std::fs::read_dir(folder.path())?.count(),
            1,
            "nothing half-written is left"
        );
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_set() -> Result<(), Box<dyn std::error::Error>> {
        let parameters = two();
        let mut tensors: HashMap<String, Tensor> = two()
            .tensors()
            .into_iter()
            .map(|(name, tensor)| (name, (tensor * 10.0).unwrap()))
            .collect();
        let b = tensors.remove("b").unwrap();
        let error = parameters.assign(&tensors).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::Missing { name } if name == "b"),
            "{error}"
        );
        tensors.insert("b".to_owned(), b.to_dtype(DType::F64)?);
        assert!(matches!(
            parameters.assign(&tensors),
            Err(CheckpointError::DType { .. })
        ));
        tensors.insert("b".to_owned(), b.t()?);
        assert!(matches!(
            parameters.assign(&tensors),
            Err(CheckpointError::Shape { .. })
        ));
        tensors.insert("b".to_owned(), b.clone());
        tensors.insert("c".to_owned(), b);
        assert!(matches!(
            parameters.assign(&tensors),
            Err(CheckpointError::Unexpected { .. })
        ));
        assert_eq!(parameters.get("a").unwrap().to_vec2::<f32>()?, [[1., -1.]]);
        assert!(parameters.load("nowhere/model.safetensors").is_err());
        Ok(())
    }

    #[test]
    fn a_file_with_numbers_that_are_none_or_changed_is_refused()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (saved, loaded) = (two(), two());
            let b = Tensor::new(&[[0f32, value]], &Device::Cpu)?;
            saved.get("b").unwrap().set(&b)?;
            saved.save(&path)?;
            let error = loaded.load(&path).unwrap_err();
            assert!(
                error.to_string().starts_with("b: expected finite numbers"),
                "{error}"
            );
            assert!(error.to_string().ends_with("at position 1"), "{error}");
            assert_eq!(loaded.get("a").unwrap().to_vec2::<f32>()?, [[1., -1.]]);
            assert_eq!(loaded.get("b").unwrap().to_vec2::<f32>()?, [[2., -2.]]);
        }
        two().save(&path)?;
        let mut bytes = std::fs::read(&path)?;
        // A sign.
        *bytes.last_mut().unwrap() ^= 0x80;
        std::fs::write(&path, bytes)?;
        let error = two().load(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
        Ok(())
    }
}
