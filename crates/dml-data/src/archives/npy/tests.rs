use std::path::PathBuf;

use super::*;

/// Files that `crates/dml-testing/generate/inputs/arrays.py` wrote with numpy.
fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs/arrays")
        .join(name)
}

fn message(name: &str) -> String {
    Npy::read(input(name)).unwrap_err().to_string()
}

#[test]
fn both_byte_orders_and_both_orders_of_elements_are_the_same_array() -> Result<()> {
    let array = Npy::read(input("f4.npy"))?;
    assert_eq!(array.dims(), [4, 3]);
    let NpyValues::Singles(values) = array.values() else {
        panic!("another type");
    };
    // np.random.RandomState(0).standard_normal begins so.
    assert_eq!(values[..3], [1.764_052_4, 0.400_157_2, 0.978_738]);
    for name in [
        "f4_fortran.npy",
        "f4_big.npy",
        "version2.npy",
        "version3.npy",
    ] {
        assert_eq!(Npy::read(input(name))?, array, "{name}");
    }
    let NpyValues::Doubles(doubles) = Npy::read(input("f8.npy"))?.into_values() else {
        panic!("another type");
    };
    assert!(doubles.iter().zip(values).all(|(a, b)| *a == f64::from(*b)));
    let NpyValues::Halves(halves) = Npy::read(input("f2.npy"))?.into_values() else {
        panic!("another type");
    };
    assert!(
        halves
            .iter()
            .zip(values)
            .all(|(a, b)| (a.to_f32() - b).abs() < 1e-3)
    );
    assert_eq!(array.to_tensor(&Device::Cpu)?.dims(), [4, 3]);
    Ok(())
}

#[test]
fn whole_numbers_truth_values_and_texts_are_read() -> Result<()> {
    let values = |name: &str| Npy::read(input(name)).map(Npy::into_values);
    assert_eq!(values("i8.npy")?, NpyValues::Integers(vec![3, 1, 3, 0]));
    assert_eq!(
        values("u2_big.npy")?,
        NpyValues::Integers(vec![3, 1, 3, 65535])
    );
    assert_eq!(values("bool.npy")?, NpyValues::Bytes(vec![1, 0, 0, 1]));
    let texts = ["owl", "teal", "owl", "vögel"].map(str::to_owned).to_vec();
    assert_eq!(values("text.npy")?, NpyValues::Texts(texts));
    let texts = ["owl", "teal"].map(str::to_owned).to_vec();
    assert_eq!(values("bytes.npy")?, NpyValues::Texts(texts));
    let scalar = Npy::read(input("scalar.npy"))?;
    assert_eq!(
        (scalar.dims(), scalar.values()),
        (&[][..], &NpyValues::Singles(vec![2.5]))
    );
    assert_eq!(Npy::read(input("empty.npy"))?.dims(), [0, 5]);
    assert_eq!(
        Npy::read(input("i8.npy"))?.to_names("x")?,
        ["3", "1", "3", "0"]
    );
    assert!(Npy::read(input("f4.npy"))?.to_names("x").is_err());
    assert!(
        Npy::read(input("text.npy"))?
            .to_tensor(&Device::Cpu)
            .is_err()
    );
    Ok(())
}

#[test]
fn types_that_are_not_read_are_named() {
    let cases = [
        (
            "struct.npy",
            "header: expected an array of plain elements, not of structures, found {'descr': [('a', '<f4'), ('b', '<i8')]",
        ),
        (
            "object.npy",
            "expected an array of plain elements, not of Python's objects",
        ),
        (
            "complex.npy",
            "expected elements of whole or real numbers, truth values or texts",
        ),
        (
            "time.npy",
            "expected elements of whole or real numbers, truth values or texts",
        ),
        (
            "images.npz",
            "expected an array of NumPy, found a file that begins with [50, 4b",
        ),
    ];
    for (name, expected) in cases {
        let text = message(name);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn lengths_must_be_those_of_the_header() {
    let whole = std::fs::read(input("f4.npy")).unwrap();
    let error = Npy::parse("x", &whole[..whole.len() - 1]).unwrap_err();
    assert!(matches!(
        error,
        DataError::Truncated {
            expected: 176,
            found: 175,
            ..
        }
    ));
    let longer = [&whole[..], &[0]].concat();
    let error = Npy::parse("x", &longer).unwrap_err();
    assert!(matches!(
        error,
        DataError::TrailingBytes { expected: 176, .. }
    ));
    for length in [0, 5, 9, 60] {
        let error = Npy::parse("x", &whole[..length]).unwrap_err();
        assert!(
            matches!(error, DataError::Malformed { .. }),
            "{length}: {error}"
        );
    }
    let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }";
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((huge.len() as u16).to_le_bytes());
    file.extend(huge.bytes());
    assert!(matches!(
        Npy::parse("x", &file),
        Err(DataError::TooLarge { .. })
    ));
    let error = Npy::read_within(input("f4.npy"), 50).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { limit: 50, .. }));
    assert!(matches!(
        Npy::read("no/such.npy"),
        Err(DataError::Io { .. })
    ));
    let folder = Npy::read(env!("CARGO_MANIFEST_DIR"));
    assert!(matches!(folder, Err(DataError::FileKind { .. })));
}

#[test]
fn damaged_files_are_read_or_refused() {
    for (i, name) in ["f4_fortran.npy", "text.npy", "u2_big.npy", "version3.npy"]
        .into_iter()
        .enumerate()
    {
        let whole = std::fs::read(input(name)).unwrap();
        for seed in 0..1000 {
            let bytes = crate::mutation::mutated(&whole, seed * 4 + i as u64);
            match Npy::parse("x", &bytes) {
                Ok(array) => assert!(array.dims().len() <= 64),
                Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
            }
        }
    }
}

#[test]
fn what_is_written_is_read() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let texts = ["", "größe", "a\0b"].map(str::to_owned).to_vec();
    let arrays = [
        Npy::new([2, 0], NpyValues::Singles(Vec::new()))?,
        Npy::new([], NpyValues::Doubles(vec![0.1]))?,
        Npy::new(
            [2, 2],
            NpyValues::Halves([1.5, -2.0, 0.0, 65504.0].map(f16::from_f32).to_vec()),
        )?,
        Npy::new([3], NpyValues::Bytes(vec![0, 1, 255]))?,
        Npy::new([1, 2], NpyValues::Integers(vec![i64::MIN, i64::MAX]))?,
        Npy::new([2], NpyValues::Unsigned(vec![0, u64::MAX]))?,
        Npy::new([3], NpyValues::Texts(texts))?,
        // More than one piece.
        Npy::new(
            [100, 400],
            NpyValues::Singles((0..40_000).map(|x| x as f32).collect()),
        )?,
    ];
    for array in arrays {
        array.write(&path)?;
        assert_eq!(Npy::read(&path)?, array);
    }
    assert!(Npy::new([2, 2], NpyValues::Bytes(vec![0; 3])).is_err());
    assert!(Npy::new([usize::MAX, 2], NpyValues::Bytes(vec![0; 3])).is_err());
    std::fs::remove_file(&path).unwrap();
    let odd = Npy::new([1], NpyValues::Texts(vec!["a\0".to_owned()]))?;
    assert!(matches!(odd.write(&path), Err(DataError::Malformed { .. })));
    assert!(!path.exists());
    Ok(())
}
