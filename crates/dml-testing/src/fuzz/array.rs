//! NumPy's arrays: `.npy` files, and `.npz` files behind a path.

use dml::candle_core::Device;
use dml::data::archives::{ArrayDataset, ArrayDatasetConfig, Npy};

use super::csv::MEMORY;
use super::scratch::with_file;

pub(super) fn run(bytes: &[u8]) {
    if bytes.starts_with(b"PK") {
        let config = ArrayDatasetConfig {
            memory_limit: MEMORY,
            ..ArrayDatasetConfig::default()
        };
        with_file("x.npz", bytes, |path| {
            ArrayDataset::read(path, &config).ok();
        });
    } else if let Ok(array) = Npy::parse("x.npy", bytes) {
        let count: usize = array.dims().iter().product();
        if let Ok(tensor) = array.to_tensor(&Device::Cpu) {
            assert_eq!(tensor.elem_count(), count);
        }
        array.to_names("x.npy").ok();
    }
}

/// Written by numpy.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../dml-data/tests/inputs/arrays/f4_fortran.npy").to_vec(),
        include_bytes!("../../../dml-data/tests/inputs/arrays/text.npy").to_vec(),
        include_bytes!("../../../dml-data/tests/inputs/arrays/u2_big.npy").to_vec(),
        include_bytes!("../../../dml-data/tests/inputs/arrays/images_compressed.npz").to_vec(),
    ]
}
