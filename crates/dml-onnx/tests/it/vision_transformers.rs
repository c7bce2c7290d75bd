//! Vision transformers of every family, and the text towers beside them.

use candle_core::{DType, Device, Tensor};
use dml_core::Error;
use dml_models::text::HiddenAct;
use dml_models::{
    TextTower, TextTowerConfig, TokenPooling, VisionTransformer, VisionTransformerConfig, by_name,
};
use dml_nn::{L2Normalize, Layer, Linear, LinearConfig, Sequential};
use dml_onnx::{OnnxConfig, OnnxError, to_bytes};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::onnxruntime::{check, fill, numbers};

/// A small network of a published one's family.
fn small(mut config: VisionTransformerConfig) -> VisionTransformerConfig {
    (config.hidden_size, config.num_attention_heads) = (24, 3);
    (config.num_hidden_layers, config.intermediate_size) = (2, 40);
    (config.image_size, config.patch_size) = ([32, 24], 8);
    config.projection_dim = config.projection_dim.map(|_| 5);
    config
}

fn build(config: VisionTransformerConfig) -> VisionTransformer {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = VisionTransformer::new(config, rng, DType::F32, &Device::Cpu).unwrap();
    fill(&network);
    network
}

/// Images of the network's own size, and larger ones of another shape.
fn family(name: &str, config: VisionTransformerConfig) {
    let network = build(small(config));
    for [height, width] in [[32, 24], [48, 64]] {
        let inputs = [1, 3].map(|count| numbers(&[count, 3, height, width]));
        check(name, &network, &OnnxConfig::images(), &inputs);
    }
}

#[test]
fn vit_with_each_pooling() {
    for pooling in [
        TokenPooling::ClassToken,
        TokenPooling::Average,
        TokenPooling::AverageThenNorm,
    ] {
        let mut config = VisionTransformerConfig::vit_tiny_patch16_224();
        config.pooling = pooling;
        family(&format!("vit, {pooling:?}"), config);
    }
}

#[test]
fn dinov2() {
    family("dinov2", VisionTransformerConfig::dinov2_small());
}

#[test]
fn dinov2_with_registers() {
    let config = VisionTransformerConfig::dinov2_with_registers_small();
    family("dinov2 with registers", config.clone());
    // timm's positions have no row for the class token then.
    let mut timm = VisionTransformerConfig::vit_tiny_patch16_224();
    (timm.register_tokens, timm.layer_scale) = (config.register_tokens, config.layer_scale);
    family("timm's dinov2 with registers", timm);
}

#[test]
fn clip() {
    family("clip", VisionTransformerConfig::clip_vit_base_patch32());
}

#[test]
fn siglip() {
    family("siglip", VisionTransformerConfig::siglip_base_patch16_224());
}

#[test]
fn a_published_network_with_a_head() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let backbone = by_name("vit_tiny_patch16_224").unwrap();
    let backbone = backbone.build(rng, dtype, device).unwrap();
    let head = Linear::new(LinearConfig::new(192, 7), rng, dtype, device).unwrap();
    let network = Sequential::default()
        .with("backbone", backbone)
        .with("head", head)
        .with("normalize", L2Normalize);
    fill(&network);
    let inputs = [[1, 3, 96, 64], [2, 3, 96, 64]].map(|shape| numbers(&shape));
    check(
        "vit_tiny_patch16_224",
        &network,
        &OnnxConfig::images(),
        &inputs,
    );
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let network = build(small(VisionTransformerConfig::vit_tiny_patch16_224()));
    let mut config = OnnxConfig::images();
    config.dynamic_axes.push((2, "height".to_owned()));
    let error = to_bytes(&network, &numbers(&[1, 3, 32, 24]), &config).unwrap_err();
    let is_named = matches!(
        &error,
        OnnxError::Core(Error::Unsupported { component, .. }) if *component == "VisionTransformer"
    );
    assert!(is_named, "{error}");
    let odd = numbers(&[1, 3, 30, 24]);
    let error = to_bytes(&network, &odd, &OnnxConfig::images()).unwrap_err();
    assert!(
        matches!(error, OnnxError::Core(Error::Shape { .. })),
        "{error}"
    );
}

#[test]
fn constants_have_the_names_of_parameters() {
    for config in [
        VisionTransformerConfig::vit_tiny_patch16_224(),
        VisionTransformerConfig::dinov2_with_registers_small(),
        VisionTransformerConfig::siglip_base_patch16_224(),
    ] {
        let network = build(small(config));
        let mut graph = dml_nn::Graph::default();
        let input = graph.input("images");
        network.export(&mut graph, &input).unwrap();
        let constants = graph.constants().iter().map(|(value, _)| value.name());
        let constants: Vec<&str> = constants.collect();
        for (name, _) in network.parameters() {
            assert!(constants.contains(&name.as_str()), "{name}: {constants:?}");
        }
    }
}

fn tower(mut config: TextTowerConfig) -> TextTower {
    (config.hidden_size, config.num_attention_heads) = (24, 3);
    (config.num_hidden_layers, config.intermediate_size) = (2, 40);
    (config.vocab_size, config.projection_dim) = (12, 5);
    (config.max_position_embeddings, config.hidden_act) = (9, HiddenAct::QuickGelu);
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    config.end_token_id = config.end_token_id.min(11);
    let tower = TextTower::new(config, rng, DType::F32, &Device::Cpu).unwrap();
    fill(&tower);
    tower
}

#[test]
fn text_towers() {
    for (name, config, end) in [
        (
            "clip's texts",
            TextTowerConfig::clip_vit_base_patch32(),
            11u32,
        ),
        (
            "siglip's texts",
            TextTowerConfig::siglip_base_patch16_224(),
            1,
        ),
    ] {
        let tower = tower(config);
        let short = Tensor::new(&[[5u32, end, end, end], [7, 3, 2, end]], &Device::Cpu);
        let long = [2u32, 3, 4, 5, 6, 7, 8, 9, end];
        let inputs = [short.unwrap(), Tensor::new(&[long], &Device::Cpu).unwrap()];
        check(name, &tower, &OnnxConfig::texts(), &inputs);
    }
}
