use std::path::PathBuf;

use super::*;
use crate::{ImageFilesConfig, ImageSource};

fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/arrays")
        .join(name)
}

/// A `.npy` file of bytes or of numbers.
fn npy(folder: &Path, name: &str, descr: &str, dims: &str, data: &[u8]) -> PathBuf {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {dims}, }}");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    let path = folder.join(name);
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn images_become_a_table() -> Result<()> {
    let config = ArrayDatasetConfig::default();
    let ArrayDataset::Images(images) = ArrayDataset::read(input("images.npz"), &config)? else {
        panic!("no images");
    };
    assert_eq!(images.class_names(), ["0", "1", "2"]);
    assert_eq!(images.labels(), [2, 0, 2, 1]);
    let config = ImageFilesConfig {
        size: [2, 3],
        ..ImageFilesConfig::default()
    };
    let image = images.images(config)?.image(0)?;
    // Rows of 3 pixels of 3 bytes: np.random.RandomState(0) after 12 normal numbers.
    let mut file = Npz::open(input("images.npz"))?;
    let NpyValues::Bytes(bytes) = file.array("x")?.into_values() else {
        panic!("no bytes");
    };
    for (i, &byte) in bytes[..18].iter().enumerate() {
        assert_eq!(image.plane(i % 3)[i / 3], f32::from(byte) / 255.0);
    }
    let by_names = ArrayDatasetConfig {
        labels: "names".to_owned(),
        ..ArrayDatasetConfig::default()
    };
    let error = ArrayDataset::read(input("images.npz"), &by_names).unwrap_err();
    assert!(matches!(
        error,
        DataError::LabelCount {
            expected: 4,
            found: 3,
            ..
        }
    ));
    Ok(())
}

#[test]
fn channels_stand_first_or_last() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let labels = npy(folder.path(), "y.npy", "|u1", "(1,)", &[7]);
    let read = |dims: &str, count: u8, axes| -> Result<Vec<u8>> {
        let bytes: Vec<u8> = (0..count).collect();
        let data = npy(folder.path(), "x.npy", "|u1", dims, &bytes);
        let config = ArrayDatasetConfig {
            axes,
            ..ArrayDatasetConfig::default()
        };
        match ArrayDataset::read_pair(data, &labels, &config)? {
            ArrayDataset::Images(images) => {
                let config = ImageFilesConfig {
                    size: [2, 2],
                    ..ImageFilesConfig::default()
                };
                let image = images.images(config)?.image(0)?;
                let bytes = image.values().iter().map(|x| (x * 255.0).round() as u8);
                Ok(bytes.collect::<Vec<u8>>())
            }
            ArrayDataset::Features(..) => panic!("no images"),
        }
    };
    let first = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let last = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11];
    assert_eq!(read("(1, 3, 2, 2)", 12, AxisOrder::Detect)?, first);
    assert_eq!(read("(1, 2, 2, 3)", 12, AxisOrder::Detect)?, last);
    assert_eq!(
        read("(1, 2, 2)", 4, AxisOrder::Detect)?,
        [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
    );
    let text = read("(1, 3, 2, 3)", 18, AxisOrder::Detect)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("expected one dimension that can be channels, or `axes` to say which"),
        "{text}"
    );
    assert_eq!(
        read("(1, 3, 2, 3)", 18, AxisOrder::ChannelsFirst)?.len(),
        12
    );
    let text = read("(1, 2, 2, 2)", 8, AxisOrder::Detect)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("expected images of 1, 3 or 4 channels"),
        "{text}"
    );
    Ok(())
}

#[test]
fn features_become_tensors() -> Result<()> {
    let config = ArrayDatasetConfig::default();
    let (data, labels) = (input("f4.npy"), input("text.npy"));
    let ArrayDataset::Features(set, names) = ArrayDataset::read_pair(&data, labels, &config)?
    else {
        panic!("no features");
    };
    assert_eq!(names, ["owl", "teal", "vögel"]);
    assert_eq!(dml_core::Dataset::labels(&set).as_slice(), [0, 1, 0, 2]);
    assert_eq!(set.views()[0].dims(), [4, 3]);
    for (data, labels) in [
        ("text.npy", "text.npy"),
        ("i8.npy", "i8.npy"),
        ("scalar.npy", "i8.npy"),
        ("f4.npy", "f4.npy"),
    ] {
        let error = ArrayDataset::read_pair(input(data), input(labels), &config);
        assert!(error.is_err(), "{data}");
    }
    let folder = tempfile::tempdir().unwrap();
    let empty = npy(folder.path(), "y.npy", "|u1", "(0,)", &[]);
    assert!(ArrayDataset::read_pair(input("empty.npy"), empty, &config).is_err());
    Ok(())
}
