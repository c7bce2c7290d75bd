//! Tables that say what image is of which class.
//!
//! ```text
//! path,label,split,role,camera
//! images/001.jpg,owl,train,,
//! images/002.jpg,teal,test,query,1
//! images/003.jpg,teal,test,gallery,2
//! images/004.jpg,-1,test,gallery,2
//! ```
//!
//! | column | contents |
//! |---|---|
//! | `path` | the image; a relative path is relative to the folder of the table. Also read as `file_name`, its name in Hugging Face's image folders |
//! | `image` | Parquet only: the image itself ([below](#parquet)) |
//! | `label` | the name of its class |
//! | `labels` | the names of several classes, separated by `\|`, or a list |
//! | `split` | the split that it belongs to, such as `train`; may be empty |
//! | `role` | `query`, `gallery`, `both` or `junk`; may be empty |
//! | `camera` | the name or number of the camera; may be empty |
//! | `sequence` | the name or number of the sequence of images that it is part of; may be empty |
//! | `category` | the name of the category that its class belongs to; may be empty |
//! | `box` | the part of the image that is read: left, top, width and height in pixels, separated by blanks or commas, or a list; may be empty |
//! | `text` | a text that belongs to it; may be empty |
//!
//! One of `path`, `image` and `text`, and one of `label` and `labels` must be there. Other names are set in
//! [`ManifestColumns`], and [`ManifestConfig::allow_unlabelled`] reads tables without labels. Columns stand in any order,
//! and further ones are passed over. Each cell but a text stands on one line. Labels are text; classes are numbered from 0
//! in the order of their names ([or another](Manifest::with_class_order)), those of the whole table even where only a part
//! of it is asked for, so that labels of queries and galleries can be compared. Cameras, sequences and categories are
//! numbered in the same way. Where every label of a CSV or TSV file is a whole number written as a real one (`1.0`), it is
//! read as `1`: other programs write whole numbers so as soon as one cell of the column is empty. The same holds for
//! cameras, sequences and categories.
//!
//! # Re-identification
//!
//! A row of the role `both` is a query and in the gallery. A row of the role `junk`, and a row of the gallery with the
//! label `-1`, is in the gallery but of no class: its label is −1, and it counts neither as right nor as wrong when a
//! query finds it. Neither does the same thing seen by the same camera. `query_gallery_relation` of the crate `dml-eval`
//! makes both rules of the labels and [cameras](crate::ImageFiles::cameras).
//!
//! # CSV and TSV
//!
//! A file that ends in `.csv`, or in `.tsv` or `.tab`, is in UTF-8, has the names of its columns in the first line and is
//! separated by commas, or by tabs. A quote that is opened must close where its cell ends.
//!
//! # JSON Lines
//!
//! A file that ends in `.jsonl`, `.ndjson` or `.json` has a JSON object on each line, whose keys are the columns. Values are
//! text, whole numbers, `null`, and lists of these for `labels` and `box`.
//!
//! # Parquet
//!
//! With the feature `parquet`, a Parquet file with columns of these names is the same; there a label may be a whole number
//! of any width, or a whole number written as a real one, too. The column `image` has the bytes of an image file, or is a
//! group of `bytes` and `path`, as Hugging Face's data sets have it. Where they say what whole numbers stand for
//! (`ClassLabel`), classes have these names and the order of these numbers. Columns may be compressed by snappy, gzip, lz4
//! or zstd, and are in plain or dictionary encoding.
//!
//! # Memory
//!
//! A table may take 2 GiB ([`Manifest::MEMORY_LIMIT`]), images in it included; [`ManifestConfig::memory_limit`] sets another
//! limit. The pages of a Parquet file are checked before they are decompressed.

pub(crate) mod cells;
#[cfg(feature = "parquet")]
mod class_label;
mod columns;
mod csv_table;
mod entry;
mod json_lines;
mod kind;
mod lines;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet_table;
mod parts;
mod quotes;
pub(crate) mod reading;
mod role;
mod rows;
pub(crate) mod sample;
pub(crate) mod schema;
mod source;
mod whole_numbers;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use self::lines::Lines;
use crate::{ClassOrder, DataError, Result};

pub use self::columns::{ManifestColumns, ManifestConfig};
pub use self::entry::Entry;
pub use self::role::Role;

/// A table of images ([format](self)), or a part of one. Cloning is cheap.
///
/// ```
/// use dml_core::Dataset;
/// use dml_data::{ImageFilesConfig, Manifest, Role};
///
/// let folder = tempfile::tempdir()?;
/// for name in ["1.png", "2.png", "3.png"] {
///     image::GrayImage::new(8, 8).save(folder.path().join(name))?;
/// }
/// let table = folder.path().join("images.csv");
/// std::fs::write(&table, "path,label,split,role\n1.png,owl,train,\n2.png,teal,test,query\n3.png,teal,test,gallery\n")?;
///
/// let manifest = Manifest::read(&table)?;
/// assert_eq!(manifest.class_names(), ["owl", "teal"]);
/// let queries = manifest.split("test")?.role(Role::Query)?.images(ImageFilesConfig::default())?;
/// assert_eq!(queries.labels().as_slice(), [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    path: Arc<Path>,
    entries: Arc<[Entry]>,
    class_names: Arc<[String]>,
    camera_names: Arc<[String]>,
    sequence_names: Arc<[String]>,
    category_names: Arc<[String]>,
}

impl Manifest {
    /// Most bytes of memory that a table may take by default: 2 GiB.
    pub const MEMORY_LIMIT: u64 = 1 << 31;

    /// Reads a table, by the ending of its name: `.csv`, `.tsv`, `.tab`, `.jsonl`, `.ndjson`, `.json`, or `.parquet` with
    /// the feature of that name.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read, [`DataError::Table`] with line and column for what is wrong in it,
    /// [`DataError::TableKind`] for another ending, [`DataError::NoImages`] for a table without lines,
    /// [`DataError::TooLarge`] beyond the [memory limit](Self::MEMORY_LIMIT).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_with(path, &ManifestConfig::default())
    }

    /// Reads a table that may take at most so many bytes of memory.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn read_within(path: impl AsRef<Path>, memory_limit: u64) -> Result<Self> {
        let config = ManifestConfig {
            memory_limit,
            ..ManifestConfig::default()
        };
        Self::read_with(path, &config)
    }

    /// Reads a table with columns of other names, without labels, or within another limit of memory.
    ///
    /// # Errors
    /// As [`Manifest::read`], and [`DataError::Core`] for columns without a name or two of the same.
    pub fn read_with(path: impl AsRef<Path>, config: &ManifestConfig) -> Result<Self> {
        let path = path.as_ref();
        let mut lines = Lines::new(path, config)?;
        reading::read_file(path, &mut lines)?;
        lines.finish()
    }

    /// Reads the bytes of a table. `name` is its path, whose ending says what kind of table it is.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(name: impl AsRef<Path>, bytes: &[u8], memory_limit: u64) -> Result<Self> {
        let config = ManifestConfig {
            memory_limit,
            ..ManifestConfig::default()
        };
        Self::parse_with(name, bytes, &config)
    }

    /// The same with columns of other names, or without labels.
    ///
    /// # Errors
    /// As [`Manifest::read_with`].
    pub fn parse_with(
        name: impl AsRef<Path>,
        bytes: &[u8],
        config: &ManifestConfig,
    ) -> Result<Self> {
        let name = name.as_ref();
        let mut lines = Lines::new(name, config)?;
        reading::read_bytes(name, bytes, &mut lines)?;
        lines.finish()
    }

    /// A table of lines that were made elsewhere; `source` is the folder or file that they come from, for messages. Paths
    /// are taken as they are. Classes are numbered in the order of their names.
    ///
    /// # Errors
    /// [`DataError::NoImages`] without a line.
    pub fn new(source: impl AsRef<Path>, entries: impl Into<Vec<Entry>>) -> Result<Self> {
        let entries: Vec<Entry> = entries.into();
        let with_class = entries.iter().filter(|entry| !entry.is_junk());
        let names: BTreeSet<&str> = with_class.flat_map(Entry::classes).collect();
        let names = names.into_iter().map(str::to_owned).collect();
        Self::numbered(source.as_ref(), entries, names)
    }

    /// The same with classes numbered in the order of `class_names`, of which some may have no line.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`DataError::NoSuchLines`] for a line of a class without a name, or a name that is there
    /// twice.
    pub fn with_classes(
        source: impl AsRef<Path>,
        entries: impl Into<Vec<Entry>>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        let (source, entries): (_, Vec<Entry>) = (source.as_ref(), entries.into());
        let fault = |wanted: String, found: &str| DataError::NoSuchLines {
            file: source.to_path_buf(),
            column: "label",
            wanted,
            found: format!("{:?}", crate::error::shortened(found)),
        };
        let mut known = HashSet::with_capacity(class_names.len());
        if let Some(twice) = class_names.iter().find(|name| !known.insert(name.as_str())) {
            return Err(fault("of a name that is there once".to_owned(), twice));
        }
        let with_class = entries.iter().filter(|entry| !entry.is_junk());
        let mut classes = with_class.flat_map(Entry::classes);
        if let Some(unknown) = classes.find(|name| !known.contains(name)) {
            let wanted = format!("among {} names of classes", class_names.len());
            return Err(fault(wanted, unknown));
        }
        drop(classes);
        Self::numbered(source, entries, class_names)
    }

    fn numbered(source: &Path, entries: Vec<Entry>, class_names: Vec<String>) -> Result<Self> {
        if entries.is_empty() {
            return Err(DataError::NoImages {
                path: source.to_path_buf(),
                kind: "one a line",
            });
        }
        let names = |cell: fn(&Entry) -> &Option<String>| -> Arc<[String]> {
            let names = entries.iter().filter_map(|entry| cell(entry).as_deref());
            let names: BTreeSet<&str> = names.collect();
            names.into_iter().map(str::to_owned).collect()
        };
        Ok(Self {
            path: source.into(),
            class_names: class_names.into(),
            camera_names: names(|entry| &entry.camera),
            sequence_names: names(|entry| &entry.sequence),
            category_names: names(|entry| &entry.category),
            entries: entries.into(),
        })
    }

    /// The same table with classes, cameras, sequences and categories numbered in another order.
    #[must_use]
    pub fn with_class_order(self, order: ClassOrder) -> Self {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort_by(|a, b| order.compare(a, b));
            Arc::<[String]>::from(names)
        };
        Self {
            class_names: sorted(&self.class_names),
            camera_names: sorted(&self.camera_names),
            sequence_names: sorted(&self.sequence_names),
            category_names: sorted(&self.category_names),
            ..self
        }
    }

    /// The table, folder or archive that the lines come from.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.path
    }

    /// The lines in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of all classes of the table, in their order: that of label 0 first. Junk is of none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The names of all cameras of the table, in their order.
    #[must_use]
    pub fn camera_names(&self) -> &[String] {
        &self.camera_names
    }

    /// The names of all sequences of the table, in their order.
    #[must_use]
    pub fn sequence_names(&self) -> &[String] {
        &self.sequence_names
    }

    /// The names of all categories of the table, in their order.
    #[must_use]
    pub fn category_names(&self) -> &[String] {
        &self.category_names
    }
}

#[cfg(test)]
mod tests;
