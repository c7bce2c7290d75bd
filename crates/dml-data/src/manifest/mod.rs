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

mod csv_table;
#[cfg(feature = "parquet")]
mod parquet_pages;
#[cfg(feature = "parquet")]
mod parquet_table;
#[cfg(feature = "parquet")]
mod quiet_panic;
mod quotes;
mod whole_numbers;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::shortened;
use crate::image_files::Extras;
use crate::{ClassOrder, DataError, ImageFiles, ImageFilesConfig, Result};

/// What an image is for when embeddings are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It looks for others.
    Query,
    /// It is looked for.
    Gallery,
    /// It looks for others and is looked for.
    Both,
    /// It is in the gallery, but of no class: found or not, it doesn't count.
    Junk,
}

impl Role {
    const NAMED: [(Self, &'static str); 4] = [
        (Self::Query, "query"),
        (Self::Gallery, "gallery"),
        (Self::Both, "both"),
        (Self::Junk, "junk"),
    ];

    /// Whether a row of this role belongs to a part that is asked for.
    fn is_part_of(self, part: Self) -> bool {
        match part {
            Self::Query => matches!(self, Self::Query | Self::Both),
            Self::Gallery => matches!(self, Self::Gallery | Self::Both | Self::Junk),
            Self::Both | Self::Junk => self == part,
        }
    }

    fn name(self) -> &'static str {
        let own = Self::NAMED.iter().find(|(role, _)| *role == self);
        own.map_or("", |(_, name)| name)
    }
}

/// One line of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The image: as the table has it if that is absolute, else below the table's folder.
    pub path: PathBuf,
    /// The name of its class.
    pub label: String,
    /// The split that it belongs to, such as `train`.
    pub split: Option<String>,
    /// What it is for.
    pub role: Option<Role>,
    /// The name of the camera that took it.
    pub camera: Option<String>,
    /// The image file itself, if the table has it. Then the path only names it.
    pub contents: Option<Arc<[u8]>>,
}

impl Entry {
    /// Whether it is of no class: its role is [`Role::Junk`].
    #[must_use]
    pub fn is_junk(&self) -> bool {
        self.role == Some(Role::Junk)
    }

    /// Bytes in memory, apart from those of the list that it stands in.
    fn heap(&self) -> u64 {
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + OVERHEAD);
        let contents = self
            .contents
            .as_ref()
            .map_or(0, |bytes| bytes.len() + OVERHEAD);
        let path = self.path.as_os_str().len() + OVERHEAD;
        let own = path + self.label.len() + OVERHEAD + contents;
        (own + text(&self.split) + text(&self.camera)) as u64
    }
}

/// Bytes that an allocation takes beyond its contents.
const OVERHEAD: usize = 16;

/// Bytes that a row takes at least: its place in a list that doubles as it grows.
const LEAST_BYTES: u64 = 2 * size_of::<Entry>() as u64;

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
        match Kind::of(path)? {
            Kind::Csv => {
                let file = File::open(path).map_err(DataError::io("read", path))?;
                let mut bytes = Vec::new();
                file.take(memory_limit.saturating_add(1))
                    .read_to_end(&mut bytes)
                    .map_err(DataError::io("read", path))?;
                Self::csv(path, &bytes, memory_limit)
            }
            #[cfg(feature = "parquet")]
            Kind::Parquet => {
                let file = File::open(path).map_err(DataError::io("read", path))?;
                let mut lines = Lines::new(path, 0, memory_limit);
                parquet_table::read(path, file, memory_limit, &mut |line| lines.take(line))?;
                lines.finish()
            }
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
                let mut lines = Lines::new(name, bytes.len(), memory_limit);
                let bytes = bytes::Bytes::copy_from_slice(bytes);
                parquet_table::read(name, bytes, memory_limit, &mut |line| lines.take(line))?;
                lines.finish()
            }
        }
    }

    fn csv(path: &Path, bytes: &[u8], memory_limit: u64) -> Result<Self> {
        let mut lines = Lines::new(path, bytes.len(), memory_limit);
        lines.check()?;
        csv_table::read(path, bytes, &mut |line| lines.take(line))?;
        whole_numbers::unify(&mut lines.entries);
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
        let splits = self
            .entries
            .iter()
            .filter_map(|entry| entry.split.as_deref());
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
        let entries: Arc<[Entry]> = self
            .entries
            .iter()
            .filter(|entry| keep(entry))
            .cloned()
            .collect();
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

/// The lines of a table that were read so far, within a limit of memory.
struct Lines<'a> {
    path: &'a Path,
    entries: Vec<Entry>,
    /// Bytes of the table itself and of what the entries hold.
    bytes: u64,
    limit: u64,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, bytes: usize, limit: u64) -> Self {
        Self {
            path,
            entries: Vec::new(),
            bytes: bytes as u64,
            limit,
        }
    }

    fn check(&self) -> Result<()> {
        let places = (self.entries.len() as u64).saturating_mul(LEAST_BYTES);
        let found = self.bytes.saturating_add(places);
        if found > self.limit {
            return Err(DataError::TooLarge {
                file: self.path.to_path_buf(),
                limit: self.limit,
                found,
            });
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<()> {
        let entry = line.entry(self.path)?;
        self.bytes = self.bytes.saturating_add(entry.heap());
        self.entries.push(entry);
        self.check()
    }

    /// The table, once all lines are there.
    fn finish(mut self) -> Result<Manifest> {
        if self.entries.is_empty() {
            return Err(DataError::NoImages {
                path: self.path.to_path_buf(),
                kind: "one a line",
            });
        }
        for entry in &mut self.entries {
            if entry.role == Some(Role::Gallery) && entry.label == JUNK {
                entry.role = Some(Role::Junk);
            }
        }
        let classes = self.entries.iter().filter(|entry| !entry.is_junk());
        let classes: BTreeSet<&str> = classes.map(|entry| &*entry.label).collect();
        let cameras = self.entries.iter().filter_map(|e| e.camera.as_deref());
        let cameras: BTreeSet<&str> = cameras.collect();
        Ok(Manifest {
            path: self.path.into(),
            class_names: classes.into_iter().map(str::to_owned).collect(),
            camera_names: cameras.into_iter().map(str::to_owned).collect(),
            order: ClassOrder::Name,
            entries: self.entries.into(),
        })
    }
}

/// The label of what is in the gallery and of no class.
const JUNK: &str = "-1";

/// The columns that are read.
const COLUMNS: [&str; 6] = ["path", "label", "split", "role", "camera", "image"];

/// The cells of [`COLUMNS`], empty ones as `None`.
#[derive(Debug, Default)]
struct Cells {
    path: Option<String>,
    label: Option<String>,
    split: Option<String>,
    role: Option<String>,
    camera: Option<String>,
    /// The bytes of an image file.
    contents: Option<Vec<u8>>,
}

/// A line as a table has it.
#[derive(Debug)]
struct Line {
    /// From 1; in a CSV file the first is that of the names.
    number: u64,
    cells: Cells,
}

impl Line {
    fn entry(self, table: &Path) -> Result<Entry> {
        let number = self.number;
        let fault =
            |column: &'static str, expected: &'static str, found: String| DataError::Table {
                file: table.to_path_buf(),
                line: number,
                column: column.to_owned(),
                expected,
                found,
            };
        let empty = || "nothing".to_owned();
        let quoted = |text: &str| format!("{:?}", shortened(text));
        let cells = self.cells;
        for (column, cell) in [
            ("path", &cells.path),
            ("label", &cells.label),
            ("split", &cells.split),
            ("role", &cells.role),
            ("camera", &cells.camera),
        ] {
            if let Some(text) = cell
                && text.contains(['\n', '\r'])
            {
                return Err(fault(column, "text on one line", quoted(text)));
            }
        }
        let path = match (cells.path, &cells.contents) {
            (Some(path), _) => path,
            (None, Some(_)) => format!("row {number} of {}", table.display()),
            (None, None) => return Err(fault("path", "the path of an image", empty())),
        };
        let role = match cells.role.as_deref() {
            None => None,
            Some(name) => {
                let known = Role::NAMED.iter().find(|(_, own)| *own == name);
                let expected = "query, gallery, both, junk or nothing";
                let (role, _) = known.ok_or_else(|| fault("role", expected, quoted(name)))?;
                Some(*role)
            }
        };
        let label = match (cells.label, role) {
            (Some(label), _) => label,
            (None, Some(Role::Junk)) => JUNK.to_owned(),
            (None, _) => return Err(fault("label", "the name of a class", empty())),
        };
        let folder = table.parent().unwrap_or(Path::new(""));
        Ok(Entry {
            path: folder.join(path),
            label,
            split: cells.split,
            role,
            camera: cells.camera,
            contents: cells.contents.map(Into::into),
        })
    }
}

/// Where each of the columns stands among the names of a table.
#[derive(Clone, Copy, Debug)]
struct Places {
    path: Option<usize>,
    label: Option<usize>,
    split: Option<usize>,
    role: Option<usize>,
    camera: Option<usize>,
}

/// Finds the columns; an image may stand in the table itself if `images` says so.
fn places<'a>(table: &Path, names: impl Iterator<Item = &'a str>, images: bool) -> Result<Places> {
    let names: Vec<&str> = names.map(str::trim).collect();
    let fault = |column: &str, expected| DataError::Table {
        file: table.to_path_buf(),
        line: 1,
        column: column.to_owned(),
        expected,
        found: format!("the columns {}", shortened(&names.join(", "))),
    };
    let place = |column: &str| {
        let mut found = (0..names.len()).filter(|&i| names[i] == column);
        let place = found.next();
        match found.next() {
            Some(_) => Err(fault(column, "one column of that name")),
            None => Ok(place),
        }
    };
    let places = Places {
        path: place("path")?,
        label: place("label")?,
        split: place("split")?,
        role: place("role")?,
        camera: place("camera")?,
    };
    let has_image = images && place("image")?.is_some();
    if places.path.is_none() && !has_image {
        return Err(fault("path", "a column of that name"));
    }
    if places.label.is_none() {
        return Err(fault("label", "a column of that name"));
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
