//! Files of the version before, which that version of this crate has written.

use super::*;
use crate::index::{FileCheck, load_index_mapped};

/// The three nearest rows of every row by the Euclidean distance.
const EUCLIDEAN: [u32; 36] = [
    0, 1, 2, 1, 0, 2, 2, 3, 1, 3, 2, 1, 4, 5, 6, 5, 4, 6, 6, 7, 5, 7, 8, 6, 8, 7, 6, 9, 10, 11, 10,
    11, 9, 11, 10, 9,
];
/// The same by the cosine.
const COSINE: [u32; 36] = [
    0, 1, 2, 1, 2, 0, 2, 3, 1, 3, 2, 1, 4, 5, 6, 5, 6, 4, 6, 7, 5, 7, 8, 6, 8, 7, 6, 9, 10, 11, 10,
    11, 9, 11, 10, 9,
];

/// Files, and the three neighbours that the version which wrote them found for every row.
///
/// They hold `rows()`, added to an empty index, and were written by `KnnIndex::save` of the last commit before version 2.
fn older() -> Vec<(&'static str, &'static [u8], [u32; 36])> {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../../../tests/files/version-1/", $name)).as_slice()
        };
    }
    vec![
        ("flat-f32-l2.index", file!("flat-f32-l2.index"), EUCLIDEAN),
        (
            "flat-f64-ip.index",
            file!("flat-f64-ip.index"),
            [
                3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 8, 7, 6, 8, 7, 6, 8, 7, 6, 8, 7, 6, 8, 7, 6,
                11, 10, 9, 11, 10, 9, 11, 10, 9,
            ],
        ),
        (
            "flat-f16-cosine.index",
            file!("flat-f16-cosine.index"),
            COSINE,
        ),
        (
            "quantized-int8.index",
            file!("quantized-int8.index"),
            EUCLIDEAN,
        ),
        (
            "quantized-binary.index",
            file!("quantized-binary.index"),
            EUCLIDEAN,
        ),
        ("graph-cosine.index", file!("graph-cosine.index"), COSINE),
    ]
}

#[test]
fn files_of_version_1_are_read_and_saved_as_version_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older");
    for (name, bytes, neighbors) in older() {
        std::fs::write(&path, bytes).unwrap();
        let is_graph = name.starts_with("graph");
        if is_graph && cfg!(not(feature = "usearch")) {
            assert!(load_index(&path).is_err());
            continue;
        }
        let index = load_index(&path).unwrap();
        let dtype = if name.contains("f64") {
            candle_core::DType::F64
        } else {
            candle_core::DType::F32
        };
        let rows = rows().to_dtype(dtype).unwrap();
        assert_eq!(index.search(&rows, 3).unwrap().indices, neighbors, "{name}");
        let newer = folder.path().join("newer");
        index.save(&newer).unwrap();
        assert_eq!(std::fs::read(&newer).unwrap()[8..12], 2u32.to_le_bytes());
        let again = load_index(&newer).unwrap();
        assert_eq!(
            again.search(&rows, 3).unwrap(),
            index.search(&rows, 3).unwrap()
        );
        let mapped = load_index_mapped(&path, FileCheck::OnUse);
        match mapped {
            Ok(mapped) => assert_eq!(mapped.search(&rows, 3).unwrap().indices, neighbors),
            Err(error) => assert!(is_graph, "{name}: {error}"),
        }
        // Its one checksum covers all rows.
        let mut altered = bytes.to_vec();
        altered[70] ^= 1;
        std::fs::write(&path, altered).unwrap();
        assert!(load_index(&path).is_err());
        assert!(load_index_mapped(&path, FileCheck::OnUse).is_err());
    }
}
