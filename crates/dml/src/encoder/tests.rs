use std::fs;

use super::*;
use dml_models::ImageEncoderConfig;

fn written(root: &Path) -> ImageEncoder {
    let config = ImageEncoderConfig {
        embedding_dim: Some(4),
        image: Some(dml_core::ImageInput::imagenet(32, 36)),
        ..ImageEncoderConfig::new("mobilenet_v3_small")
    };
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let encoder = ImageEncoder::new(config, rng, DType::F32, &Device::Cpu).unwrap();
    encoder.write(root.join("model")).unwrap();
    encoder
}

/// A black image of 40 × 40 pixels as BMP, which needs no library: a header, and a row of 4 bytes a pixel.
fn black() -> Vec<u8> {
    let pixels = 40u32 * 40 * 4;
    let mut file = b"BM".to_vec();
    for number in [
        54 + pixels,
        0,
        54,
        40,
        40,
        40,
        1 | (32 << 16),
        0,
        pixels,
        0,
        0,
        0,
        0,
    ] {
        file.extend(number.to_le_bytes());
    }
    file.resize(file.len() + pixels as usize, 0);
    file
}

#[test]
fn an_image_is_embedded_alone_as_among_others()
-> std::result::Result<(), Box<dyn std::error::Error>> {
    let root = std::env::temp_dir().join(format!("dml-encoder-{}", std::process::id()));
    let folder = root.join("images/a");
    fs::create_dir_all(&folder)?;
    written(&root);
    for name in ["1.bmp", "2.bmp", "3.bmp"] {
        fs::write(folder.join(name), black())?;
    }
    fs::write(folder.join("broken.png"), "no image")?;
    let encoder = Encoder::open(root.join("model"), &Device::Cpu)?;
    assert_eq!(encoder.reads(), "images");
    let Encoder::Image(model) = &encoder else {
        return Err("another kind of model".into());
    };
    let config = model.preparation.evaluation_files().clone();
    let images = dml_data::ImageFolder::open(root.join("images"), config)?;
    assert_eq!(images.skipped().len(), 1);
    let mut done = 0;
    let all = model.embed(images.files(), 2, |rows| done = rows)?;
    assert_eq!((all.dims(), done), (&[3, 4][..], 3));
    let alone = encoder.embed_image("1.bmp", &black())?;
    let (all, alone) = (all.to_vec2::<f32>()?, alone.to_vec2::<f32>()?);
    for (one, other) in all[2].iter().zip(&alone[0]) {
        assert!((one - other).abs() < 1e-5, "{all:?} {alone:?}");
    }
    let text = encoder.embed_text("a boot").unwrap_err().to_string();
    assert_eq!(text, "the model reads images, got texts");
    let damaged = encoder.embed_image("x.png", b"no image").unwrap_err();
    assert!(damaged.to_string().contains("x.png"), "{damaged}");
    fs::remove_dir_all(root)?;
    Ok(())
}

#[test]
fn a_folder_without_a_model_is_named() {
    let error = Encoder::open("no/such/folder", &Device::Cpu).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("no/such/folder: expected the folder of a model"),
        "{text}"
    );
}
