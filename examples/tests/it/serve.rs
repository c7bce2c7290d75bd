//! An index that is built, saved and asked, each in a run of its own.

use std::fs;
use std::path::{Path, PathBuf};

use dml::candle_core::{DType, Device};
use dml::data::synthetic::{SyntheticDigits, SyntheticDigitsConfig};
use dml::nn::{Conv2d, Conv2dConfig, Flatten, Layer, Linear, LinearConfig, Sequential};
use dml_examples::serve::{Args, run};
use image::GrayImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const DIGITS: usize = 300;

/// Writes parameters as those of `cargo xtask mnist`, or of a network with other numbers of channels.
fn model(path: &Path, channels: usize) {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let (dtype, device) = (DType::F32, &Device::Cpu);
    let mut conv = |name: &str, network: Sequential, inputs, outputs| {
        let config = Conv2dConfig::new(inputs, outputs, [3, 3]);
        network.with(name, Conv2d::new(config, rng, dtype, device).unwrap())
    };
    let network = conv("conv1", Sequential::default(), 1, channels);
    let network = conv("conv2", network, channels, 64);
    let linear = LinearConfig::new(64 * 12 * 12, 128);
    let network = network
        .with("flatten", Flatten)
        .with("fc1", Linear::new(linear, rng, dtype, device).unwrap());
    network.parameters().save(path).unwrap();
}

fn args(folder: &Path) -> Args {
    Args {
        model: folder.join("model.safetensors"),
        index: folder.join("digits.index"),
        build: false,
        data_dir: None,
        limit: Some(DIGITS),
        k: 3,
        pictures: Vec::new(),
    }
}

/// Two digits of the gallery as pictures.
fn pictures(folder: &Path, rows: [usize; 2]) -> (Vec<PathBuf>, Vec<i64>) {
    let digits = SyntheticDigits::new(SyntheticDigitsConfig::default()).unwrap();
    let train = digits.train_test(DIGITS, 1).unwrap().train;
    let picture = |row: usize| {
        let path = folder.join(format!("{row}.png"));
        let image = GrayImage::from_raw(28, 28, train.image(row).to_vec()).unwrap();
        image.save(&path).unwrap();
        path
    };
    let labels = rows.map(|row| train.labels().as_slice()[row]);
    (rows.map(picture).to_vec(), labels.to_vec())
}

#[test]
fn a_digit_of_the_gallery_finds_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    model(&folder.join("model.safetensors"), 32);
    let build = Args {
        build: true,
        ..args(folder)
    };
    let mut out = Vec::new();
    assert!(run(&build, &mut out).unwrap().is_empty());
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("digits.index: 300 synthetic digits\n"),
        "{text}"
    );

    let (pictures, labels) = pictures(folder, [17, 250]);
    let ask = Args {
        pictures,
        ..args(folder)
    };
    let mut out = Vec::new();
    let found = run(&ask, &mut out).unwrap();
    for (found, (row, label)) in found.iter().zip([17, 250].iter().zip(labels)) {
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].row, found[0].label), (*row, label));
        assert!((found[0].cosine - 1.0).abs() < 1e-6);
        assert!(found.windows(2).all(|two| two[0].cosine >= two[1].cosine));
    }
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("cosine 1.0000, digit 17 of the gallery"),
        "{text}"
    );

    // An index of another gallery than the file beside it says.
    let labels = folder.join("digits.index.json");
    fs::write(labels, r#"{"source": "synthetic", "labels": [1, 2]}"#).unwrap();
    let error = run(&ask, &mut Vec::new()).unwrap_err().to_string();
    assert!(
        error.contains("the labels of the 300 rows of the index, got 2"),
        "{error}"
    );
}

#[test]
fn what_is_missing_or_does_not_fit_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let said = |args: &Args| format!("{:#}", run(args, &mut Vec::new()).unwrap_err());
    assert!(said(&args(folder)).contains("model.safetensors"));
    model(&folder.join("model.safetensors"), 8);
    let error = said(&args(folder));
    assert!(
        error.contains("can't take its weights") && error.contains("conv1.weight"),
        "{error}"
    );
    model(&folder.join("model.safetensors"), 32);
    assert_eq!(
        said(&args(folder)),
        "expected --build, or pictures to look for"
    );
    let (pictures, _) = pictures(folder, [0, 1]);
    let ask = Args {
        pictures,
        ..args(folder)
    };
    assert!(said(&ask).ends_with("digits.index: no such index; --build makes it"));
    fs::write(folder.join("digits.index"), "no index").unwrap();
    assert!(said(&ask).contains("digits.index"));
    let none = Args { k: 0, ..ask };
    assert_eq!(said(&none), "-k: expected at least 1, got 0");
}
