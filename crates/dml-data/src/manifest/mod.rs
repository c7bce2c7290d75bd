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
//! | `path` | the image; a relative path is relative to the folder of the table |
//! | `label` | the name of its class |
//! | `split` | the split that it belongs to, such as `train`; may be empty |
//! | `role` | `query`, `gallery`, `both` or `junk`; may be empty |
//! | `camera` | the name or number of the camera; may be empty |
//! | `image` | Parquet only: the image itself ([below](#parquet)) |
//!
//! `path` (or `image`) and `label` must be there. Columns stand in any order, and further ones are passed over. Each cell
//! stands on one line. Labels are text; classes are numbered from 0 in the order of their names
//! ([or another](Manifest::with_class_order)), those of the whole table even where only a part of it is asked for, so
//! that labels of queries and galleries can be compared. Cameras are numbered in the same way. Where every label, or every
//! camera, of a CSV file is a whole number written as a real one (`1.0`), it is read as `1`: other programs write
//! whole numbers so as soon as one cell of the column is empty.
//!
//! # Re-identification
//!
//! A row of the role `both` is a query and in the gallery. A row of the role `junk`, and a row of the gallery with the
//! label `-1`, is in the gallery but of no class: its label is −1, and it counts neither as right nor as wrong when a
//! query finds it. Neither does the same thing seen by the same camera. `query_gallery_relation` of the crate `dml-eval`
//! makes both rules of the labels and [cameras](crate::ImageFiles::cameras).
//!
//! # CSV
//!
//! A CSV file is in UTF-8, has the names of its columns in the first line and is separated by commas. A quote that is
//! opened must close where its cell ends.
//!
//! # Parquet
//!
//! With the feature `parquet`, a Parquet file with columns of these names is the same; there a label may be a whole number
//! of any width, or a whole number written as a real one, too. The column `image` has the bytes of an image file, or is a
//! group of `bytes` and `path`, as Hugging Face's data sets have it. Columns may be compressed by snappy, gzip, lz4 or
//! zstd, and are in plain or dictionary encoding.
//!
//! # Memory
//!
//! A table may take 2 GiB ([`Manifest::MEMORY_LIMIT`]), images in it included; [`Manifest::read_within`] sets another
//! limit. The pages of a Parquet file are checked before they are decompressed.

mod cells;
mod csv_table;
mod entry;
mod lines;
#[cfg(feature = "parquet")]
mod parquet_pages;
#[cfg(feature = "parquet")]
mod parquet_table;
#[cfg(feature = "parquet")]
mod quiet_panic;
mod quotes;
mod role;
mod whole_numbers;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "parquet")]
use parquet::file::reader::ChunkReader;

use self::lines::Lines;
use crate::image_files::Extras;
use crate::{ClassOrder, DataError, ImageFiles, ImageFilesConfig, Result};

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
    order: ClassOrder,
}

impl Manifest {
    /// Most bytes of memory that [`Manifest::read`] and [`Manifest::parse`] let a table take: 2 GiB.
    pub const MEMORY_LIMIT: u64 = 1 << 31;

    /// Reads a table, by the ending of its name: `.csv`, or `.parquet` with the feature of that name.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read, [`DataError::Table`] with line and column for what is wrong in it,
    /// [`DataError::TableKind`] for another ending, [`DataError::NoImages`] for a table without lines,
    /// [`DataError::TooLarge`] beyond the [memory limit](Self::MEMORY_LIMIT).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_within(path, Self::MEMORY_LIMIT)
    }

    /// Reads a table that may take at most so many bytes of memory.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn read_within(path: impl AsRef<Path>, memory_limit: u64) -> Result<Self> {
        let path = path.as_ref();
        let kind = Kind::of(path)?;
        let file = File::open(path).map_err(DataError::io("read", path))?;
        match kind {
            Kind::Csv => {
                let mut bytes = Vec::new();
                file.take(memory_limit.saturating_add(1))
                    .read_to_end(&mut bytes)
                    .map_err(DataError::io("read", path))?;
                Self::csv(path, &bytes, memory_limit)
            }
            #[cfg(feature = "parquet")]
            Kind::Parquet => Self::parquet(path, file, 0, memory_limit),
        }
    }

    /// Reads the bytes of a table. `name` is its path, whose ending says what kind of table it is.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn parse(name: impl AsRef<Path>, bytes: &[u8], memory_limit: u64) -> Result<Self> {
        let name = name.as_ref();
        match Kind::of(name)? {
            Kind::Csv => Self::csv(name, bytes, memory_limit),
            #[cfg(feature = "parquet")]
            Kind::Parquet => {
                let copy = bytes::Bytes::copy_from_slice(bytes);
                Self::parquet(name, copy, bytes.len(), memory_limit)
            }
        }
    }

    fn csv(path: &Path, bytes: &[u8], memory_limit: u64) -> Result<Self> {
        let mut lines = Lines::new(path, bytes.len(), memory_limit);
        lines.check()?;
        csv_table::read(path, bytes, &mut |line, cells| lines.take(line, cells))?;
        whole_numbers::unify(&mut lines.entries);
        lines.finish()
    }

    /// Reads a file of which `held` bytes are in memory.
    #[cfg(feature = "parquet")]
    fn parquet<R>(path: &Path, file: R, held: usize, memory_limit: u64) -> Result<Self>
    where
        R: ChunkReader + 'static,
    {
        let mut lines = Lines::new(path, held, memory_limit);
        let mut take = |line, cells| lines.take(line, cells);
        parquet_table::read(path, file, memory_limit, &mut take)?;
        lines.finish()
    }

    /// The same table with classes, and cameras, numbered in another order.
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
            order,
            ..self
        }
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

    /// The names of the splits of these lines, sorted.
    #[must_use]
    pub fn splits(&self) -> Vec<&str> {
        let splits = self.entries.iter().filter_map(|own| own.split.as_deref());
        splits.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The lines of a split.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn split(&self, name: &str) -> Result<Self> {
        let keep = |entry: &Entry| entry.split.as_deref() == Some(name);
        self.filtered(keep, || {
            ("split", format!("{name:?}"), self.splits().join(", "))
        })
    }

    /// The lines of a part: of [`Role::Query`], those that are queries or both; of [`Role::Gallery`], those that are in
    /// the gallery, both, or junk.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn role(&self, role: Role) -> Result<Self> {
        let keep = |entry: &Entry| entry.role.is_some_and(|own| own.is_part_of(role));
        let roles = || {
            let named = Role::NAMED.iter();
            let named = named.filter(|(r, _)| self.entries.iter().any(|e| e.role == Some(*r)));
            named.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
        };
        let wanted = || ("role", format!("{:?}", role.name()), roles());
        self.filtered(keep, wanted)
    }

    fn filtered(
        &self,
        keep: impl Fn(&Entry) -> bool,
        what: impl FnOnce() -> (&'static str, String, String),
    ) -> Result<Self> {
        let entries = self.entries.iter().filter(|entry| keep(entry));
        let entries: Arc<[Entry]> = entries.cloned().collect();
        if entries.is_empty() {
            let (column, wanted, found) = what();
            return Err(DataError::NoSuchLines {
                file: self.path.to_path_buf(),
                column,
                wanted,
                found: if found.is_empty() {
                    "none".to_owned()
                } else {
                    found
                },
            });
        }
        Ok(Self {
            entries,
            ..self.clone()
        })
    }

    /// The images of these lines. Junk has the label −1.
    ///
    /// # Errors
    /// As [`ImageFiles::new`].
    pub fn images(&self, config: ImageFilesConfig) -> Result<ImageFiles> {
        // Every label and every camera is among the names, which are sorted.
        let place = |names: &[String], own: &str| {
            names.partition_point(|name| self.order.compare(name, own).is_lt()) as i64
        };
        let label = |entry: &Entry| match entry.is_junk() {
            true => -1,
            false => place(&self.class_names, &entry.label),
        };
        let labels: Vec<i64> = self.entries.iter().map(label).collect();
        let cameras = self.entries.iter().map(|entry| entry.camera.as_deref());
        let cameras = cameras.map(|own| Some(place(&self.camera_names, own?)));
        let contents = match self.entries.iter().any(|entry| entry.contents.is_some()) {
            true => self.entries.iter().map(|e| e.contents.clone()).collect(),
            false => Vec::new(),
        };
        let extras = Extras {
            contents,
            cameras: cameras.collect(),
            camera_names: Arc::clone(&self.camera_names),
            has_junk: true,
            skipped: Vec::new(),
        };
        let paths = self.entries.iter().map(|entry| entry.path.clone());
        let names = self.class_names.iter().cloned();
        ImageFiles::with_extras(&self.path, paths, labels, names, config, extras)
    }
}

/// The kinds of tables.
enum Kind {
    Csv,
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        match ending.as_deref().and_then(OsStr::to_str) {
            Some("csv") => Ok(Self::Csv),
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(DataError::TableKind {
                file: path.to_path_buf(),
                known: if cfg!(feature = "parquet") {
                    ".csv or .parquet"
                } else {
                    ".csv, or .parquet with the feature `parquet`"
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests;
