//! A network's parameters and buffers as a file for PyTorch's libraries.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use candle_core::{Device, Tensor};
use dml_core::durable;
use dml_nn::Layer;
use safetensors::View;
use safetensors::tensor::TensorInfo;

use crate::error::{ModelError, Result};

/// Headers are filled up with spaces, so that tensors are aligned.
const ALIGNMENT: usize = 8;

/// The header of a safetensors file, with its keys in order, so that equal networks give equal bytes.
#[derive(serde::Serialize)]
struct Header<'a> {
    /// transformers refuses files without `format`.
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

/// Writes parameters and buffers to a safetensors file under the network's names, which are PyTorch's, with the metadata
/// `format: pt`. The file is whole or absent.
///
/// ```
/// use candle_core::{DType, Device};
/// use dml_models::{Names, Weights, load, save};
/// use dml_nn::{BatchNorm, BatchNormConfig};
///
/// let path = std::env::temp_dir().join(format!("dml-models-save-{}.safetensors", std::process::id()));
/// let norm = BatchNorm::new(BatchNormConfig::new(2), DType::F32, &Device::Cpu)?;
/// save(&norm, &path)?;
/// let weights = Weights::open(&path)?;
/// assert_eq!(weights.names().collect::<Vec<_>>(), ["bias", "running_mean", "running_var", "weight"]);
/// assert_eq!(load(&norm, &weights, &Names::default())?.loaded, 4);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), dml_models::ModelError>(())
/// ```
///
/// # Errors
/// [`ModelError::Io`] if the file can't be written, [`ModelError::Core`] if a tensor can't be copied from its device.
pub fn save<L: Layer + ?Sized>(network: &L, path: impl AsRef<Path>) -> Result<()> {
    let mut tensors = Vec::new();
    for (name, var) in network.parameters().into_iter().chain(network.buffers()) {
        tensors.push((name, var.as_detached_tensor().to_device(&Device::Cpu)?));
    }
    save_tensors(tensors, path.as_ref())
}

/// Writes tensors on the CPU as [`save`] does.
pub(crate) fn save_tensors(mut tensors: Vec<(String, Tensor)>, path: &Path) -> Result<()> {
    // The order of the format: the widest types first.
    tensors.sort_by(|(a, left), (b, right)| {
        let (left, right) = (View::dtype(left), View::dtype(right));
        right.cmp(&left).then_with(|| a.cmp(b))
    });
    durable::write_with(path, |part| write(part, &tensors)).map_err(ModelError::io("write", path))
}

fn write(out: &mut dyn Write, tensors: &[(String, Tensor)]) -> io::Result<()> {
    let mut header = Header {
        metadata: BTreeMap::from([("format", "pt")]),
        tensors: BTreeMap::new(),
    };
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += View::data_len(tensor);
        let info = TensorInfo {
            dtype: View::dtype(tensor),
            shape: tensor.dims().to_vec(),
            data_offsets: (start, end),
        };
        header.tensors.insert(name, info);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, tensor) in tensors {
        out.write_all(&View::data(tensor))?;
    }
    Ok(())
}
