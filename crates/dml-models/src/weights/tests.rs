use super::*;
use rand::{Rng, SeedableRng};

/// Files that `generate/weight_files.py` has written.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files")
        .join(name)
}

fn values(weights: &Weights, name: &str) -> Vec<f64> {
    let tensor = weights.tensor(name, DType::F64, &Device::Cpu).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn problem(path: impl AsRef<Path>) -> String {
    Weights::open(path).unwrap_err().to_string()
}

#[test]
fn every_format_has_the_same_tensors() -> Result<()> {
    for name in [
        "archive.pth",
        "sequence.pth",
        "checkpoint.pth",
        "protocol4.pth",
        "dense.safetensors",
        "sharded",
        "sharded/model.safetensors.index.json",
    ] {
        let weights = Weights::open(file(name))?;
        let names: Vec<&str> = weights.names().collect();
        assert_eq!(
            names,
            ["bn.num_batches_tracked", "fc.bias", "fc.view", "fc.weight"],
            "{name}"
        );
        assert_eq!(
            weights.shape("bn.num_batches_tracked"),
            Some(&[][..]),
            "{name}"
        );
        assert_eq!(values(&weights, "bn.num_batches_tracked"), [7.0], "{name}");
        assert_eq!(values(&weights, "fc.bias"), [1.5, -2.0, 0.25], "{name}");
        let quarters: Vec<f64> = (0..12).map(|i| f64::from(i) / 4.0).collect();
        assert_eq!(weights.shape("fc.weight"), Some(&[3, 4][..]), "{name}");
        assert_eq!(values(&weights, "fc.weight"), quarters, "{name}");
        // Rows 1 to 3 of the transposed matrix, columns 0 and 1.
        assert_eq!(weights.shape("fc.view"), Some(&[3, 2][..]), "{name}");
        assert_eq!(
            values(&weights, "fc.view"),
            [0.25, 1.25, 0.5, 1.5, 0.75, 1.75],
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn element_types_are_converted() -> Result<()> {
    for name in ["types.pth", "types.safetensors"] {
        let weights = Weights::open(file(name))?;
        for own in ["f16", "bf16", "f64", "parameter"] {
            assert_eq!(values(&weights, own), [1.5, -2.0, 0.25], "{name} {own}");
        }
        assert_eq!(values(&weights, "bool"), [1.0, 0.0]);
        assert_eq!(values(&weights, "i32"), [-1.0, 2.0]);
        let types = ["f16", "bf16", "f64", "bool", "i32"];
        assert_eq!(types.map(|own| weights.stored_type(own)), types.map(Some));
        let half = weights.tensor("f64", DType::BF16, &Device::Cpu)?;
        assert_eq!(half.dtype(), DType::BF16);
    }
    Ok(())
}

#[test]
fn the_format_of_an_unknown_name_follows_from_the_first_bytes() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["archive.pth", "sequence.pth", "dense.safetensors"] {
        let copy = folder.path().join("weights");
        std::fs::copy(file(name), &copy).unwrap();
        assert_eq!(Weights::open(&copy)?.len(), 4, "{name}");
    }
    Ok(())
}

#[test]
fn what_is_no_file_of_weights_is_refused_by_name() {
    assert!(problem(file("absent.pth")).starts_with("can't open"));
    assert!(problem(file("")).contains("expected one of model.safetensors, "));
    let module = problem(file("module.pth"));
    assert!(
        module.contains("found an object of torch.nn.modules.linear.Linear"),
        "{module}"
    );
    let nothing = problem(file("nothing.pth"));
    assert!(
        nothing.contains("expected tensors at the top level or under one of state_dict"),
        "{nothing}"
    );
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert!(problem(at("a.pth", b"hello")).contains("neither a zip archive nor the older format"));
    assert!(problem(at("b.safetensors", b"hi")).contains("found 2 bytes"));
    let long = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(problem(at("c.safetensors", &long)).contains("found a header of 18446744073709551615"));
    let index = br#"{"weight_map": {"a": "../secret.safetensors"}}"#;
    assert!(
        problem(at("x.index.json", index)).contains("expected the name of a file beside the index")
    );
    std::fs::copy(
        file("dense.safetensors"),
        folder.path().join("d.safetensors"),
    )
    .unwrap();
    let index = br#"{"weight_map": {"fc.bias": "d.safetensors", "z": "d.safetensors"}}"#;
    assert!(
        problem(at("y.index.json", index)).ends_with("expected tensors that the shards lack: z")
    );
    let weights = Weights::open(file("archive.pth")).unwrap();
    let missing = weights.tensor("fc", DType::F32, &Device::Cpu).unwrap_err();
    assert_eq!(missing.to_string(), "fc: no tensor of that name");
}

#[test]
fn a_file_that_breaks_off_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["archive.pth", "sequence.pth", "dense.safetensors"] {
        let bytes = std::fs::read(file(name)).unwrap();
        let path = folder.path().join(name);
        for length in (0..bytes.len()).step_by(7) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(read_all(&path).is_err(), "{name} {length}");
        }
    }
}

#[test]
fn changed_bytes_are_an_error_or_other_numbers_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for name in [
        "archive.pth",
        "sequence.pth",
        "protocol4.pth",
        "types.pth",
        "dense.safetensors",
    ] {
        let bytes = std::fs::read(file(name)).unwrap();
        let path = folder.path().join(name);
        for _ in 0..600 {
            let mut changed = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..changed.len());
                changed[at] = match rng.random_range(0..3) {
                    0 => 0xff,
                    1 => changed[at] ^ (1 << rng.random_range(0..8)),
                    _ => rng.random(),
                };
            }
            std::fs::write(&path, &changed).unwrap();
            read_all(&path).ok();
        }
    }
}

fn read_all(path: &Path) -> Result<()> {
    let weights = Weights::open(path)?;
    for name in weights.names() {
        weights.tensor(name, DType::F32, &Device::Cpu)?;
    }
    Ok(())
}
