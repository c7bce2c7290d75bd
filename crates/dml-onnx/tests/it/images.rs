//! Backbones, alone and with a head.

use candle_core::{DType, Device};
use dml_models::{ConvNeXt, ConvNeXtConfig, by_name};
use dml_nn::{L2Normalize, Linear, LinearConfig, Sequential};
use dml_onnx::OnnxConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::onnxruntime::{check, fill, numbers};

fn backbone(name: &str) {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = by_name(name).unwrap();
    let network = network.build(rng, DType::F32, &Device::Cpu).unwrap();
    fill(&network);
    let inputs = [[1, 3, 64, 64], [3, 3, 64, 64]].map(|shape| numbers(&shape));
    check(name, &network, &OnnxConfig::images(), &inputs);
}

#[test]
fn mobilenet_v2() {
    backbone("mobilenet_v2");
}

#[test]
fn resnet18() {
    backbone("resnet18");
}

#[test]
fn resnet50() {
    backbone("resnet50");
}

#[test]
fn mobilenet_v3_small() {
    backbone("mobilenet_v3_small");
}

#[test]
fn mobilenet_v3_large() {
    backbone("mobilenet_v3_large");
}

#[test]
fn efficientnet_b0() {
    backbone("efficientnet_b0");
}

#[test]
fn efficientnet_lite0() {
    backbone("efficientnet_lite0");
}

#[test]
fn convnext_tiny() {
    backbone("convnext_tiny");
}

#[test]
fn convnext_with_the_classifiers_norm() {
    let mut config = ConvNeXtConfig::tiny();
    config.stages = vec![[8, 1], [16, 2]];
    config.classifier_norm = true;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = ConvNeXt::new(config, rng, DType::F64, &Device::Cpu).unwrap();
    fill(&network);
    let images = numbers(&[2, 3, 32, 48]).to_dtype(DType::F64).unwrap();
    check("convnext", &network, &OnnxConfig::images(), &[images]);
}

#[test]
fn a_head_on_images_of_any_size() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let backbone = by_name("mobilenet_v2")
        .unwrap()
        .build(rng, dtype, device)
        .unwrap();
    let head = Linear::new(LinearConfig::new(1280, 7), rng, dtype, device).unwrap();
    let network = Sequential::default()
        .with("backbone", backbone)
        .with("head", head)
        .with("normalize", L2Normalize);
    fill(&network);
    let mut config = OnnxConfig::images();
    config
        .dynamic_axes
        .extend([(2, "height".to_owned()), (3, "width".to_owned())]);
    let inputs = [[2, 3, 32, 32], [1, 3, 65, 33]].map(|shape| numbers(&shape));
    check("head", &network, &config, &inputs);
}
