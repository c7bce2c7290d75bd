use std::path::{Path, PathBuf};

use super::*;

/// Files that `crates/dml-testing/generate/inputs/arrays.py` wrote with `scipy.io.savemat`.
fn input(name: &str) -> Vec<u8> {
    let inputs: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs/arrays");
    std::fs::read(inputs.join(name)).unwrap()
}

fn variable(file: &[u8], name: &str) -> Value {
    let variables = read(Path::new("x.mat"), file).unwrap();
    let own = variables.into_iter().find(|(own, _)| own == name);
    own.unwrap().1
}

#[test]
fn values_of_every_kind_are_read_plain_and_compressed() {
    for name in ["plain.mat", "compressed.mat"] {
        let file = input(name);
        // Column after column.
        let expected = Value::Numbers(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(variable(&file, "matrix"), expected, "{name}");
        assert_eq!(variable(&file, "small"), Value::Numbers(vec![-3.0]));
        assert_eq!(variable(&file, "empty"), Value::Numbers(vec![]));
        assert_eq!(variable(&file, "word"), Value::Text("Vögel".to_owned()));
        assert_eq!(variable(&file, "sparse"), Value::Other);
        let Value::Cells(cells) = variable(&file, "cells") else {
            panic!("no cells");
        };
        assert_eq!(cells[0], Value::Text("a".to_owned()));
        assert_eq!(cells[1], Value::Numbers(vec![0.5]));
        assert_eq!(
            cells[2],
            Value::Cells(vec![Value::Text("inner".to_owned())])
        );
        let Value::Structs(names, values) = variable(&file, "structs") else {
            panic!("no structs");
        };
        assert_eq!(names, ["name", "size"]);
        let texts: Vec<_> = values.iter().filter_map(Value::text).collect();
        let numbers: Vec<_> = values.iter().filter_map(Value::number).collect();
        assert_eq!((texts, numbers), (vec!["x", "yy"], vec![1.0, 2.0]));
    }
}

#[test]
fn other_versions_are_named() {
    let message = |bytes: &[u8]| read(Path::new("x.mat"), bytes).unwrap_err().to_string();
    let mut newer = b"MATLAB 7.3 MAT-file".to_vec();
    newer.resize(600, b' ');
    assert_eq!(
        message(&newer),
        "x.mat, byte 0: expected a MAT file of version 7 or before, found version 7.3, which is HDF5: save it with the option -v7"
    );
    let older = message(&input("version4.mat"));
    assert!(
        older.contains("byte 124: expected the version of a MAT file of level 5"),
        "{older}"
    );
}

#[test]
fn damaged_files_are_read_or_refused() {
    for (i, name) in ["plain.mat", "compressed.mat"].into_iter().enumerate() {
        let whole = input(name);
        for seed in 0..2000 {
            let bytes = crate::mutation::mutated(&whole, seed * 2 + i as u64);
            if let Err(error) = read(Path::new("x.mat"), &bytes) {
                assert!(error.to_string().len() < 1000, "{error}");
            }
        }
    }
}

#[test]
fn compressed_data_may_not_fill_the_memory() {
    // 4 MB of zeros in 4 KB.
    let file = input("zeros.mat");
    assert!(file.len() < 10_000);
    assert!(variables(&file, 1 << 23).is_ok());
    let fault = variables(&file, 1 << 20).unwrap_err();
    assert_eq!(fault.found, "more than 1048576 bytes");
}

#[test]
fn matrices_within_each_other_are_bounded() {
    // Cells within cells, 40 levels deep.
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let mut inner = Vec::new();
    for _ in 0..40 {
        let mut matrix = element(6, &[1, 0, 0, 0, 0, 0, 0, 0]);
        matrix.extend(element(5, &[1, 0, 0, 0, 1, 0, 0, 0]));
        matrix.extend(element(1, b""));
        matrix.extend(&inner);
        inner = element(14, &matrix);
    }
    let mut file = vec![b' '; 124];
    file.extend([0x00, 0x01, b'I', b'M']);
    file.extend(inner);
    let error = read(Path::new("x.mat"), &file).unwrap_err().to_string();
    assert!(
        error.contains("expected at most 16 matrices within each other"),
        "{error}"
    );
}
