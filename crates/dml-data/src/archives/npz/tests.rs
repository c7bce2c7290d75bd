use super::*;
use crate::archives::NpyValues;

/// Files that `crates/dml-testing/generate/inputs/arrays.py` wrote.
fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/arrays")
        .join(name)
}

#[test]
fn stored_and_deflated_arrays_are_the_same() -> Result<()> {
    let mut stored = Npz::open(input("images.npz"))?;
    let mut deflated = Npz::open(input("images_compressed.npz"))?;
    assert_eq!(stored.names(), ["x", "y", "names"]);
    for name in ["x", "y", "names"] {
        assert_eq!(stored.array(name)?, deflated.array(name)?);
    }
    assert_eq!(stored.array("x")?.dims(), [4, 2, 3, 3]);
    assert_eq!(
        stored.array("y")?.values(),
        &NpyValues::Integers(vec![2, 0, 2, 1])
    );
    let text = stored.array("z").unwrap_err().to_string();
    assert!(
        text.ends_with("array \"z\": expected an array of that name, found x, y, names"),
        "{text}"
    );
    Ok(())
}

#[test]
fn small_files_can_not_fill_the_memory() -> Result<()> {
    let path = input("zeros.npz");
    // 4 MB of zeros in 4 KB.
    let error = Npz::open_within(&path, 1 << 20)?.array("x").unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    assert_eq!(Npz::open(&path)?.array("x")?.dims(), [1_000_000]);
    Ok(())
}

#[test]
fn damaged_files_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    for (i, name) in ["images.npz", "images_compressed.npz"]
        .into_iter()
        .enumerate()
    {
        let whole = std::fs::read(input(name)).unwrap();
        for seed in 0..600 {
            let bytes = crate::mutation::mutated(&whole, seed * 2 + i as u64);
            std::fs::write(&path, bytes).unwrap();
            let read = Npz::open(&path).and_then(|mut file| {
                let names = file.names().to_vec();
                names.iter().try_for_each(|name| file.array(name).map(drop))
            });
            if let Err(error) = read {
                assert!(error.to_string().len() < 2000, "{error}");
            }
        }
    }
    // A byte of an array that changed is found by its checksum.
    let mut bytes = std::fs::read(input("images.npz")).unwrap();
    let at = bytes
        .windows(6)
        .position(|own| own == b"\x93NUMPY")
        .unwrap()
        + 130;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let text = Npz::open(&path)
        .unwrap()
        .array("x")
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("expected the checksum of the archive"),
        "{text}"
    );
}

#[test]
fn other_files_are_refused() {
    let text = Npz::open(input("f4.npy")).unwrap_err().to_string();
    assert!(
        text.contains("archive: expected a zip archive of arrays"),
        "{text}"
    );
    assert!(matches!(
        Npz::open("no/such.npz"),
        Err(DataError::Io { .. })
    ));
}
