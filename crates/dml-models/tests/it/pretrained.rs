//! Published weights: their features are torchvision's. The file is not in the repository; without it, the tests print so.

use std::path::PathBuf;

use candle_core::{DType, Device};
use dml_models::{Backbone, Names, Weights, by_name};
use dml_nn::Layer;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::formula::{assert_digest, digest, tensor};
use crate::parity::golden;

#[derive(serde::Deserialize)]
struct Golden {
    features: [f64; 4],
    rows: Vec<Vec<f64>>,
}

/// The file of weights: `DML_MOBILENET_V2`, or where the workspace's neighbours are.
fn weights() -> Option<PathBuf> {
    let beside = "../../../shared/models/mobilenet_v2-imagenet1k.safetensors";
    let path = std::env::var_os("DML_MOBILENET_V2").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(beside),
        PathBuf::from,
    );
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

fn network(path: &PathBuf, dtype: DType) -> Box<dyn Backbone> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let network = by_name("mobilenet_v2").unwrap();
    let network = network.build(rng, dtype, &Device::Cpu).unwrap();
    let report = network
        .load(&Weights::open(path).unwrap(), &Names::default())
        .unwrap();
    assert_eq!(report.loaded, 260);
    assert_eq!(
        report.left_out,
        ["classifier.1.bias", "classifier.1.weight"]
    );
    network
}

#[test]
fn pretrained_mobilenet_v2_has_torchvisions_features() {
    let Some(path) = weights() else { return };
    let golden: Golden = serde_json::from_str(&golden("mobilenet_v2-imagenet1k.json")).unwrap();
    let images = tensor("image", &[2, 3, 224, 224], -2.0, 2.0);
    let images = images.to_dtype(DType::F32).unwrap();
    let features = network(&path, DType::F32).forward(&images).unwrap();
    let got = digest("features", &features);
    assert_digest("features", got, golden.features, 1e-4, 0.0);
    let rows = features.to_vec2::<f32>().unwrap();
    for (got, expected) in rows.iter().zip(&golden.rows) {
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (f64::from(*got) - expected).abs() < 1e-4,
                "{got} {expected}"
            );
        }
    }
}

/// Pixels and features of photos that `generate/photos.py` has written, in `DML_MODELS_PHOTOS`.
#[test]
fn photos_have_torchvisions_features() {
    let Some(path) = weights() else { return };
    let Some(photos) = std::env::var_os("DML_MODELS_PHOTOS") else {
        println!("skipped: DML_MODELS_PHOTOS is not set");
        return;
    };
    let photos = Weights::open(photos).unwrap();
    let read = |name| photos.tensor(name, DType::F32, &Device::Cpu).unwrap();
    let features = network(&path, DType::F32).forward(&read("images")).unwrap();
    let expected = read("features");
    let largest = |tensor: &candle_core::Tensor| {
        let values = tensor.abs().unwrap().flatten_all().unwrap();
        values.max(0).unwrap().to_scalar::<f32>().unwrap()
    };
    let difference = largest(&(&features - &expected).unwrap());
    println!(
        "{:?}: {difference} of {}",
        features.dims(),
        largest(&expected)
    );
    assert!(difference <= 1e-4 * largest(&expected));
}
