//! An image tower and a text tower into one space.
//!
//! ```text
//! logits[i, j] = e^s cos(image i, text j) + b
//! ```
//!
//! `s` is learned, and so is b in `SigLIP`; CLIP has none.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::{ImageInput, Result, SeedSequence, TensorExt, check, in_graph};
use dml_nn::{Graph, GraphValue, Layer, Parameters};
use rand::RngCore;

use super::config::VisionTransformerConfig;
use super::family::VisionFamily;
use super::network::VisionTransformer;
use super::text_tower::{TextTower, TextTowerConfig, TextTowerFamily};
use crate::backbone::{Backbone, trainable};
use crate::init::Init;

/// CLIP or `SigLIP`: images and texts in one space.
///
/// ```text
/// logits[i, j] = e^s cos(image i, text j) + b
/// ```
///
/// `s` is learned, and so is b in `SigLIP`; CLIP has none.
///
/// As a [`Layer`] it is the image tower, `[N, 3, H, W]` → `[N, embedding_dim]`; [`text`](Self::text) is the other one. The
/// registry has the image towers alone.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use dml_models::{DualEncoder, TextTowerConfig, VisionTransformerConfig};
/// use rand::SeedableRng;
///
/// let mut image = VisionTransformerConfig::clip_vit_base_patch32();
/// let mut text = TextTowerConfig::clip_vit_base_patch32();
/// (image.num_hidden_layers, text.num_hidden_layers, text.vocab_size, text.end_token_id) = (1, 1, 10, 9);
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// let clip = DualEncoder::new(image, text, rng, DType::F32, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 3, 224, 224), DType::F32, &Device::Cpu)?;
/// let ids = Tensor::new(&[[8u32, 3, 9], [8, 4, 9]], &Device::Cpu)?;
/// assert_eq!(clip.logits(&images, &ids, false)?.dims(), [1, 2]);
/// // clip.load(&Weights::open("clip-vit-base-patch32")?, &Names::default())?;
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DualEncoder {
    image: VisionTransformer,
    text: TextTower,
    logit_scale: Var,
    logit_bias: Option<Var>,
}

impl DualEncoder {
    /// Towers with initial weights. s starts as ln(1 / 0.07) in CLIP, as ln 10 with b = −10 in `SigLIP`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) unless both towers are CLIP's or `SigLIP`'s,
    /// [`Error::Length`](dml_core::Error::Length) for embeddings of different lengths, errors of the towers.
    pub fn new(
        image: VisionTransformerConfig,
        text: TextTowerConfig,
        rng: &mut dyn RngCore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let (scale, bias) = match (image.family, text.family) {
            (VisionFamily::Clip, TextTowerFamily::Clip) => ((1.0f64 / 0.07).ln(), None),
            (VisionFamily::Siglip, TextTowerFamily::Siglip) => (10f64.ln(), Some(-10.0)),
            _ => {
                let reason = "both towers must be CLIP's or SigLIP's";
                check::supported(false, "DualEncoder", reason)?;
                (0.0, None)
            }
        };
        let image = VisionTransformer::new(image, rng, dtype, device)?;
        let text = TextTower::new(text, rng, dtype, device)?;
        check::length(
            "projection_dim",
            image.embedding_dim(),
            text.embedding_dim(),
        )?;
        let init = Init { rng, dtype, device };
        // A number in CLIP's file, a list of one number in SigLIP's.
        let shape: &[usize] = if bias.is_some() { &[1] } else { &[] };
        Ok(Self {
            image,
            text,
            logit_scale: init.constant(shape, scale)?,
            logit_bias: bias.map(|bias| init.constant(shape, bias)).transpose()?,
        })
    }

    /// The image tower.
    #[must_use]
    pub fn image(&self) -> &VisionTransformer {
        &self.image
    }

    /// The text tower.
    #[must_use]
    pub fn text(&self) -> &TextTower {
        &self.text
    }

    /// Logits ([formula](Self)) of images `[N, 3, H, W]` and token ids `[M, length]`: `[N, M]`.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) and [`Error::DType`](dml_core::Error::DType) for inputs that a tower can't
    /// work with.
    pub fn logits(&self, images: &Tensor, ids: &Tensor, train: bool) -> Result<Tensor> {
        let images = self.image.forward_t(images, train)?.normalize_rows(2.0)?;
        let texts = self.text.forward_t(ids, train)?.normalize_rows(2.0)?;
        let scale = in_graph(&self.logit_scale).exp()?.reshape((1, 1))?;
        let logits = images.matmul(&texts.t()?)?.broadcast_mul(&scale)?;
        match &self.logit_bias {
            None => Ok(logits),
            Some(bias) => Ok(logits.broadcast_add(&in_graph(bias))?),
        }
    }
}

impl Layer for DualEncoder {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        self.image.forward_t(input, train)
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = self.image.parameters();
        parameters.add(self.text.parameters());
        parameters.push("logit_scale", self.logit_scale.clone());
        if let Some(bias) = &self.logit_bias {
            parameters.push("logit_bias", bias.clone());
        }
        parameters
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let mut seeds = self.image.seeds();
        seeds.extend(self.text.seeds());
        seeds
    }

    fn export(&self, graph: &mut Graph, images: &GraphValue) -> Result<GraphValue> {
        self.image.export(graph, images)
    }
}

impl Backbone for DualEncoder {
    fn embedding_dim(&self) -> usize {
        self.image.embedding_dim()
    }

    fn image_input(&self) -> Option<ImageInput> {
        self.image.image_input()
    }

    /// The blocks of the image tower, those of the text tower, and the parameters of the logits.
    fn blocks(&self) -> Vec<Vec<String>> {
        let mut blocks = self.image.blocks();
        blocks.extend(self.text.blocks());
        let bias = self.logit_bias.as_ref().map(|_| "logit_bias");
        let logits = std::iter::once("logit_scale").chain(bias);
        blocks.push(logits.map(str::to_owned).collect());
        blocks
    }

    fn classifier(&self) -> &[&str] {
        &[
            "vision_model.embeddings.position_ids",
            "text_model.embeddings.position_ids",
        ]
    }

    fn set_activation_checkpoint(&self, on: bool) -> Result<()> {
        self.image.set_activation_checkpoint(on)?;
        self.text.set_activation_checkpoint(on)
    }
}

trainable!(DualEncoder);
