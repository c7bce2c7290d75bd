//! Whatever a data set of images lies in, by what it is called.

use std::ffi::OsStr;
use std::path::Path;

use super::{Manifest, ManifestConfig};
use crate::archives::{ArrayDataset, ArrayDatasetConfig, WebDataset, WebDatasetConfig, shards};
use crate::layouts::{LAYOUTS, LayoutConfig};
use crate::{DataError, Result};

impl Manifest {
    /// The images of a source that a command line or a configuration names:
    ///
    /// | source | read as |
    /// |---|---|
    /// | `NAME:FOLDER`, with a name of [`LAYOUTS`] | a [published data set](crate::layouts), divided by unseen classes |
    /// | `FILE.tar`, `NAME-{000..012}.tar` | samples in [archives](crate::archives) |
    /// | `FILE.npz` | [images in arrays](ArrayDataset) `x` and `y` |
    /// | any other path | a table |
    ///
    /// ```no_run
    /// use dml_data::{Manifest, ManifestConfig};
    ///
    /// let config = ManifestConfig::default();
    /// let birds = Manifest::open("cub200:data/CUB_200_2011", &config)?.split("train")?;
    /// let samples = Manifest::open("data/train-{000000..000012}.tar", &config)?;
    /// let photos = Manifest::open("data/photos.csv", &config)?;
    /// # Ok::<(), dml_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Layout::read`](crate::layouts::Layout::read), [`WebDataset::read`], [`ArrayDataset::read`] or
    /// [`Manifest::read_with`]; [`DataError::Malformed`] for arrays of features, which are no images.
    pub fn open(source: &str, config: &ManifestConfig) -> Result<Self> {
        if let Some((name, folder)) = source.split_once(':')
            && let Some(layout) = LAYOUTS.iter().find(|layout| layout.name == name)
        {
            let published = layout.read(folder, &LayoutConfig::default())?;
            return Ok(published.manifest);
        }
        let path = Path::new(source);
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        match ending.as_deref().and_then(OsStr::to_str) {
            Some("tar") => {
                let config = WebDatasetConfig {
                    manifest: config.clone(),
                    ..WebDatasetConfig::default()
                };
                WebDataset::new(config).read(shards(source)?)
            }
            Some("npz") => {
                let config = ArrayDatasetConfig {
                    memory_limit: config.memory_limit,
                    ..ArrayDatasetConfig::default()
                };
                match ArrayDataset::read(path, &config)? {
                    ArrayDataset::Images(images) => Ok(images),
                    ArrayDataset::Features(..) => Err(DataError::Malformed {
                        file: path.to_path_buf(),
                        place: format!("array {:?}", config.data),
                        expected: "images: bytes [rows, height, width] or with channels",
                        found: "features".to_owned(),
                    }),
                }
            }
            _ => Self::read_with(path, config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(source: &str) -> Result<Manifest> {
        let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs");
        let source = source.replace('~', inputs.to_str().unwrap());
        Manifest::open(&source, &ManifestConfig::default())
    }

    #[test]
    fn sources_of_every_kind_become_tables() -> Result<()> {
        for (source, rows, classes) in [
            ("cub200:~/layouts/cub200", 10, 5),
            ("cifar10:~/layouts/cifar10/python", 13, 10),
            ("~/archives/train-{000000..000001}.tar", 6, 4),
            ("~/arrays/images_compressed.npz", 4, 3),
            ("~/tables/pandas.csv", 6, 5),
            ("~/numbers.csv", 12, 12),
        ] {
            let found = open(source)?;
            let sizes = (found.entries().len(), found.class_names().len());
            assert_eq!(sizes, (rows, classes), "{source}");
        }
        Ok(())
    }

    #[test]
    fn sources_that_are_nothing_are_refused() {
        assert!(matches!(
            open("cub200:~/layouts/lfw"),
            Err(DataError::NotThere { .. })
        ));
        assert!(matches!(
            open("cub:~/layouts/cub200"),
            Err(DataError::TableKind { .. })
        ));
        assert!(matches!(
            open("~/layouts/cub200"),
            Err(DataError::TableKind { .. })
        ));
        assert!(matches!(
            open("~/archives/train-{0..1}.tar"),
            Err(DataError::Io { .. })
        ));
    }
}
