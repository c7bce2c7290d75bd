//! Folders as sentence-transformers lays them out.
//!
//! | file | read |
//! |---|---|
//! | `modules.json` | the list of modules: one `Transformer`, then `Pooling`, then `Dense` and `Normalize` in any order; without the file, mean pooling |
//! | `config.json` | the network |
//! | `model.safetensors`, `pytorch_model.bin`, their indices | the weights |
//! | `sentence_bert_config.json`, `tokenizer_config.json` | `max_seq_length`, `model_max_length` |
//! | `1_Pooling/config.json` | the pooling |
//! | `2_Dense/config.json` | sizes and activation of a dense layer, whose weights are beside it |

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use dml_core::{check, durable};
use dml_nn::{LinearConfig, Parameters};
use rand::RngCore;
use serde_json::Value;

use super::config::TextConfig;
use super::dense::Dense;
use super::encoder::{TextEncoder, TextModule};
use super::modules_file::{self as file, DenseFile, ModuleEntry, TransformerFile};
use super::pooling::Pooling;
use crate::error::{ModelError, Result};
use crate::load::load_with_places;
use crate::names::Names;
use crate::save::save_tensors;
use crate::weights::Weights;

/// Most modules, and most files of a folder.
const MOST: usize = 10_000;
/// Most folders within each other.
const MOST_DEPTH: usize = 8;
/// Files of weights that only hold what was before training.
const OTHER_WEIGHTS: [&str; 3] = ["tf_model.h5", "flax_model.msgpack", "rust_model.ot"];
/// Folders of exported networks, likewise.
const EXPORTS: [&str; 2] = ["onnx", "openvino"];

/// Where an encoder was read from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    folder: PathBuf,
    weights: Vec<WeightsOrigin>,
}

/// The weights of one module.
#[derive(Clone, Debug)]
struct WeightsOrigin {
    /// Folder of the module within the encoder's.
    path: PathBuf,
    /// Names in the file by names of the encoder.
    places: HashMap<String, String>,
    /// The tensors that the encoder left out: heads and numbers that no computation reads. They are kept in memory, since
    /// an encoder may be written over the file that it came from.
    others: Vec<(String, Tensor)>,
}

impl WeightsOrigin {
    /// `prefix` stands before the names of the module's parameters in the encoder, with its dot.
    fn new(
        path: &str,
        weights: &Weights,
        places: HashMap<String, String>,
        prefix: &str,
    ) -> Result<Self> {
        let loaded: HashSet<&str> = places.values().map(String::as_str).collect();
        let others = weights.names().filter(|name| !loaded.contains(name));
        let others = others.map(|name| Ok((name.to_owned(), weights.stored(name)?)));
        let others = others.collect::<Result<_>>()?;
        let prefixed = |(own, there)| (format!("{prefix}{own}"), there);
        Ok(Self {
            path: PathBuf::from(path),
            others,
            places: places.into_iter().map(prefixed).collect(),
        })
    }
}

/// The list of modules, and its file.
pub(super) fn modules(folder: &Path) -> Result<(PathBuf, Vec<ModuleEntry>)> {
    let path = folder.join("modules.json");
    let modules: Vec<ModuleEntry> = if path.is_file() {
        file::json(&path)?
    } else {
        // As sentence-transformers reads a folder of transformers.
        vec![ModuleEntry::new("", "Transformer")]
    };
    check::count("modules", modules.len(), MOST)?;
    for module in &modules {
        let mut components = Path::new(&module.path).components();
        if !components.all(|part| matches!(part, Component::Normal(_))) {
            let problem = format!("path: expected a folder in this one, found {}", module.path);
            return Err(ModelError::format(&path, problem));
        }
    }
    if modules[0].class() != "Transformer" {
        let found = modules[0].class();
        let problem = format!("expected a Transformer as the first module, found {found}");
        return Err(ModelError::format(&path, problem));
    }
    Ok((path, modules))
}

/// Number of tokens after which texts are cut off: `max_seq_length`, else the tokenizer's, and no more than there are
/// positions.
fn max_seq_length(folder: &Path, most: usize) -> Result<usize> {
    let own: TransformerFile = file::optional_json(&folder.join("sentence_bert_config.json"))?;
    let length = match own.max_seq_length {
        Some(length) => length,
        None => {
            let settings: Value = file::optional_json(&folder.join("tokenizer_config.json"))?;
            // 1e30 stands for no bound.
            let bound = settings.get("model_max_length").and_then(Value::as_f64);
            bound.map_or(most, |bound| bound as usize)
        }
    };
    Ok(check::at_least_one("max_seq_length", length.min(most))?)
}

impl TextEncoder {
    /// Reads a folder as sentence-transformers lays it out, or one of transformers with `config.json` and weights, which
    /// gets mean pooling. Heads are left out. The generator seeds dropout.
    ///
    /// ```no_run
    /// use candle_core::{DType, Device, Tensor};
    /// use dml_models::text::TextEncoder;
    /// use rand::SeedableRng;
    ///
    /// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    /// let encoder = TextEncoder::read("all-MiniLM-L6-v2", rng, DType::F32, &Device::Cpu)?;
    /// // … training …
    /// encoder.write("fine-tuned")?;
    /// # Ok::<(), dml_models::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file can't be read, [`ModelError::Format`] if it is damaged or has a module or a value that
    /// is not supported, errors of [`load()`](crate::load()).
    pub fn read(
        folder: impl AsRef<Path>,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let folder = folder.as_ref();
        let (list, modules) = modules(folder)?;
        let own = folder.join(&modules[0].path);
        let config = TextConfig::read(own.join("config.json"))?;
        let network = config.empty(rng, dtype, device)?;
        let weights = Weights::open(&own)?;
        let names = network.file_names(Names::default());
        let (_, places) = load_with_places(&network, &weights, &names)?;
        let mut origin = Origin {
            folder: folder.to_owned(),
            weights: vec![WeightsOrigin::new(&modules[0].path, &weights, places, "")?],
        };
        let max_seq_length = max_seq_length(&own, network.most_tokens())?;
        let mut rest = &modules[1..];
        let mut pooling = Pooling::Mean;
        if let Some((first, others)) = rest.split_first()
            && first.class() == "Pooling"
        {
            pooling = file::pooling(&folder.join(&first.path).join("config.json"))?;
            rest = others;
        }
        let mut encoder = Self::new(network, pooling);
        for module in rest {
            let path = folder.join(&module.path);
            let settings = path.join("config.json");
            let added = match module.class() {
                "Normalize" => {
                    file::on_embeddings(&settings)?;
                    TextModule::Normalize
                }
                "Dense" => {
                    file::on_embeddings(&settings)?;
                    let dense = dense(&settings, rng, dtype, device)?;
                    let weights = Weights::open(&path)?;
                    let (_, places) = load_with_places(&dense, &weights, &Names::default())?;
                    let prefix = format!("{}.", module.path);
                    let own = WeightsOrigin::new(&module.path, &weights, places, &prefix)?;
                    origin.weights.push(own);
                    TextModule::Dense(dense)
                }
                other => {
                    let problem = format!(
                        "expected Pooling as the second module, then Dense and Normalize, found {other}"
                    );
                    return Err(ModelError::format(&list, problem));
                }
            };
            encoder = encoder.with(module.path.clone(), added)?;
        }
        encoder.max_seq_length = max_seq_length;
        encoder.origin = Some(origin);
        Ok(encoder)
    }
}

fn dense(settings: &Path, rng: &mut dyn RngCore, dtype: DType, device: &Device) -> Result<Dense> {
    let own: DenseFile = file::json(settings)?;
    if own.use_residual {
        return Err(ModelError::format(
            settings,
            "use_residual: expected false, found true",
        ));
    }
    let config = LinearConfig {
        bias: own.bias,
        ..LinearConfig::new(own.in_features, own.out_features)
    };
    Ok(Dense::new(
        config,
        own.activation_function,
        rng,
        dtype,
        device,
    )?)
}

impl Origin {
    pub(super) fn write(&self, parameters: &Parameters, target: &Path) -> Result<()> {
        let mut files = Vec::new();
        let owners: HashSet<&Path> = self.weights.iter().map(|own| own.path.as_path()).collect();
        list(&self.folder, Path::new(""), &owners, 0, &mut files)?;
        for own in &self.weights {
            let folder = target.join(&own.path);
            fs::create_dir_all(&folder).map_err(ModelError::io("create", &folder))?;
        }
        let same = same_folder(&self.folder, target);
        for name in files.iter().filter(|_| !same) {
            let (from, to) = (self.folder.join(name), target.join(name));
            let folder = to.parent().unwrap_or(target);
            fs::create_dir_all(folder).map_err(ModelError::io("create", folder))?;
            let mut source = fs::File::open(&from).map_err(ModelError::io("read", &from))?;
            durable::write_with(&to, |part| std::io::copy(&mut source, part).map(|_| ()))
                .map_err(ModelError::io("write", &to))?;
        }
        for own in &self.weights {
            own.write(
                parameters,
                &target.join(&own.path).join("model.safetensors"),
            )?;
        }
        Ok(())
    }
}

impl WeightsOrigin {
    /// Today's parameters under the names of the file, and the tensors that were left out as they were.
    fn write(&self, parameters: &Parameters, path: &Path) -> Result<()> {
        let mut tensors = self.others.clone();
        for (own, var) in parameters.iter() {
            if let Some(name) = self.places.get(own) {
                let tensor = var.as_detached_tensor().to_device(&Device::Cpu)?;
                tensors.push((name.clone(), tensor));
            }
        }
        save_tensors(tensors, path)
    }
}

fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The files of a folder that are copied, by their paths within it. `owners` are the folders with weights of modules.
fn list(
    root: &Path,
    within: &Path,
    owners: &HashSet<&Path>,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    let folder = root.join(within);
    check::count_from("depth of folders", depth, 0, MOST_DEPTH)?;
    let entries = fs::read_dir(&folder).map_err(ModelError::io("read", &folder))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(ModelError::io("read", &folder))?.file_name());
    }
    names.sort();
    let has_weights = owners.contains(within);
    for name in names {
        let (path, shown) = (within.join(&name), name.to_string_lossy());
        let full = root.join(&path);
        // Files of a cache are links to their contents.
        let kind = fs::metadata(&full).map_err(ModelError::io("read", &full))?;
        if kind.is_dir() {
            if !EXPORTS.contains(&shown.as_ref()) && shown != ".git" {
                list(root, &path, owners, depth + 1, files)?;
            }
        } else if !(has_weights && is_weights(&shown)) {
            files.push(path);
            check::count_from("files", files.len(), 0, MOST)?;
        }
    }
    Ok(())
}

/// Whether a file beside a module's configuration holds its weights.
fn is_weights(name: &str) -> bool {
    let ends = [
        ".safetensors",
        ".safetensors.index.json",
        ".bin",
        ".bin.index.json",
    ];
    OTHER_WEIGHTS.contains(&name) || ends.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
