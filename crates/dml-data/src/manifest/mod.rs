//! Tables that say what image is of which class.
//!
//! ```text
//! path,label,split,role
//! images/001.jpg,owl,train,
//! images/002.jpg,teal,test,query
//! images/003.jpg,teal,test,gallery
//! ```
//!
//! `path` and `label` must be there; `split` and `role` may be, and may be empty in any line. A role is `query` or
//! `gallery`. Columns stand in any order, and further ones are passed over. Relative paths are relative to the folder of
//! the table. Labels are text; classes are numbered from 0 in the order of their names, those of the whole table even
//! where only a part of it is asked for, so that labels of queries and galleries can be compared.
//!
//! A CSV file is in UTF-8, has the names of its columns in the first line and is separated by commas. With the feature
//! `parquet`, a Parquet file with columns of these names is the same; there a label may be a whole number, too. Its columns
//! may be compressed by snappy, gzip or lz4.

mod csv_table;
#[cfg(feature = "parquet")]
mod parquet_table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{DataError, ImageFiles, ImageFilesConfig, Result};

/// What an image is for when embeddings are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It looks for others.
    Query,
    /// It is looked for.
    Gallery,
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
}

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
}

impl Manifest {
    /// Reads a table, by the ending of its name: `.csv`, or `.parquet` with the feature of that name.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read, [`DataError::Table`] with line and column for what is wrong in it,
    /// [`DataError::TableKind`] for another ending, [`DataError::NoImages`] for a table without lines.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let ending = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        let lines = match ending.as_deref().and_then(|ending| ending.to_str()) {
            Some("csv") => csv_table::read(path)?,
            #[cfg(feature = "parquet")]
            Some("parquet") => parquet_table::read(path)?,
            _ => {
                return Err(DataError::TableKind {
                    file: path.to_path_buf(),
                    known: if cfg!(feature = "parquet") {
                        ".csv or .parquet"
                    } else {
                        ".csv, or .parquet with the feature `parquet`"
                    },
                });
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let entries = lines.into_iter().map(|line| line.entry(path, folder));
        let entries = entries.collect::<Result<Vec<Entry>>>()?;
        if entries.is_empty() {
            return Err(DataError::NoImages {
                path: path.to_path_buf(),
                kind: "one a line",
            });
        }
        let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.label).collect();
        Ok(Self {
            path: path.into(),
            class_names: names.into_iter().map(str::to_owned).collect(),
            entries: entries.into(),
        })
    }

    /// The lines in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of all classes of the table, sorted.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
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

    /// The lines of a role.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn role(&self, role: Role) -> Result<Self> {
        let name = match role {
            Role::Query => "query",
            Role::Gallery => "gallery",
        };
        let roles: Vec<&str> = [(Role::Query, "query"), (Role::Gallery, "gallery")]
            .into_iter()
            .filter(|(other, _)| self.entries.iter().any(|entry| entry.role == Some(*other)))
            .map(|(_, name)| name)
            .collect();
        let keep = |entry: &Entry| entry.role == Some(role);
        self.filtered(keep, || ("role", format!("{name:?}"), roles.join(", ")))
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

    /// The images of these lines.
    ///
    /// # Errors
    /// As [`ImageFiles::new`].
    pub fn images(&self, config: ImageFilesConfig) -> Result<ImageFiles> {
        let place = |entry: &Entry| {
            // Every label is among the names, which are sorted.
            self.class_names.partition_point(|name| *name < entry.label) as i64
        };
        let labels: Vec<i64> = self.entries.iter().map(place).collect();
        let paths = self.entries.iter().map(|entry| entry.path.clone());
        let names = self.class_names.iter().cloned();
        ImageFiles::new(&self.path, paths, labels, names, config)
    }
}

/// The columns that are read.
const COLUMNS: [&str; 4] = ["path", "label", "split", "role"];

/// A line as a table has it: the cells of [`COLUMNS`], empty ones as `None`.
#[derive(Debug)]
struct Line {
    /// From 1; in a CSV file the first is that of the names.
    number: u64,
    cells: [Option<String>; 4],
}

impl Line {
    fn entry(self, table: &Path, folder: &Path) -> Result<Entry> {
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
        let [path, label, split, role] = self.cells;
        let path = path.ok_or_else(|| fault("path", "the path of an image", empty()))?;
        let label = label.ok_or_else(|| fault("label", "the name of a class", empty()))?;
        let role = match role.as_deref() {
            None => None,
            Some("query") => Some(Role::Query),
            Some("gallery") => Some(Role::Gallery),
            Some(other) => {
                return Err(fault(
                    "role",
                    "query, gallery or nothing",
                    format!("{other:?}"),
                ));
            }
        };
        Ok(Entry {
            path: folder.join(path),
            label,
            split,
            role,
        })
    }
}

/// Where each of [`COLUMNS`] stands among the names of a table.
fn places<'a>(table: &Path, names: impl Iterator<Item = &'a str>) -> Result<[Option<usize>; 4]> {
    let names: Vec<&str> = names.map(str::trim).collect();
    let fault = |column: &str, expected| DataError::Table {
        file: table.to_path_buf(),
        line: 1,
        column: column.to_owned(),
        expected,
        found: format!("the columns {}", names.join(", ")),
    };
    let mut places = [None; 4];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = names
            .iter()
            .enumerate()
            .filter(|(_, name)| **name == column);
        *place = found.next().map(|(i, _)| i);
        if found.next().is_some() {
            return Err(fault(column, "one column of that name"));
        }
        if place.is_none() && (column == "path" || column == "label") {
            return Err(fault(column, "a column of that name"));
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
