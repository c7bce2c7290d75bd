//! Image encoders: a backbone, a linear head on its features, and the normalisation of the embeddings.
//!
//! ```text
//! z = normalise(head(backbone(image)))
//! ```
//!
//! The folder of an encoder has two files. `model.safetensors` holds the tensors: those of the backbone under upstream's names,
//! so that torchvision, timm or transformers read them, and those of the head as `head.weight` and `head.bias`. `config.json`
//! holds the [`ImageEncoderConfig`] with what the images have to be.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, ImageInput, TensorExt, check};
use dml_nn::{Graph, GraphValue, L2Normalize, Layer, Linear, LinearConfig, Parameters};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::backbone::trainable;
use crate::encoder_folder;
use crate::error::Result;
use crate::load::LoadReport;
use crate::names::Names;
use crate::weights::Weights;
use crate::{Backbone, by_name};

/// Name of the head in the file of the weights.
const HEAD: &str = "head";
/// What `model_type` says in `config.json`.
const MODEL_TYPE: &str = "dml_image_encoder";
/// Configuration of an [`ImageEncoder`]; `config.json` of its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEncoderConfig {
    /// Name of the backbone; [`Model::ALL`](crate::Model::ALL) has all names.
    pub backbone: String,
    /// Length of the embeddings; `None` for the features of the backbone without a head.
    #[serde(default)]
    pub embedding_dim: Option<usize>,
    /// Whether embeddings are scaled to length 1. Default `true`.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// What the images have to be; `None` for what the backbone was trained on.
    #[serde(default)]
    pub image: Option<ImageInput>,
}

fn yes() -> bool {
    true
}

impl ImageEncoderConfig {
    /// The features of a backbone, scaled to length 1.
    pub fn new(backbone: impl Into<String>) -> Self {
        Self {
            backbone: backbone.into(),
            embedding_dim: None,
            normalize: true,
            image: None,
        }
    }
}

/// A backbone that is shared: clones have the same variables.
///
/// ```
/// use candle_core::{DType, Device};
/// use dml_models::{Backbone, SharedBackbone, by_name};
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let network = by_name("mobilenet_v3_small")?.build(rng, DType::F32, &Device::Cpu)?;
/// let shared = SharedBackbone::from(network);
/// assert_eq!(shared.clone().embedding_dim(), 576);
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedBackbone(Arc<dyn Backbone>);

impl From<Box<dyn Backbone>> for SharedBackbone {
    fn from(backbone: Box<dyn Backbone>) -> Self {
        Self(backbone.into())
    }
}

impl<B: Backbone + 'static> From<Arc<B>> for SharedBackbone {
    /// The same network, which its owner keeps.
    fn from(backbone: Arc<B>) -> Self {
        Self(backbone)
    }
}

impl Layer for SharedBackbone {
    fn forward_t(&self, input: &Tensor, train: bool) -> dml_core::Result<Tensor> {
        self.0.forward_t(input, train)
    }

    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }

    fn buffers(&self) -> Parameters {
        self.0.buffers()
    }

    fn freeze_statistics(&self) {
        self.0.freeze_statistics();
    }

    fn statistics(&self) -> Vec<dml_core::RunningStatistics> {
        self.0.statistics()
    }

    fn seeds(&self) -> Vec<dml_core::SeedSequence> {
        self.0.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> dml_core::Result<GraphValue> {
        self.0.export(graph, input)
    }
}

impl Backbone for SharedBackbone {
    fn embedding_dim(&self) -> usize {
        self.0.embedding_dim()
    }

    fn image_input(&self) -> Option<ImageInput> {
        self.0.image_input()
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        self.0.blocks()
    }

    fn classifier(&self) -> &[&str] {
        self.0.classifier()
    }
}

trainable!(SharedBackbone);

/// Turns images `[rows, 3, height, width]` into embeddings `[rows, dim]` ([formula and files](self)).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{ImageEncoder, ImageEncoderConfig};
/// use dml_nn::Layer;
/// use rand::SeedableRng;
///
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let config = ImageEncoderConfig { embedding_dim: Some(64), ..ImageEncoderConfig::new("mobilenet_v3_small") };
/// let encoder = ImageEncoder::new(config, rng, DType::F32, &Device::Cpu)?;
/// // encoder.load_backbone(&Weights::open("mobilenet_v3_small-047dcff4.pth")?)?;
/// // … training of encoder.backbone() and encoder.head() …
/// let folder = std::env::temp_dir().join(format!("dml-image-encoder-{}", std::process::id()));
/// encoder.write(&folder)?;
///
/// let encoder = ImageEncoder::read(&folder, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(encoder.forward(&images)?.dims(), [2, 64]);
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok::<(), dml_models::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageEncoder {
    config: ImageEncoderConfig,
    backbone: SharedBackbone,
    head: Option<Linear>,
    input: ImageInput,
}

impl ImageEncoder {
    /// An encoder with upstream's initialisation.
    ///
    /// # Errors
    /// [`ModelError::UnknownModel`](crate::ModelError::UnknownModel) for a name that is no backbone's;
    /// [`ModelError::Core`](crate::ModelError::Core) with [`Error::Unsupported`] for a
    /// backbone that reads no images, [`Error::InvalidParameter`] for an embedding of length 0 or an image out of range.
    pub fn new(
        config: ImageEncoderConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let backbone = by_name(&config.backbone)?.build(rng, dtype, device)?;
        let own = backbone.image_input().ok_or(Error::Unsupported {
            component: "ImageEncoder",
            reason: "expected a backbone that reads images",
        })?;
        let input = config.image.clone().unwrap_or(own);
        input.check()?;
        let head = match config.embedding_dim {
            None => None,
            Some(length) => {
                let length = check::count("embedding_dim", length, 1 << 20)?;
                let linear = LinearConfig::new(backbone.embedding_dim(), length);
                Some(Linear::new(linear, rng, dtype, device)?)
            }
        };
        Ok(Self {
            config,
            backbone: backbone.into(),
            head,
            input,
        })
    }

    /// Reads the folder of an encoder.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if a file can't be read, [`ModelError::Format`](crate::ModelError::Format) if
    /// it is damaged or of another kind of model, errors of [`new`](Self::new) and [`load()`](crate::load()).
    pub fn read(folder: impl AsRef<Path>, dtype: DType, device: &Device) -> Result<Self> {
        encoder_folder::read(folder.as_ref(), MODEL_TYPE, |config, rng| {
            Self::new(config, rng, dtype, device)
        })
    }

    /// The configuration in the folder of an encoder, without its weights.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if the file can't be read, [`ModelError::Format`](crate::ModelError::Format)
    /// if it is damaged or of another kind of model.
    pub fn read_config(folder: impl AsRef<Path>) -> Result<ImageEncoderConfig> {
        encoder_folder::read_config(folder.as_ref(), MODEL_TYPE)
    }

    /// Writes `config.json` and `model.safetensors` to a folder, which is created if it is absent. Each file is whole or
    /// absent.
    ///
    /// # Errors
    /// [`ModelError::Io`](crate::ModelError::Io) if a file can't be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let config = ImageEncoderConfig {
            image: Some(self.input.clone()),
            ..self.config.clone()
        };
        encoder_folder::write(folder.as_ref(), MODEL_TYPE, &config, self)
    }

    /// Loads published weights into the backbone. A head among them, as in a file that [`write`](Self::write) wrote, is left
    /// out.
    ///
    /// # Errors
    /// As [`Backbone::load`].
    pub fn load_backbone(&self, weights: &Weights) -> Result<LoadReport> {
        self.backbone
            .load(weights, &Names::default().leave_out(HEAD))
    }

    /// The same encoder for other images, such as smaller ones.
    ///
    /// # Errors
    /// As [`ImageInput::check`].
    pub fn with_input(mut self, input: ImageInput) -> Result<Self> {
        input.check()?;
        self.input = input;
        Ok(self)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ImageEncoderConfig {
        &self.config
    }

    /// What the images have to be.
    #[must_use]
    pub fn input(&self) -> &ImageInput {
        &self.input
    }

    /// The backbone, which shares its variables with this encoder.
    #[must_use]
    pub fn backbone(&self) -> &SharedBackbone {
        &self.backbone
    }

    /// The head, which shares its variables with this encoder.
    #[must_use]
    pub fn head(&self) -> Option<&Linear> {
        self.head.as_ref()
    }

    /// Length of an embedding.
    #[must_use]
    pub fn embedding_dim(&self) -> usize {
        let features = self.backbone.embedding_dim();
        self.config.embedding_dim.unwrap_or(features)
    }
}

impl Layer for ImageEncoder {
    fn forward_t(&self, input: &Tensor, train: bool) -> dml_core::Result<Tensor> {
        let features = self.backbone.forward_t(input, train)?;
        let embeddings = match &self.head {
            None => features,
            Some(head) => Layer::forward_t(head, &features, train)?,
        };
        match self.config.normalize {
            true => embeddings.normalize_rows(2.0),
            false => Ok(embeddings),
        }
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.backbone.parameters();
        if let Some(head) = &self.head {
            parameters.extend(HEAD, head.parameters());
        }
        parameters
    }

    fn buffers(&self) -> Parameters {
        self.backbone.buffers()
    }

    fn freeze_statistics(&self) {
        self.backbone.freeze_statistics();
    }

    fn statistics(&self) -> Vec<dml_core::RunningStatistics> {
        self.backbone.statistics()
    }

    fn seeds(&self) -> Vec<dml_core::SeedSequence> {
        self.backbone.seeds()
    }

    fn export(&self, graph: &mut Graph, input: &GraphValue) -> dml_core::Result<GraphValue> {
        let mut value = self.backbone.export(graph, input)?;
        if let Some(head) = &self.head {
            value = graph.part(HEAD, head, &value)?;
        }
        match self.config.normalize {
            true => L2Normalize.export(graph, &value),
            false => Ok(value),
        }
    }
}

trainable!(ImageEncoder);

#[cfg(test)]
mod tests;
