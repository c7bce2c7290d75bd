//! Files of every kind of index.

use std::sync::Arc;

use dml::distances::LpDistance;
use dml::eval::{
    Codes, CustomKNN, CustomKNNConfig, FlatIndex, FlatMetric, KnnIndex, QuantizedIndex,
    QuantizedIndexConfig, RowStorage, load_index,
};
use flate2::Crc;

use super::rows;
use super::scratch::with_file;

const DIM: usize = 4;
const HEADER: usize = 64;

pub(super) fn run(bytes: &[u8]) {
    load(bytes);
    if let Some(repaired) = with_checksums(bytes) {
        load(&repaired);
    }
}

/// Loads a file as whatever it says, and into an index of each kind; searches where it is accepted.
fn load(bytes: &[u8]) {
    with_file("fuzzed.index", bytes, |path| {
        if let Ok(index) = load_index(path) {
            search(&*index);
        }
        for mut index in kinds() {
            if index.load(path).is_ok() {
                search(&*index);
            }
        }
    });
}

/// Searches with queries of some widths, one of which may be that of the index.
fn search(index: &dyn KnnIndex) {
    for dim in [1, DIM - 1, DIM, 2 * DIM] {
        let queries = rows(2, dim, 0.37);
        for k in [1, 2, index.len()] {
            if let Ok(found) = index.search(&queries, k) {
                assert_eq!(found.indices.len(), 2 * k);
                let is_row = |row: &u32| (*row as usize) < index.len();
                assert!(found.indices.iter().all(is_row));
            }
        }
    }
}

/// An empty index of each kind.
fn kinds() -> Vec<Box<dyn KnnIndex>> {
    let quantized = |codes| -> Box<dyn KnnIndex> {
        let config = QuantizedIndexConfig {
            codes,
            ..QuantizedIndexConfig::default()
        };
        Box::new(QuantizedIndex::new(config).expect("the default is in range"))
    };
    let distance = Arc::new(LpDistance::default());
    let custom = CustomKNN::new(CustomKNNConfig::default(), distance);
    let mut kinds: Vec<Box<dyn KnnIndex>> = vec![
        Box::new(FlatIndex::new(FlatMetric::Cosine)),
        Box::new(FlatIndex::with_storage(
            FlatMetric::InnerProduct,
            RowStorage::Float16,
        )),
        quantized(Codes::Binary),
        quantized(Codes::Int8),
        Box::new(custom.expect("the default is in range")),
    ];
    #[cfg(feature = "usearch")]
    {
        use dml::eval::{UsearchIndex, UsearchIndexConfig};
        let graph = UsearchIndex::new(UsearchIndexConfig::default());
        kinds.push(Box::new(graph.expect("the default is in range")));
    }
    kinds.push(Box::new(FlatIndex::default()));
    kinds
}

/// The file with checksums that are right for what it holds: CRC-32 of the header, of the rows, and since version 2 of the
/// checksum of the rows. Files are smaller than a block, which has a checksum of its own.
fn with_checksums(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_older = bytes.get(8) == Some(&1);
    let behind = if is_older { 4 } else { 8 };
    let end = bytes.len().checked_sub(behind)?;
    if end <= HEADER {
        return None;
    }
    let mut repaired = bytes.to_vec();
    let mut repair = |from: usize, to: usize| {
        let mut checksum = Crc::new();
        checksum.update(&repaired[from..to]);
        let checksum = checksum.sum().to_le_bytes();
        repaired[to..to + 4].copy_from_slice(&checksum);
    };
    repair(0, HEADER - 4);
    repair(HEADER, end);
    if !is_older {
        repair(end, end + 4);
    }
    Some(repaired)
}

/// A file of each kind.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let rows = rows(6, DIM, 0.7);
    let file = |mut index: Box<dyn KnnIndex>| {
        index.add(&rows).expect("rows of numbers");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("saved.index");
        index.save(&path).expect("a temporary file can be written");
        std::fs::read(&path).expect("the file was just written")
    };
    kinds().into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_a_valid_file_are_right_already() {
        let files = seeds();
        for file in files {
            assert_eq!(with_checksums(&file).unwrap(), file);
        }
    }
}
