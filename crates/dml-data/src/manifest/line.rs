//! A line of a table, and the columns that it is read from.

use std::path::Path;

use super::{Entry, Role};
use crate::error::shortened;
use crate::{DataError, Result};

/// The label of what is in the gallery and of no class.
pub(super) const JUNK: &str = "-1";

/// The columns that are read.
#[cfg(feature = "parquet")]
pub(super) const COLUMNS: [&str; 6] = ["path", "label", "split", "role", "camera", "image"];

/// The cells of the columns that are read, empty ones as `None`.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) path: Option<String>,
    pub(super) label: Option<String>,
    pub(super) split: Option<String>,
    pub(super) role: Option<String>,
    pub(super) camera: Option<String>,
    /// The bytes of an image file.
    pub(super) contents: Option<Vec<u8>>,
}

/// A line as a table has it.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1; in a CSV file the first is that of the names.
    pub(super) number: u64,
    pub(super) cells: Cells,
}

impl Line {
    pub(super) fn entry(self, table: &Path) -> Result<Entry> {
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
pub(super) struct Places {
    pub(super) path: Option<usize>,
    pub(super) label: Option<usize>,
    pub(super) split: Option<usize>,
    pub(super) role: Option<usize>,
    pub(super) camera: Option<usize>,
}

/// Finds the columns; an image may stand in the table itself if `images` says so.
pub(super) fn places<'a>(
    table: &Path,
    names: impl Iterator<Item = &'a str>,
    images: bool,
) -> Result<Places> {
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
