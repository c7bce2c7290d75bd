//! Normalisations, activations and embeddings of the backbones: ResNet-18 and MobileNetV2 with 64 images of 128 × 128
//! pixels, ViT-S/16 with 16 of 224, ConvNeXt-T with 16 of 224, MiniLM with 64 texts of 64 tokens.

use candle_core::{DType, Device, Tensor};
use dml_core::{Result, SeedSequence};
use dml_nn::{
    BatchNorm, BatchNormConfig, DropPath, DropPathConfig, Embedding, EmbeddingConfig, Gelu,
    GeluForm, GroupNorm, GroupNormConfig, Hardsigmoid, Hardswish, Layer, LayerNorm, LayerNorm2d,
    LayerNorm2dConfig, LayerNormConfig, Parameters, Relu, Relu6, RmsNorm, RmsNormConfig,
    RotaryEmbedding, RotaryEmbeddingConfig, Sigmoid, Silu, Tanh,
};
use rand_chacha::ChaCha8Rng;

use crate::Row;

/// An embedding of given ids, whatever the input.
#[derive(Debug)]
struct Lookup(Embedding, Tensor);

impl Layer for Lookup {
    fn forward_t(&self, _: &Tensor, train: bool) -> Result<Tensor> {
        self.0.forward_t(&self.1, train)
    }

    fn parameters(&self) -> Parameters {
        self.0.parameters()
    }
}

/// Channels and side of the image.
const BATCH_NORMS: [[usize; 2]; 9] = [
    [64, 64],
    [64, 32],
    [128, 16],
    [256, 8],
    [512, 4],
    [96, 64],
    [144, 32],
    [576, 8],
    [1280, 4],
];

pub(crate) fn rows(rng: &mut ChaCha8Rng, dtype: DType, device: &Device) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for [channels, side] in BATCH_NORMS {
        let norm = BatchNorm::new(BatchNormConfig::new(channels), dtype, device)?;
        let name = format!("batchnorm {channels} @{side}");
        rows.push(Row::new(name, norm, [64, channels, side, side]));
    }
    let norm = BatchNorm::new(BatchNormConfig::new(512), dtype, device)?;
    rows.push(Row::new("batchnorm rows 512", norm, [256, 512]));
    let frozen = BatchNorm::new(BatchNormConfig::new(64), dtype, device)?;
    frozen.freeze_statistics();
    rows.push(Row::new(
        "frozen batchnorm 64 @32",
        frozen,
        [64, 64, 32, 32],
    ));
    for (network, shape) in [
        ("vit-s", [16, 197, 384]),
        ("minilm", [64, 64, 384]),
        ("vit-b", [16, 197, 768]),
    ] {
        let norm = LayerNorm::new(LayerNormConfig::new([shape[2]]), dtype, device)?;
        rows.push(Row::new(format!("layernorm {network}"), norm, shape));
        let norm = RmsNorm::new(RmsNormConfig::new(shape[2]), dtype, device)?;
        rows.push(Row::new(format!("rmsnorm {network}"), norm, shape));
    }
    for [channels, side] in [[96, 56], [384, 14], [768, 7]] {
        let norm = LayerNorm2d::new(LayerNorm2dConfig::new(channels), dtype, device)?;
        let name = format!("layernorm2d {channels} @{side}");
        rows.push(Row::new(name, norm, [16, channels, side, side]));
    }
    let norm = GroupNorm::new(GroupNormConfig::new(32, 64), dtype, device)?;
    rows.push(Row::new("groupnorm 32 of 64 @32", norm, [64, 64, 32, 32]));
    for (form, name) in [
        (GeluForm::Erf, "gelu"),
        (GeluForm::Tanh, "gelu tanh"),
        (GeluForm::Quick, "gelu quick"),
    ] {
        rows.push(Row::new(
            format!("{name} vit-s"),
            Gelu::new(form),
            [16, 197, 1536],
        ));
    }
    let image = [64, 96, 64, 64];
    rows.push(Row::new("relu mobilenet2", Relu, image));
    rows.push(Row::new("relu6 mobilenet2", Relu6, image));
    rows.push(Row::new("silu mobilenet2", Silu, image));
    rows.push(Row::new("hardswish mobilenet2", Hardswish, image));
    rows.push(Row::new("hardsigmoid mobilenet2", Hardsigmoid, image));
    rows.push(Row::new("sigmoid mobilenet2", Sigmoid, image));
    rows.push(Row::new("tanh mobilenet2", Tanh, image));
    let embedding = Embedding::new(EmbeddingConfig::new(30_522, 384), rng, dtype, device)?;
    let ids: Vec<u32> = (0..64 * 64u32).map(|i| i * i % 30_011).collect();
    let ids = Tensor::from_vec(ids, (64, 64), device)?;
    rows.push(Row::new("embedding minilm", Lookup(embedding, ids), [1]));
    let config = DropPathConfig {
        drop_prob: 0.1,
        ..Default::default()
    };
    rows.push(Row::new(
        "droppath vit-s",
        DropPath::new(config, SeedSequence::new(0))?,
        [16, 197, 384],
    ));
    for interleaved in [false, true] {
        let rotary = RotaryEmbedding::new(RotaryEmbeddingConfig {
            interleaved,
            ..RotaryEmbeddingConfig::new(64)
        })?;
        let name = if interleaved {
            "rotary interleaved"
        } else {
            "rotary half-split"
        };
        rows.push(Row::new(name, rotary, [16, 12, 256, 64]));
    }
    Ok(rows)
}
