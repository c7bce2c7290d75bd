//! Annotations of published data sets: MATLAB's files of Cars-196, pickles of CIFAR-100.

use std::fs;
use std::path::Path;

use dml::data::layouts::{LayoutConfig, layout};

/// Names of the classes, which CIFAR-100 has beside its batches.
const META: &[u8] =
    include_bytes!("../../../dml-data/tests/inputs/layouts/cifar100/python/cifar-100-python/meta");
const TEST: &[u8] =
    include_bytes!("../../../dml-data/tests/inputs/layouts/cifar100/python/cifar-100-python/test");
const CARS: &[u8] =
    include_bytes!("../../../dml-data/tests/inputs/layouts/cars196/one_archive/cars_annos.mat");

pub(super) fn run(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).expect("a temporary file can be written");
    };
    if bytes.starts_with(b"MATLAB") {
        write("cars_annos.mat", bytes);
        fs::create_dir(folder.path().join("car_ims")).expect("a temporary folder can be made");
        used("cars196", folder.path());
    } else {
        write("meta", META);
        write("train", bytes);
        write("test", TEST);
        used("cifar100", folder.path());
    }
}

fn used(name: &str, folder: &Path) {
    let layout = layout(name).expect("a layout of the list");
    match layout.read(folder, &LayoutConfig::default()) {
        Ok(found) => super::csv::used(Ok(found.manifest)),
        Err(error) => assert!(error.to_string().len() < 1 << 14),
    }
}

/// Written by scipy and pickle.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![CARS.to_vec(), TEST.to_vec()]
}
