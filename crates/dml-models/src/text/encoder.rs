//! A network of tokens with the pooling and the modules behind it.

use std::path::Path;

use candle_core::Tensor;
use dml_core::{Error, Result, SeedSequence, TensorExt};
use dml_nn::{Graph, GraphValue, L2Normalize, Layer, Parameters};

use super::dense::Dense;
use super::folder::Origin;
use super::pooling::Pooling;
use super::tokens::{Padding, real_tokens};
use super::transformer::{HEADS, TextTransformer};
use crate::backbone::{Backbone, by_prefix, trainable};
use crate::error::ModelError;
use crate::load::{LoadReport, load};
use crate::names::Names;
use crate::weights::Weights;

/// A module behind the pooling.
#[derive(Debug)]
#[non_exhaustive]
pub enum TextModule {
    /// A linear layer with an activation.
    Dense(Dense),
    /// Embeddings of Euclidean length 1.
    Normalize,
}

/// An encoder of texts: token ids `[batch, length]`, padded with the network's `pad_token_id`, → `[batch, embedding_dim]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::text::{BertConfig, Pooling, TextConfig, TextEncoder, TextModule};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let mut config = BertConfig::default();
/// (config.vocab_size, config.hidden_size, config.num_hidden_layers) = (10, 24, 1);
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = TextConfig::Bert(config).build(rng, DType::F32, &Device::Cpu)?;
/// let encoder = TextEncoder::new(network, Pooling::Mean).with("2_Normalize", TextModule::Normalize)?;
/// let ids = Tensor::new(&[[2u32, 7, 3], [2, 3, 0]], &Device::Cpu)?;
/// assert_eq!(encoder.forward(&ids)?.dims(), [2, 24]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct TextEncoder {
    pub(super) network: TextTransformer,
    pooling: Pooling,
    modules: Vec<(String, TextModule)>,
    pub(super) max_seq_length: usize,
    pub(super) origin: Option<Origin>,
}

impl TextEncoder {
    /// A network with a pooling.
    #[must_use]
    pub fn new(network: TextTransformer, pooling: Pooling) -> Self {
        Self {
            max_seq_length: network.most_tokens(),
            network,
            pooling,
            modules: Vec::new(),
            origin: None,
        }
    }

    /// With one more module behind it; the module's parameters have the name before theirs.
    ///
    /// # Errors
    /// [`Error::Length`] if the module takes embeddings of another length.
    pub fn with(mut self, name: impl Into<String>, module: TextModule) -> Result<Self> {
        if let TextModule::Dense(dense) = &module {
            let length = self.embedding_dim();
            if dense.in_features() != length {
                return Err(Error::Length {
                    arg: "in_features",
                    expected: length,
                    got: dense.in_features(),
                });
            }
        }
        self.modules.push((name.into(), module));
        Ok(self)
    }

    /// The network of tokens.
    #[must_use]
    pub fn network(&self) -> &TextTransformer {
        &self.network
    }

    /// The pooling.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The modules behind the pooling, by name.
    pub fn modules(&self) -> impl ExactSizeIterator<Item = (&str, &TextModule)> {
        self.modules
            .iter()
            .map(|(name, module)| (name.as_str(), module))
    }

    /// Number of tokens after which texts are cut off, as the folder has it.
    #[must_use]
    pub fn max_seq_length(&self) -> usize {
        self.max_seq_length
    }

    /// Writes the folder that [`read`](Self::read) read, with today's weights: `model.safetensors` under the names that the
    /// weights came with, and everything else byte for byte. Left out are the weights in other files and formats, which
    /// would be the old ones: `*.bin` and `*.safetensors` beside a `config.json`, indices of shards, `tf_model.h5`,
    /// `flax_model.msgpack`, `rust_model.ot`, and the folders `onnx` and `openvino`. Each file is whole or absent.
    ///
    /// # Errors
    /// [`ModelError::Core`] with [`Error::Unsupported`] if the encoder was not read from a folder, [`ModelError::Io`] if a
    /// file can't be read or written.
    pub fn write(&self, folder: impl AsRef<Path>) -> crate::error::Result<()> {
        let origin = self.origin.as_ref().ok_or(Error::Unsupported {
            component: "TextEncoder::write",
            reason: "the encoder was not read from a folder; save() writes its weights",
        })?;
        origin.write(&self.parameters(), folder.as_ref())
    }
}

impl Layer for TextEncoder {
    fn forward_t(&self, ids: &Tensor, train: bool) -> Result<Tensor> {
        let padding = Padding::new(ids, self.network.pad_token_id())?;
        let states = self.network.forward_t(ids, train)?;
        let mut x = self.pooling.of(&states, &padding)?;
        for (_, module) in &self.modules {
            x = match module {
                TextModule::Dense(dense) => dense.forward_t(&x, train)?,
                TextModule::Normalize => x.normalize_rows(2.0)?,
            };
        }
        Ok(x)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.network.parameters();
        for (name, module) in &self.modules {
            if let TextModule::Dense(dense) = module {
                parameters.extend(name, dense.parameters());
            }
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.network.seeds()
    }

    fn export(&self, graph: &mut Graph, ids: &GraphValue) -> Result<GraphValue> {
        let states = self.network.export(graph, ids)?;
        let real = real_tokens(graph, ids, self.network.pad_token_id())?;
        let mut x = self.pooling.export(graph, &states, &real)?;
        for (name, module) in &self.modules {
            x = match module {
                TextModule::Dense(dense) => graph.part(name, dense, &x)?,
                TextModule::Normalize => L2Normalize.export(graph, &x)?,
            };
        }
        Ok(x)
    }
}

impl Backbone for TextEncoder {
    fn embedding_dim(&self) -> usize {
        let last = self
            .modules
            .iter()
            .rev()
            .find_map(|(_, module)| match module {
                TextModule::Dense(dense) => Some(dense.out_features()),
                TextModule::Normalize => None,
            });
        last.unwrap_or(self.network.hidden_size())
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        let mut blocks = self.network.block_prefixes();
        for (name, module) in &self.modules {
            if matches!(module, TextModule::Dense(_)) {
                blocks.push(vec![name.clone()]);
            }
        }
        by_prefix(&self.parameters(), &blocks)
    }

    fn classifier(&self) -> &[&str] {
        &HEADS
    }

    fn set_activation_checkpoint(&self, on: bool) -> Result<()> {
        self.network.checkpoint().set(on);
        Ok(())
    }

    /// Loads the weights of the network by transformers' names, also those of a model with a head and the names of 2018.
    /// [Dense](TextModule::Dense) modules keep their parameters if the file lacks them.
    fn load(
        &self,
        weights: &Weights,
        names: &Names,
    ) -> std::result::Result<LoadReport, ModelError> {
        let names = self.network.file_names(names.clone());
        let modules = self.modules.iter().map(|(name, _)| name.clone());
        load(self, weights, &modules.fold(names, Names::keep))
    }
}

trainable!(TextEncoder);
