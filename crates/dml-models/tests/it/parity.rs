//! Features, the gradient of every parameter, and running statistics, beside PyTorch's in double precision, in evaluation
//! and in training (`generate/parity.py`).

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device};
use dml_models::{
    Backbone, ConvNeXt, ConvNeXtConfig, EfficientNet, EfficientNetConfig, EfficientNetLite,
    EfficientNetLiteConfig, by_name,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::{Case, assert_digest, digest, fill, tensor};

/// Relative to the norm of the tensor. The files have ten digits; Candle's gradient of GELU has a constant of six.
const TOLERANCE: f64 = 2e-6;

#[derive(serde::Deserialize)]
struct Golden {
    shape: [usize; 4],
    eval: Mode,
    train: Mode,
}

#[derive(serde::Deserialize)]
struct Mode {
    #[serde(flatten)]
    case: Case,
    #[serde(default)]
    buffers: BTreeMap<String, [f64; 4]>,
}

pub(crate) fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The network in double precision, without stochastic depth.
fn build(name: &str) -> Box<dyn Backbone> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (dtype, device) = (DType::F64, &Device::Cpu);
    match name {
        "efficientnet_b0" => {
            let mut config = EfficientNetConfig::b0();
            config.stochastic_depth_prob = 0.0;
            Box::new(EfficientNet::new(config, rng, dtype, device).unwrap())
        }
        "efficientnet_lite0" => {
            let mut config = EfficientNetLiteConfig::lite0();
            config.drop_connect_rate = 0.0;
            Box::new(EfficientNetLite::new(config, rng, dtype, device).unwrap())
        }
        "convnext_tiny" => {
            let mut config = ConvNeXtConfig::tiny();
            config.stochastic_depth_prob = 0.0;
            Box::new(ConvNeXt::new(config, rng, dtype, device).unwrap())
        }
        _ => by_name(name).unwrap().build(rng, dtype, device).unwrap(),
    }
}

fn check(name: &str) {
    let golden: Golden = serde_json::from_str(&golden(&format!("{name}.json"))).unwrap();
    let network = build(name);
    for (name_of_mode, mode) in [("eval", &golden.eval), ("train", &golden.train)] {
        fill(&network);
        let images = tensor("image", &golden.shape, -1.0, 1.0);
        let features = network.forward_t(&images, name_of_mode == "train").unwrap();
        let case = format!("{name}, {name_of_mode}");
        mode.case.assert(&case, &features, &network, TOLERANCE);
        for (own, expected) in &mode.buffers {
            let what = format!("{case}: {own}");
            let buffers = network.buffers();
            let buffer = buffers.get(own).unwrap_or_else(|| panic!("{what}"));
            assert_digest(&what, digest(own, buffer), *expected, TOLERANCE, 0.0);
        }
    }
}

#[test]
fn mobilenet_v2() {
    check("mobilenet_v2");
}

#[test]
fn resnet18() {
    check("resnet18");
}

#[test]
fn resnet34() {
    check("resnet34");
}

#[test]
fn resnet50() {
    check("resnet50");
}

#[test]
fn resnet101() {
    check("resnet101");
}

#[test]
fn mobilenet_v3_small() {
    check("mobilenet_v3_small");
}

#[test]
fn mobilenet_v3_large() {
    check("mobilenet_v3_large");
}

#[test]
fn efficientnet_b0() {
    check("efficientnet_b0");
}

#[test]
fn efficientnet_lite0() {
    check("efficientnet_lite0");
}

#[test]
fn convnext_tiny() {
    check("convnext_tiny");
}
