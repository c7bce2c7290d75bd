//! Collections in the files of other programs: NumPy's arrays, faiss' indexes and Parquet tables.

use dml::eval::{Collection, FlatIndex};
use dml::exchange::parquet::{self, TableColumns};
use dml::exchange::{faiss, npy};

use super::scratch::with_file;

pub(super) fn run(bytes: &[u8]) {
    with_file("exchanged", bytes, |path| {
        if let Ok(rows) = npy::read_rows(path) {
            assert_eq!(rows.rank(), 2);
        }
        npy::read_ids(path).ok();
        if let Ok(collection) = faiss::import(path) {
            assert_eq!(collection.ids().count(), collection.len());
        }
        let mut collection = Collection::new(FlatIndex::default());
        if let Ok(read) = parquet::import(&mut collection, path, &TableColumns::default()) {
            assert_eq!(read.items, collection.len());
        }
    });
}

/// Written by numpy, faiss and pyarrow.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    macro_rules! files {
        ($($name:literal)*) => {
            vec![$(include_bytes!(concat!("../../../dml-exchange/tests/files/made_by_others/", $name)).to_vec()),*]
        };
    }
    files!["rows-f8-columns.npy" "ids-texts.npy" "IndexIDMap-l2.faiss" "flat-ip.faiss" "arrow.parquet" "fixed.parquet"]
}
