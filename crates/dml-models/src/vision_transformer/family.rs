//! What the families of image towers differ in: names, and the parts that there are.

use super::block::{BlockNames, CLIP_BLOCK, Projections};

/// Whose names and parts a [`VisionTransformer`](super::VisionTransformer) has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VisionFamily {
    /// timm's `VisionTransformer`, which `ViT` and timm's `DINOv2` are. Position embeddings have no row for the class token if
    /// there are registers.
    #[default]
    Timm,
    /// `Dinov2Model` and `Dinov2WithRegistersModel` of transformers, under the names in published files.
    Dinov2,
    /// Image tower of transformers' `CLIPModel` with its projection.
    Clip,
    /// Image tower of transformers' `SiglipModel`.
    Siglip,
}

/// Names of the parts of an image tower; none for parts that the family lacks.
#[derive(Debug)]
pub(super) struct VisionNames {
    pub(super) class_token: Option<&'static str>,
    pub(super) registers: Option<&'static str>,
    /// Position embeddings.
    pub(super) positions: &'static str,
    /// Whether class token and positions are rows of a table, without a dimension of size 1 in front.
    pub(super) is_table: bool,
    /// Convolution of patches.
    pub(super) patches: &'static str,
    pub(super) patch_bias: bool,
    /// Normalisation in front of the blocks.
    pub(super) first_norm: Option<&'static str>,
    pub(super) blocks: &'static str,
    pub(super) block: BlockNames,
    pub(super) norm: &'static str,
    /// Normalisation behind an average.
    pub(super) norm_of_average: Option<&'static str>,
    /// Pooling by attention.
    pub(super) attention_pool: Option<&'static str>,
    pub(super) projection: Option<&'static str>,
    /// Prefixes of tensors that are no part of the tower.
    pub(super) others: &'static [&'static str],
}

const TIMM: VisionNames = VisionNames {
    class_token: Some("cls_token"),
    registers: Some("reg_token"),
    positions: "pos_embed",
    is_table: false,
    patches: "patch_embed.proj",
    patch_bias: true,
    first_norm: None,
    blocks: "blocks",
    block: BlockNames {
        norms: ["norm1", "norm2"],
        projections: Projections::Packed("attn.qkv"),
        attention_output: "attn.proj",
        layer_scales: ["ls1.gamma", "ls2.gamma"],
        feed_forward: ["mlp.fc1", "mlp.fc2"],
    },
    norm: "norm",
    norm_of_average: Some("fc_norm"),
    attention_pool: None,
    projection: None,
    others: &["head", "pre_logits", "mask_token"],
};

const DINOV2: VisionNames = VisionNames {
    class_token: Some("embeddings.cls_token"),
    registers: Some("embeddings.register_tokens"),
    positions: "embeddings.position_embeddings",
    patches: "embeddings.patch_embeddings.projection",
    blocks: "encoder.layer",
    block: BlockNames {
        norms: ["norm1", "norm2"],
        projections: Projections::Separate([
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
        ]),
        attention_output: "attention.output.dense",
        layer_scales: ["layer_scale1.lambda1", "layer_scale2.lambda1"],
        feed_forward: ["mlp.fc1", "mlp.fc2"],
    },
    norm: "layernorm",
    norm_of_average: None,
    others: &["classifier", "embeddings.mask_token"],
    ..TIMM
};

const CLIP: VisionNames = VisionNames {
    class_token: Some("vision_model.embeddings.class_embedding"),
    registers: None,
    positions: "vision_model.embeddings.position_embedding.weight",
    is_table: true,
    patches: "vision_model.embeddings.patch_embedding",
    patch_bias: false,
    // Misspelt upstream.
    first_norm: Some("vision_model.pre_layrnorm"),
    blocks: "vision_model.encoder.layers",
    block: CLIP_BLOCK,
    norm: "vision_model.post_layernorm",
    norm_of_average: None,
    attention_pool: None,
    projection: Some("visual_projection"),
    others: &[
        "text_model",
        "text_projection",
        "logit_scale",
        "logit_bias",
        "vision_model.embeddings.position_ids",
    ],
};

const SIGLIP: VisionNames = VisionNames {
    class_token: None,
    patch_bias: true,
    first_norm: None,
    attention_pool: Some("vision_model.head"),
    projection: None,
    ..CLIP
};

impl VisionFamily {
    pub(super) fn names(self) -> &'static VisionNames {
        match self {
            Self::Timm => &TIMM,
            Self::Dinov2 => &DINOV2,
            Self::Clip => &CLIP,
            Self::Siglip => &SIGLIP,
        }
    }
}
