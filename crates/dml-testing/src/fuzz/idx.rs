//! IDX files, plain and compressed.

use std::io::Write;

use dml::data::Idx;
use flate2::Compression;
use flate2::write::GzEncoder;

/// More would be memory for nothing.
const LIMIT: u64 = 1 << 20;

pub(super) fn run(bytes: &[u8]) {
    for limit in [LIMIT, 100] {
        if let Ok(array) = Idx::read("fuzzed", bytes, limit) {
            let count: usize = array.dims().iter().product();
            assert_eq!(array.data().len(), count);
            assert!(array.data().len() as u64 <= limit);
        }
    }
    // What the header announces bounds what is read, so the limit of files is no danger either.
    if bytes.len() < 1 << 16 {
        Idx::parse("fuzzed", bytes).ok();
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut plain = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
    plain.extend(0..24);
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1];
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    compressed
        .write_all(&plain)
        .expect("memory can be written to");
    let compressed = compressed.finish().expect("memory can be written to");
    vec![plain, labels, compressed]
}
