//! Weights into a network, by name.

use std::collections::{HashMap, HashSet};
use std::fmt;

use candle_core::{DType, Tensor, Var};
use dml_nn::Layer;

use crate::error::{Misfit, Misshapen, ModelError, Result, listed};
use crate::names::Names;
use crate::weights::Weights;

/// Counter of PyTorch's batch normalisation, which no computation reads.
const BATCHES_TRACKED: &str = "num_batches_tracked";

/// Result of [`load()`]: what was loaded, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Number of parameters and buffers that were set.
    pub loaded: usize,
    /// Number of those whose element type was converted.
    pub converted: usize,
    /// Prefix that was removed from the names in the file; empty for none.
    pub prefix: String,
    /// Tensors of the file that were left out on purpose, by their names in the file: the classifier, other parts.
    pub left_out: Vec<String>,
    /// Number of counters `num_batches_tracked`, which are skipped.
    pub batches_tracked: usize,
    /// Parameters and buffers that kept their values, since the file lacks them.
    pub kept: Vec<String>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors loaded", self.loaded)?;
        if self.converted > 0 {
            write!(f, ", {} of them converted", self.converted)?;
        }
        if !self.prefix.is_empty() {
            write!(f, "; prefix {} removed", self.prefix)?;
        }
        if self.batches_tracked > 0 {
            write!(f, "; {} {BATCHES_TRACKED} skipped", self.batches_tracked)?;
        }
        if !self.left_out.is_empty() {
            write!(f, "; left out: {}", listed(&self.left_out))?;
        }
        if !self.kept.is_empty() {
            write!(f, "; not in the file: {}", listed(&self.kept))?;
        }
        Ok(())
    }
}

/// Sets every parameter and buffer of a network to the tensor of its name, converted to the network's element type and
/// device. Nothing is set unless everything fits.
///
/// A [`Backbone`](crate::Backbone::load) loads in the same way and leaves its classifier out.
///
/// ```
/// use std::collections::HashMap;
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{Names, Weights, load};
/// use dml_nn::{Linear, LinearConfig};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let linear = Linear::new(LinearConfig::new(2, 1), rng, DType::F32, &Device::Cpu)?;
/// let tensors = HashMap::from([
///     ("module.weight".to_owned(), Tensor::new(&[[3f32, 4.]], &Device::Cpu)?),
///     ("module.bias".to_owned(), Tensor::new(&[5f32], &Device::Cpu)?),
/// ]);
/// let report = load(&linear, &Weights::from_tensors(tensors)?, &Names::default())?;
/// assert_eq!(report.to_string(), "2 tensors loaded; prefix module. removed");
/// assert_eq!(linear.weight().to_vec2::<f32>()?, [[3., 4.]]);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
///
/// # Errors
/// [`ModelError::Misfit`] with all tensors that are missing, surplus or of another shape; [`ModelError::NotFinite`] for NaN,
/// infinities and numbers that the network's element type can't hold; errors of [`Weights::tensor`].
pub fn load<L: Layer + ?Sized>(
    network: &L,
    weights: &Weights,
    names: &Names,
) -> Result<LoadReport> {
    load_with_places(network, weights, names).map(|(report, _)| report)
}

/// As [`load()`], with the names in the file by those of the network.
pub(crate) fn load_with_places<L: Layer + ?Sized>(
    network: &L,
    weights: &Weights,
    names: &Names,
) -> Result<(LoadReport, HashMap<String, String>)> {
    let places: Vec<(String, Var)> = network
        .parameters()
        .into_iter()
        .chain(network.buffers())
        .collect();
    let own: Vec<&str> = places.iter().map(|(name, _)| name.as_str()).collect();
    let (mut report, found) = matched(weights, names, &own)?;
    let mut misfit = Misfit {
        surplus: found.surplus,
        ..Misfit::default()
    };
    for (name, var) in &places {
        match found.places.get(name) {
            None if names.is_kept(name) => report.kept.push(name.clone()),
            None => misfit.missing.push(name.clone()),
            Some(in_file) => {
                let got = weights.shape(in_file).unwrap_or_default();
                if got != var.dims() {
                    misfit.misshapen.push(Misshapen {
                        name: name.clone(),
                        expected: var.dims().to_vec(),
                        got: got.to_vec(),
                    });
                }
            }
        }
    }
    if !misfit.is_empty() {
        return Err(ModelError::Misfit(misfit));
    }
    let mut tensors = Vec::with_capacity(found.places.len());
    for (name, var) in &places {
        let Some(in_file) = found.places.get(name) else {
            continue;
        };
        let tensor = weights.tensor(in_file, var.dtype(), var.device())?;
        finite(in_file, &tensor)?;
        report.converted += usize::from(weights.stored_type(in_file) != Some(var.dtype().as_str()));
        tensors.push((var, tensor));
    }
    report.loaded = tensors.len();
    for (var, tensor) in tensors {
        var.set(&tensor)?;
    }
    Ok((report, found.places))
}

/// Names of the file by those of the network.
struct Found {
    places: HashMap<String, String>,
    surplus: Vec<String>,
}

fn matched(weights: &Weights, names: &Names, own: &[&str]) -> Result<(LoadReport, Found)> {
    let in_file: Vec<&str> = weights.names().collect();
    let prefix = names.prefix(&in_file, own);
    let mut report = LoadReport {
        prefix,
        ..LoadReport::default()
    };
    let mut found = Found {
        places: HashMap::new(),
        surplus: Vec::new(),
    };
    let own: HashSet<&str> = own.iter().copied().collect();
    for name in in_file {
        let Some(inner) = name.strip_prefix(&report.prefix) else {
            report.left_out.push(name.to_owned());
            continue;
        };
        let inner = names.renamed(inner);
        if own.contains(inner.as_str()) && !found.places.contains_key(&inner) {
            found.places.insert(inner, name.to_owned());
        } else if names.is_left_out(&inner) {
            report.left_out.push(name.to_owned());
        } else if inner.rsplit('.').next() == Some(BATCHES_TRACKED) {
            report.batches_tracked += 1;
        } else {
            found.surplus.push(name.to_owned());
        }
    }
    Ok((report, found))
}

/// Whether all numbers of a tensor are finite.
fn finite(name: &str, tensor: &Tensor) -> Result<()> {
    if !tensor.dtype().is_float() || tensor.elem_count() == 0 {
        return Ok(());
    }
    // 0 · x is NaN for what is not finite; sums of zeros don't overflow.
    let sum = (tensor * 0.0)?.sum_all()?.to_dtype(DType::F64)?;
    if sum.to_scalar::<f64>()? == 0.0 {
        return Ok(());
    }
    let values = tensor.flatten_all()?.to_dtype(DType::F64)?;
    let values = values.to_vec1::<f64>()?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(ModelError::NotFinite {
            name: name.to_owned(),
            dtype: tensor.dtype(),
            position,
            value: values[position],
        }),
    }
}

#[cfg(test)]
mod tests;
