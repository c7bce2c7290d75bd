use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::DataError;

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// Two training images and one test image.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..2 * 784).map(|i| (i % 251) as u8).collect();
    for (name, bytes) in [
        (NAMES[0], idx(&[2, 28, 28], &pixels)),
        (NAMES[1], idx(&[2], &[7, 2])),
        (NAMES[2], idx(&[1, 28, 28], &pixels[..784])),
        (NAMES[3], idx(&[1], &[9])),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn replace(folder: &TempDir, name: &str, bytes: &[u8]) {
    fs::write(folder.path().join(name), bytes).unwrap();
}

#[test]
fn four_files_make_a_training_and_a_test_set() -> Result<()> {
    let folder = folder();
    let set = MnistVariant::FashionMnist.load(folder.path())?;
    assert_eq!(set.train.labels().as_slice(), [7, 2]);
    assert_eq!(set.test.labels().as_slice(), [9]);
    assert_eq!(set.test.class_names()[9], "Ankle boot");
    assert_eq!(set.train.image(1)[0], (784 % 251) as u8);
    assert_eq!(set.train.source(), "Fashion-MNIST, train");
    assert_eq!(set.test.source(), "Fashion-MNIST, test");
    Ok(())
}

#[test]
fn every_usual_name_is_found_and_compression_is_seen_from_the_bytes() -> Result<()> {
    let folder = folder();
    let labels = folder.path().join(NAMES[1]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&fs::read(&labels).unwrap()).unwrap();
    let compressed = encoder.finish().unwrap();
    replace(&folder, NAMES[1], &compressed); // compressed under a plain name
    assert_eq!(MnistVariant::Mnist.load(folder.path())?.train.len(), 2);
    fs::rename(&labels, folder.path().join("train-labels.idx1-ubyte.gz")).unwrap();
    assert_eq!(MnistVariant::Mnist.load(folder.path())?.train.len(), 2);
    Ok(())
}

#[test]
fn the_folders_of_torchvision_are_found() -> Result<()> {
    for (variant, below) in [
        (MnistVariant::Mnist, "raw"),
        (MnistVariant::Mnist, "MNIST/raw"),
        (MnistVariant::FashionMnist, "FashionMNIST/raw"),
    ] {
        let (root, files) = (tempfile::tempdir().unwrap(), folder());
        let deep = root.path().join(below);
        fs::create_dir_all(deep.parent().unwrap()).unwrap();
        fs::rename(files.path(), &deep).unwrap();
        assert_eq!(variant.load(root.path())?.train.len(), 2, "{below}");
        // Without any file, the folder that was asked for is named.
        fs::remove_dir_all(&deep).unwrap();
        let error = variant.load(root.path()).unwrap_err();
        assert!(
            matches!(&error, DataError::Missing { folder, .. } if folder == root.path()),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_named() {
    let load = |folder: &TempDir| MnistVariant::Mnist.load(folder.path()).unwrap_err();
    let missing = folder();
    fs::remove_file(missing.path().join(NAMES[3])).unwrap();
    let message = load(&missing).to_string();
    assert!(message.contains("found none of t10k-labels-idx1-ubyte, t10k-labels-idx1-ubyte.gz"));

    let fewer = folder();
    replace(&fewer, NAMES[1], &idx(&[1], &[7]));
    assert!(matches!(
        load(&fewer),
        DataError::LabelCount {
            expected: 2,
            found: 1,
            ..
        }
    ));
    let large = folder();
    replace(&large, NAMES[1], &idx(&[2], &[7, 10]));
    assert!(matches!(
        load(&large),
        DataError::Label {
            position: 1,
            found: 10,
            ..
        }
    ));
    let flat = folder();
    replace(&flat, NAMES[0], &idx(&[2, 784], &[0; 1568]));
    let message = load(&flat).to_string();
    assert!(
        message.ends_with("expected dimensions [images, 28, 28], found [2, 784]"),
        "{message}"
    );
    let wide = folder();
    let mut bytes = vec![0, 0, 12, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28];
    bytes.resize(16 + 4 * 1568, 0);
    replace(&wide, NAMES[0], &bytes);
    let message = load(&wide).to_string();
    assert!(
        message.ends_with("expected an array of bytes, found one of 32-bit integers"),
        "{message}"
    );
    let swapped = folder();
    replace(&swapped, NAMES[1], &idx(&[1, 28, 28], &[0; 784]));
    let message = load(&swapped).to_string();
    assert!(
        message.ends_with("expected dimensions [labels] or [labels, columns], found [1, 28, 28]"),
        "{message}"
    );
}

#[test]
fn the_digests_are_of_the_right_form() {
    for variant in [MnistVariant::Mnist, MnistVariant::FashionMnist] {
        for (i, file) in variant.files().into_iter().enumerate() {
            let (digest, digits) = match file.digest {
                Digest::Sha256(digest) => (digest, 64),
                Digest::Md5OfCompressed(digest) => (digest, 32),
                other => panic!("{other}"),
            };
            let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            assert!(digest.len() == digits && digest.bytes().all(lower_hex));
            assert_eq!(file.dims.len(), if i % 2 == 0 { 3 } else { 1 });
        }
    }
}
