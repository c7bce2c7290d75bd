//! Samples in tar archives.

use dml::data::ImageFilesConfig;
use dml::data::archives::{WebDataset, WebDatasetConfig};

use super::csv::used;
use super::scratch::with_file;

pub(super) fn run(bytes: &[u8]) {
    let config = WebDatasetConfig {
        image: vec!["left.png".to_owned(), "png".to_owned()],
        ..WebDatasetConfig::default()
    };
    with_file("x.tar", bytes, |path| {
        let samples = WebDataset::new(config).read([path]);
        if let Ok(samples) = &samples
            && let Ok(images) = samples.images(ImageFilesConfig::default())
        {
            // Every image is read: positions lie within the archive.
            for row in 0..samples.entries().len().min(16) {
                dml::data::ImageSource::image(&images, row).ok();
            }
        }
        used(samples);
    });
}

/// Written by WebDataset and Python's tarfile.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../dml-data/tests/inputs/archives/columns.tar").to_vec(),
        include_bytes!("../../../dml-data/tests/inputs/archives/pax.tar").to_vec(),
        include_bytes!("../../../dml-data/tests/inputs/archives/gnu.tar").to_vec(),
    ]
}
