use std::fs;
use std::io::Read;

use super::*;
use crate::{ImageFilesConfig, ImageSource, ManifestColumns, PixelBox};

/// Archives that `crates/dml-testing/generate/inputs/archives.py` wrote.
fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/archives")
        .join(name)
}

fn read(names: &[&str], config: WebDatasetConfig) -> Result<Manifest> {
    WebDataset::new(config).read(names.iter().map(|name| input(name)))
}

fn small() -> ImageFilesConfig {
    ImageFilesConfig {
        size: [1, 1],
        ..ImageFilesConfig::default()
    }
}

#[test]
fn samples_of_several_archives_are_read_in_any_order() -> Result<()> {
    let samples = read(
        &["train-000000.tar", "train-000001.tar"],
        WebDatasetConfig::default(),
    )?;
    assert_eq!(samples.class_names(), ["0", "1", "10", "11"]);
    assert_eq!(samples.labels(), [0, 1, 0, 2, 3, 2]);
    assert_eq!(
        samples.entries()[4].path,
        input("train-000001.tar/01/sample_000001.png")
    );
    let images = samples.images(small())?;
    for (row, expected) in [
        (4, [50.0, 90.0, 20.0]),
        (1, [50.0, 0.0, 20.0]),
        (3, [0.0, 90.0, 20.0]),
    ] {
        assert_eq!(images.image(row)?.values(), expected.map(|x| x / 255.0));
    }
    // JPEG is not exact.
    let image = images.image(5)?;
    for (x, expected) in image.values().iter().zip([100.0, 90.0, 20.0]) {
        assert!((x * 255.0 - expected).abs() <= 3.0);
    }
    Ok(())
}

#[test]
fn columns_and_one_of_several_images_are_read() -> Result<()> {
    let config = |name: &str| WebDatasetConfig {
        image: vec![name.to_owned()],
        ..WebDatasetConfig::default()
    };
    let samples = read(&["columns.tar"], config("right.png"))?;
    assert_eq!(samples.class_names(), ["owl", "teal"]);
    assert_eq!(samples.cameras().unwrap(), [0, 1, 2]);
    assert_eq!(samples.texts().unwrap()[1], "the teal of camera 1");
    let expected = PixelBox {
        left: 1,
        top: 1,
        width: 3,
        height: 2,
    };
    assert_eq!(samples.entries()[0].bounding_box, Some(expected));
    let values = |samples: &Manifest| -> Result<Vec<f32>> {
        Ok(samples.images(small())?.image(2)?.values().to_vec())
    };
    assert_eq!(values(&samples)?, [0.0, 100.0 / 255.0, 0.0]);
    assert_eq!(
        values(&read(&["columns.tar"], config("LEFT.PNG"))?)?,
        [100.0 / 255.0, 0.0, 0.0]
    );
    let text = read(&["columns.tar"], WebDatasetConfig::default())
        .unwrap_err()
        .to_string();
    assert!(text.ends_with("000000: expected one image in a sample, or the name of the part that is it, found several"), "{text}");
    let columns = ManifestColumns {
        label: "camera".to_owned(),
        camera: "label".to_owned(),
        ..ManifestColumns::default()
    };
    let config = WebDatasetConfig {
        manifest: ManifestConfig {
            columns,
            ..ManifestConfig::default()
        },
        ..config("left.png")
    };
    assert_eq!(
        read(&["columns.tar"], config)?.class_names(),
        ["0", "1", "2"]
    );
    Ok(())
}

#[test]
fn samples_may_be_texts() -> Result<()> {
    let samples = read(&["texts.tar"], WebDatasetConfig::default())?;
    assert_eq!(samples.texts().unwrap(), ["the owl", "the teal", "the owl"]);
    assert_eq!(samples.labels(), [0, 1, 0]);
    assert!(samples.images(small()).is_err());
    Ok(())
}

#[test]
fn long_names_of_every_format_are_read() -> Result<()> {
    for name in ["gnu.tar", "pax.tar", "ustar.tar"] {
        let samples = read(&[name], WebDatasetConfig::default())?;
        assert_eq!(samples.class_names(), ["5"], "{name}");
        let path = samples.entries()[0].path.display().to_string();
        assert!(
            path.ends_with("a_long_name/one.png") && path.len() > 150,
            "{path}"
        );
        let image = samples.images(small())?.image(0)?;
        assert_eq!(image.values(), [9.0, 8.0, 7.0].map(|x| x / 255.0));
    }
    Ok(())
}

#[test]
fn hostile_archives_are_refused() {
    let cases = [
        (
            "absolute.tar",
            "entry 0: expected a path in UTF-8 that stays within the archive, found \"/etc/one.png\"",
        ),
        ("escape.tar", "found \"a/../../one.png\""),
        (
            "link.tar",
            "entry 0: expected a regular file or a folder, found a symbolic link",
        ),
        ("hard_link.tar", "found a hard link"),
        ("device.tar", "found an entry of type 0x33"),
        (
            "twice.tar",
            "one.PNG: expected each part of a sample once, found it a second time",
        ),
        (
            "no_image.tar",
            "one: expected an image or a text in every sample, found cls",
        ),
        (
            "no_label.tar",
            "no_label.tar, line 1, column label: expected the name of a class, found nothing",
        ),
        ("huge.tar", "expected 1099511628288 bytes, found 1536"),
    ];
    for (name, expected) in cases {
        let name = format!("hostile/{name}");
        let text = read(&[&name], WebDatasetConfig::default())
            .unwrap_err()
            .to_string();
        assert!(text.contains(expected), "{name}: {text}");
    }
    let text = read(&["train.tar.gz"], WebDatasetConfig::default())
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("byte 0: expected a tar archive that is not compressed, found one compressed by gzip: uncompress it first"),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            "large_label.tar",
            "one.cls: expected a label, text or JSON of at most 1048576 bytes, found 1048577 bytes",
        ),
        (
            "long_name.tar",
            "entry 0: expected a name of at most 65536 bytes, found 1048576 bytes",
        ),
    ];
    for (name, expected) in cases {
        let packed = fs::File::open(input(&format!("hostile/{name}.gz"))).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_end(&mut bytes)
            .unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let text = WebDataset::new(WebDatasetConfig::default())
            .read([&path])
            .unwrap_err();
        assert!(text.to_string().contains(expected), "{text}");
    }
    let none: [&Path; 0] = [];
    assert!(
        WebDataset::new(WebDatasetConfig::default())
            .read(none)
            .is_err()
    );
    let missing = WebDataset::new(WebDatasetConfig::default()).read(["no/such.tar"]);
    assert!(matches!(missing, Err(DataError::Io { .. })));
    let own = WebDataset::new(WebDatasetConfig::default()).read([folder.path()]);
    assert!(matches!(own, Err(DataError::FileKind { .. })));
}

#[test]
fn samples_without_a_label_are_read_on_request() -> Result<()> {
    let config = WebDatasetConfig {
        manifest: ManifestConfig {
            allow_unlabelled: true,
            ..ManifestConfig::default()
        },
        ..WebDatasetConfig::default()
    };
    assert_eq!(read(&["hostile/no_label.tar"], config)?.labels(), [-1]);
    Ok(())
}

#[test]
fn damaged_archives_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    for (i, name) in ["columns.tar", "pax.tar", "gnu.tar"]
        .into_iter()
        .enumerate()
    {
        let mut whole = fs::read(input(name)).unwrap();
        // Behind the last member there are zeros, in which no damage matters.
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        whole.truncate((end + 1).next_multiple_of(512));
        for seed in 0..300 {
            let bytes = crate::mutation::mutated(&whole, seed * 4 + i as u64);
            fs::write(&path, bytes).unwrap();
            let config = WebDatasetConfig {
                image: vec!["left.png".to_owned(), "png".to_owned()],
                ..WebDatasetConfig::default()
            };
            match WebDataset::new(config).read([&path]) {
                Ok(samples) => assert!(samples.entries().len() <= 3),
                Err(error) => assert!(error.to_string().len() < 3000, "{error}"),
            }
        }
    }
}

#[test]
fn names_end_at_the_first_dot_behind_the_last_slash() {
    let cases = [
        ("a/b.c/d.seg.png", "a/b.c/d", "seg.png"),
        ("d.png", "d", "png"),
        ("a.b/c", "a.b/c", ""),
        ("a/.hidden.png", "a/.hidden.png", ""),
    ];
    for (path, key, part) in cases {
        assert_eq!(split(path), (key, part));
    }
}
