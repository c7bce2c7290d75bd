//! Tables of images in Parquet files.

use dml::data::Manifest;

use super::csv::{MEMORY, used};

pub(super) fn run(bytes: &[u8]) {
    used(Manifest::parse("table.parquet", bytes, MEMORY));
}

/// Two columns and four, text and numbers, with and without a dictionary; written by pyarrow.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("seeds/text.parquet").to_vec(),
        include_bytes!("seeds/numbers.parquet").to_vec(),
        include_bytes!("seeds/lz4.parquet").to_vec(),
    ]
}
