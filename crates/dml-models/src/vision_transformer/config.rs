//! Configuration of image towers.

use dml_core::{Crop, Error, ImageInput, Interpolation, check};

use super::MOST_BLOCKS;
use super::family::VisionFamily;
use crate::error::{ModelError, Result};
use crate::names::Names;
use crate::text::HiddenAct;
use crate::weights::Weights;

/// How one vector is made of the tokens of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenPooling {
    /// The class token; timm's `token`.
    #[default]
    ClassToken,
    /// Mean of the patches' tokens behind the last normalisation; timm's `avg` with `fc_norm=False`.
    Average,
    /// Mean of the patches' tokens in front of the last normalisation, which is named `fc_norm` then; timm's `avg`.
    /// [`Names::rename`] reads `norm` of a file as `fc_norm`.
    AverageThenNorm,
    /// Attention of a learned query to all tokens, then a feed-forward part; `SigLIP`'s head.
    Attention,
}

/// Configuration of [`VisionTransformer`](super::VisionTransformer).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VisionTransformerConfig {
    /// Names of the parameters, and the parts that there are. Default timm's.
    pub family: VisionFamily,
    /// Height and width of the images that the position embeddings are of, in pixels; multiples of `patch_size`. Images of
    /// other sizes get resized positions. Default 224 × 224.
    pub image_size: [usize; 2],
    /// Height and width of a patch in pixels, 1 to 1,024. Default 16.
    pub patch_size: usize,
    /// Length of a token, a multiple of the number of heads. Default 768.
    pub hidden_size: usize,
    /// Number of blocks, 1 to 1,000. Default 12.
    pub num_hidden_layers: usize,
    /// Number of attention heads. Default 12.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers. Default 3,072.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layers. Default GELU.
    pub hidden_act: HiddenAct,
    /// ε of layer normalisation, in `[1e-30, 1e30]`. Default 10⁻⁶.
    pub layer_norm_eps: f64,
    /// Number of register tokens; for the families of timm and `DINOv2`. Default 0.
    pub register_tokens: usize,
    /// Initial value of the factors γ of each block's parts, in `[-1e30, 1e30]`; `None` for blocks without them. Default
    /// `None`.
    pub layer_scale: Option<f64>,
    /// Probability with which the parts of the deepest block are skipped in training, in [0, 1); that of the others grows
    /// with depth from 0. Default 0.
    pub drop_path_rate: f64,
    /// How one vector is made of the tokens. Default the class token.
    pub pooling: TokenPooling,
    /// Length of embeddings behind the linear projection of CLIP; `None` for no projection. Default `None`.
    pub projection_dim: Option<usize>,
    /// Whether position embeddings are resized to a smaller grid with antialiasing, as timm does and transformers does for
    /// registers. Default true.
    pub antialias: bool,
    /// Number o that is added to the size of the new grid in the factor of resizing, (new + o) / old, at least 0. The code of
    /// the authors of `DINOv2` takes 0.1 for networks without registers; timm and transformers take 0. Default 0.
    pub position_offset: f64,
    /// Preprocessing. Default: a crop of 224 × 224 out of 248, bicubic resizing, mean and standard deviation 0.5.
    pub image_input: ImageInput,
}

impl Default for VisionTransformerConfig {
    fn default() -> Self {
        Self::vit_base_patch16_224()
    }
}

/// Images with bicubic resizing.
fn bicubic(size: usize, resize: usize, mean: [f64; 3], std: [f64; 3]) -> ImageInput {
    let mut input = ImageInput::new([size, size], resize, mean, std);
    input.interpolation = Interpolation::Bicubic;
    input
}

impl VisionTransformerConfig {
    /// ViT-Ti/16: 192 numbers, 5.5 million parameters.
    #[must_use]
    pub fn vit_tiny_patch16_224() -> Self {
        Self::vit_base_patch16_224().sized(192)
    }

    /// ViT-S/16: 384 numbers, 21.7 million parameters.
    #[must_use]
    pub fn vit_small_patch16_224() -> Self {
        Self::vit_base_patch16_224().sized(384)
    }

    /// ViT-B/16: 768 numbers, 85.8 million parameters.
    #[must_use]
    pub fn vit_base_patch16_224() -> Self {
        Self {
            family: VisionFamily::Timm,
            image_size: [224, 224],
            patch_size: 16,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: HiddenAct::Gelu,
            layer_norm_eps: 1e-6,
            register_tokens: 0,
            layer_scale: None,
            drop_path_rate: 0.0,
            pooling: TokenPooling::ClassToken,
            projection_dim: None,
            antialias: true,
            position_offset: 0.0,
            // 224 / 0.9, rounded down.
            image_input: bicubic(224, 248, [0.5; 3], [0.5; 3]),
        }
    }

    /// DINOv2-S/14 with the names of transformers: 384 numbers, 22.1 million parameters.
    #[must_use]
    pub fn dinov2_small() -> Self {
        Self::dinov2_base().sized(384)
    }

    /// DINOv2-B/14 with the names of transformers: 768 numbers, 86.6 million parameters.
    #[must_use]
    pub fn dinov2_base() -> Self {
        let (mean, std) = (ImageInput::IMAGENET_MEAN, ImageInput::IMAGENET_STD);
        Self {
            family: VisionFamily::Dinov2,
            image_size: [518, 518],
            patch_size: 14,
            layer_scale: Some(1.0),
            antialias: false,
            image_input: bicubic(224, 256, mean, std),
            ..Self::vit_base_patch16_224()
        }
    }

    /// DINOv2-S/14 with four registers and the names of transformers: 384 numbers, 22.1 million parameters.
    #[must_use]
    pub fn dinov2_with_registers_small() -> Self {
        Self::dinov2_with_registers_base().sized(384)
    }

    /// DINOv2-B/14 with four registers and the names of transformers: 768 numbers, 86.6 million parameters.
    #[must_use]
    pub fn dinov2_with_registers_base() -> Self {
        Self {
            register_tokens: 4,
            antialias: true,
            ..Self::dinov2_base()
        }
    }

    /// The same `DINOv2` with timm's names (`vit_small_patch14_dinov2`, `vit_small_patch14_reg4_dinov2` and so on), its
    /// resizing of positions and its images of 518 × 518 pixels. Without registers, these are the names of the authors' files
    /// too.
    #[must_use]
    pub fn with_names_of_timm(mut self) -> Self {
        self.family = VisionFamily::Timm;
        self.layer_scale = self.layer_scale.map(|_| 1e-5);
        self.antialias = true;
        self.image_input.size = self.image_size;
        self.image_input.resize = self.image_size[0].max(self.image_size[1]);
        self
    }

    /// Image tower of CLIP ViT-B/32: 512 numbers, 87.8 million parameters.
    #[must_use]
    pub fn clip_vit_base_patch32() -> Self {
        let mean = [0.481_454_66, 0.457_827_5, 0.408_210_73];
        let std = [0.268_629_54, 0.261_302_58, 0.275_777_11];
        Self {
            family: VisionFamily::Clip,
            patch_size: 32,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            projection_dim: Some(512),
            antialias: false,
            image_input: bicubic(224, 224, mean, std),
            ..Self::vit_base_patch16_224()
        }
    }

    /// Image tower of `SigLIP` base with patches of 16 pixels: 768 numbers, 92.9 million parameters.
    #[must_use]
    pub fn siglip_base_patch16_224() -> Self {
        let mut image_input = bicubic(224, 224, [0.5; 3], [0.5; 3]);
        image_input.crop = Crop::None;
        Self {
            family: VisionFamily::Siglip,
            hidden_act: HiddenAct::GeluNew,
            pooling: TokenPooling::Attention,
            antialias: false,
            image_input,
            ..Self::vit_base_patch16_224()
        }
    }

    /// Width and heads of a network of another size.
    fn sized(mut self, width: usize) -> Self {
        self.hidden_size = width;
        self.num_attention_heads = width / 64;
        self.intermediate_size = 4 * width;
        self
    }

    /// This configuration with the sizes of a file of weights: patches, width, blocks, feed-forward layers, registers, γ,
    /// projection and a square grid of positions. Heads keep the width that they have here; everything else stays. Prefixes
    /// are removed from the names in the file as [`load()`](crate::load()) removes them.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use dml_models::{Backbone, Names, VisionTransformer, VisionTransformerConfig, Weights};
    /// use rand::SeedableRng;
    ///
    /// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(0);
    /// let mut small = VisionTransformerConfig::vit_tiny_patch16_224();
    /// (small.image_size, small.num_hidden_layers) = ([64, 64], 2);
    /// let small = VisionTransformer::new(small, rng, DType::F32, &Device::Cpu)?;
    /// # use dml_nn::Layer;
    /// # let file = Weights::from_tensors(small.parameters().tensors())?;
    /// // let file = Weights::open("small.safetensors")?;
    /// let names = Names::default();
    /// let config = VisionTransformerConfig::default().with_sizes_of(&file, &names)?;
    /// assert_eq!((config.image_size, config.num_attention_heads), ([64, 64], 3));
    /// let network = VisionTransformer::new(config, rng, DType::F32, &Device::Cpu)?;
    /// network.load(&file, &names)?;
    /// # Ok::<(), dml_models::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// [`ModelError::Missing`] for a tensor that every network of the family has, [`ModelError::Core`] for one whose shape
    /// is no network's.
    pub fn with_sizes_of(mut self, weights: &Weights, names: &Names) -> Result<Self> {
        let own = self.family.names();
        let in_file: Vec<&str> = weights.names().collect();
        let prefix = names.prefix(&in_file, &[own.positions]);
        let shape = |name: &str| weights.shape(&format!("{prefix}{name}"));
        let size = |name: &str, axis: usize| -> Result<usize> {
            let shape = shape(name).ok_or_else(|| ModelError::Missing {
                name: format!("{prefix}{name}"),
            })?;
            let size = shape.get(axis).copied().filter(|size| *size > 0);
            Ok(size.ok_or_else(|| Error::Shape {
                arg: "weights",
                expected: "tensors of a vision transformer",
                got: shape.to_vec(),
            })?)
        };
        let patches = format!("{}.weight", own.patches);
        let head_width = self.hidden_size / self.num_attention_heads.max(1);
        self.hidden_size = size(&patches, 0)?;
        self.num_attention_heads = self.hidden_size / head_width.max(1);
        self.patch_size = size(&patches, 2)?;
        let block = |i: usize, part: &str| format!("{}.{i}.{part}", own.blocks);
        let first = format!("{}.weight", own.block.feed_forward[0]);
        let is_there = |i: &usize| shape(&block(*i, &first)).is_some();
        self.num_hidden_layers = (0..=MOST_BLOCKS).take_while(is_there).count();
        self.intermediate_size = size(&block(0, &first), 0)?;
        let registers = own.registers.filter(|name| shape(name).is_some());
        self.register_tokens = registers.map_or(Ok(0), |name| size(name, 1))?;
        let scaled = shape(&block(0, own.block.layer_scales[0])).is_some();
        self.layer_scale = scaled.then_some(self.layer_scale.unwrap_or(1.0));
        let projection = own.projection.map(|name| format!("{name}.weight"));
        let projection = projection.filter(|name| shape(name).is_some());
        self.projection_dim = projection.map(|name| size(&name, 0)).transpose()?;
        let rows = size(own.positions, usize::from(!own.is_table))?;
        let rows = rows - usize::from(self.class_has_position());
        let side = rows.isqrt();
        check::whole(
            side > 0 && side * side == rows,
            "positions of patches",
            rows,
            "a square number",
        )?;
        self.image_size = [side.saturating_mul(self.patch_size); 2];
        Ok(self)
    }
}
