use std::fs;

use dml_core::rand_chacha::ChaCha8Rng;
use rand::SeedableRng;

use super::*;
use crate::encoder_folder::{CONFIG_FILE, WEIGHTS_FILE};
use crate::error::ModelError;

fn encoder(config: ImageEncoderConfig, seed: u64) -> Result<ImageEncoder> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    ImageEncoder::new(config, rng, DType::F32, &Device::Cpu)
}

fn small(embedding_dim: Option<usize>, normalize: bool) -> ImageEncoderConfig {
    ImageEncoderConfig {
        embedding_dim,
        normalize,
        ..ImageEncoderConfig::new("mobilenet_v3_small")
    }
}

fn embedded(encoder: &ImageEncoder) -> Result<Vec<Vec<f32>>> {
    let values: Vec<f32> = (0..2 * 3 * 32 * 32)
        .map(|i| (i % 13) as f32 / 7.0)
        .collect();
    let images = Tensor::from_vec(values, (2, 3, 32, 32), &Device::Cpu)?;
    Ok(encoder.forward(&images)?.to_vec2()?)
}

#[test]
fn what_is_written_is_read_back() -> Result<()> {
    let root = tempfile::tempdir().unwrap();
    for config in [small(Some(8), true), small(None, false)] {
        let folder = root.path().join("a/model");
        let written = encoder(config.clone(), 1)?;
        written.write(&folder)?;
        let read = ImageEncoder::read(&folder, DType::F32, &Device::Cpu)?;
        assert_eq!(embedded(&read)?, embedded(&written)?);
        assert_eq!(read.input(), written.input());
        // What the images have to be stands in the file, whatever a later version takes for the backbone.
        assert_eq!(read.config().image, Some(written.input().clone()));
        assert_eq!(read.config().embedding_dim, config.embedding_dim);
    }
    Ok(())
}

#[test]
fn embeddings_are_head_and_length_of_the_features() -> Result<()> {
    let normalized = encoder(small(Some(8), true), 1)?;
    assert_eq!(normalized.embedding_dim(), 8);
    for row in embedded(&normalized)? {
        let length: f32 = row.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    let names: Vec<String> = normalized
        .parameters()
        .into_iter()
        .map(|own| own.0)
        .collect();
    assert!(names.iter().any(|name| name == "features.0.0.weight"));
    assert_eq!(names[names.len() - 2..], ["head.weight", "head.bias"]);

    let features = encoder(small(None, false), 1)?;
    assert_eq!(features.embedding_dim(), 576);
    assert_eq!(embedded(&features)?[0].len(), 576);
    Ok(())
}

#[test]
fn weights_of_the_backbone_come_without_the_head() -> Result<()> {
    let root = tempfile::tempdir().unwrap();
    let source = encoder(small(Some(8), false), 1)?;
    source.write(root.path())?;
    let weights = Weights::open(root.path().join(WEIGHTS_FILE))?;
    let target = encoder(small(Some(4), false), 2)?;
    target.load_backbone(&weights)?;
    let of = |encoder: &ImageEncoder| -> Result<Vec<f32>> {
        let stem = encoder.backbone().parameters();
        let stem = stem.get("features.0.0.weight").unwrap();
        Ok(stem.flatten_all()?.to_vec1()?)
    };
    assert_eq!(of(&source)?, of(&target)?);
    Ok(())
}

#[test]
fn what_is_no_encoder_is_refused_by_name() -> Result<()> {
    let message = |config: ImageEncoderConfig| encoder(config, 0).unwrap_err().to_string();
    let unknown = message(ImageEncoderConfig::new("resnet19"));
    assert!(
        unknown.starts_with("resnet19: expected one of"),
        "{unknown}"
    );
    assert!(message(small(Some(0), true)).starts_with("embedding_dim:"));
    let mut image = encoder(small(None, true), 0)?.input().clone();
    image.size = [0, 32];
    let config = ImageEncoderConfig {
        image: Some(image),
        ..small(None, true)
    };
    assert!(message(config).starts_with("size:"));

    let root = tempfile::tempdir().unwrap();
    let read = || ImageEncoder::read(root.path(), DType::F32, &Device::Cpu).unwrap_err();
    assert!(matches!(read(), ModelError::Io { .. }));
    for (text, expected) in [
        ("{", "EOF"),
        ("{}", "missing field `model_type`"),
        (
            r#"{"model_type": "bert"}"#,
            "expected dml_image_encoder, found bert",
        ),
        (
            r#"{"model_type": "dml_image_encoder"}"#,
            "missing field `backbone`",
        ),
        (
            r#"{"model_type": "dml_image_encoder", "backbone": "resnet18", "dim": 3}"#,
            "unknown field `dim`",
        ),
    ] {
        fs::write(root.path().join(CONFIG_FILE), text).unwrap();
        let error = read().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains(CONFIG_FILE), "{error}");
    }
    Ok(())
}
