//! Tensors by name from the files that PyTorch's libraries publish.
//!
//! | file | read |
//! |---|---|
//! | `.safetensors` | the header; tensors when they are asked for |
//! | `.safetensors.index.json`, `.bin.index.json` | the headers of all shards |
//! | `.pth`, `.pt`, `.bin` | the pickled state dict, at the top level or under `state_dict`, `model`, `model_state_dict`, `state_dict_ema`, `model_ema`, `net` or `network` |
//! | a folder | the first that is there of `model.safetensors`, `model.safetensors.index.json`, `pytorch_model.bin`, `pytorch_model.bin.index.json` |
//!
//! No code from a pickle is run ([dml-pickle](dml_pickle)): dictionaries, lists, numbers, texts and tensors are read, and
//! everything else in a file is an error or, beside the state dict, left out.

mod entry;
mod safetensors_file;
mod shards;
mod storage;
mod torch_file;
mod zip;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use crate::error::{ModelError, Result};
use entry::Entry;

/// Most tensors that one set of weights may name.
const MOST_TENSORS: usize = 1 << 20;

/// Files of weights in a Hugging Face folder, in the order in which they are looked for.
pub(crate) const IN_FOLDER: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Named tensors in memory or in [files](self), read one by one when they are asked for.
///
/// ```
/// use std::collections::HashMap;
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::Weights;
///
/// let tensors = HashMap::from([("fc.weight".to_owned(), Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)]);
/// let weights = Weights::from_tensors(tensors)?;
/// assert_eq!(weights.shape("fc.weight"), Some(&[1, 2][..]));
/// let halves = weights.tensor("fc.weight", DType::BF16, &Device::Cpu)?;
/// assert_eq!(halves.dtype(), DType::BF16);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    entries: BTreeMap<String, Entry>,
}

impl Weights {
    /// Opens a file or a Hugging Face folder; the format follows from the name ([table](self)), and for other names from the
    /// first bytes.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file can't be read, [`ModelError::Format`] if one is none of these formats or is damaged.
    ///
    /// ```no_run
    /// let weights = dml_models::Weights::open("resnet18-f37072fd.pth")?;
    /// for name in weights.names() {
    ///     println!("{name} {:?}", weights.shape(name));
    /// }
    /// # Ok::<(), dml_models::ModelError>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() {
            in_folder(path)?
        } else {
            path.to_path_buf()
        };
        let entries = if file.extension().is_some_and(|end| end == "json") {
            shards::read(&file)?
        } else {
            read_file(&file)?
        };
        Self::new(entries, &file)
    }

    /// Weights of tensors in memory.
    ///
    /// # Errors
    /// [`ModelError::Core`] if there are more than 1,048,576.
    pub fn from_tensors(tensors: HashMap<String, Tensor>) -> Result<Self> {
        dml_core::check::count_from("tensors", tensors.len(), 0, MOST_TENSORS)?;
        let entry = |(name, tensor)| (name, Entry::in_memory(tensor));
        Ok(Self {
            entries: tensors.into_iter().map(entry).collect(),
        })
    }

    fn new(entries: BTreeMap<String, Entry>, file: &Path) -> Result<Self> {
        if entries.len() > MOST_TENSORS {
            let found = entries.len();
            let problem = format!("expected at most {MOST_TENSORS} tensors, found {found}");
            return Err(ModelError::format(file, problem));
        }
        Ok(Self { entries })
    }

    /// Names in alphabetical order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Shape of the tensor of that name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(Entry::shape)
    }

    /// Element type of the tensor of that name as it is stored, in PyTorch's or safetensors' word.
    #[must_use]
    pub fn stored_type(&self, name: &str) -> Option<&'static str> {
        self.entries.get(name).map(Entry::stored_type)
    }

    /// Reads the tensor of that name, converted to an element type.
    ///
    /// # Errors
    /// [`ModelError::Missing`] if there is none, [`ModelError::Io`] or [`ModelError::Format`] if its file can't be read any
    /// more or its element type has no counterpart, [`ModelError::Core`] if it does not fit into memory.
    pub fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        Ok(self.stored(name)?.to_dtype(dtype)?.to_device(device)?)
    }

    /// Reads the tensor of that name onto the CPU in the element type in which it is stored.
    pub(crate) fn stored(&self, name: &str) -> Result<Tensor> {
        let entry = self.entries.get(name).ok_or_else(|| ModelError::Missing {
            name: name.to_owned(),
        })?;
        entry.read(name)
    }
}

fn in_folder(folder: &Path) -> Result<PathBuf> {
    let mut candidates = IN_FOLDER.iter().map(|name| folder.join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        let problem = format!(
            "expected one of {}, found none in the folder",
            IN_FOLDER.join(", ")
        );
        ModelError::format(folder, problem)
    })
}

/// The entries of one file.
fn read_file(path: &Path) -> Result<BTreeMap<String, Entry>> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("safetensors") => safetensors_file::read(path),
        Some("pth" | "pt" | "bin" | "ckpt" | "tar") => torch_file::read(path),
        _ if torch_file::is_torch_file(path)? => torch_file::read(path),
        _ => safetensors_file::read(path),
    }
}

#[cfg(test)]
mod tests;
