//! The cells of a line, and the columns that they are read from.

use std::path::Path;

use super::{Entry, Role};
use crate::error::shortened;
use crate::{DataError, Result};

/// The label of what is in the gallery and of no class.
pub(super) const JUNK: &str = "-1";

/// The columns of text that are read.
pub(super) const COLUMNS: [&str; 5] = ["path", "label", "split", "role", "camera"];
/// The column of images in a Parquet file.
pub(super) const IMAGE: &str = "image";

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

impl Cells {
    /// The cell of a column, unless it is one of no text that is read.
    pub(super) fn text_mut(&mut self, column: &str) -> Option<&mut Option<String>> {
        match column.trim() {
            "path" => Some(&mut self.path),
            "label" => Some(&mut self.label),
            "split" => Some(&mut self.split),
            "role" => Some(&mut self.role),
            "camera" => Some(&mut self.camera),
            _ => None,
        }
    }

    /// What the line of that number says.
    pub(super) fn entry(mut self, table: &Path, line: u64) -> Result<Entry> {
        let fault = |column: &str, expected, found: String| {
            DataError::table(table, line, column, expected, found)
        };
        let empty = || "nothing".to_owned();
        let quoted = |text: &str| format!("{:?}", shortened(text));
        for column in COLUMNS {
            if let Some(Some(text)) = self.text_mut(column)
                && text.contains(['\n', '\r'])
            {
                return Err(fault(column, "text on one line", quoted(text)));
            }
        }
        let path = match (self.path, &self.contents) {
            (Some(path), _) => path,
            (None, Some(_)) => format!("row {line} of {}", table.display()),
            (None, None) => return Err(fault("path", "the path of an image", empty())),
        };
        let role = match self.role.as_deref() {
            None => None,
            Some(name) => {
                let known = Role::NAMED.iter().find(|(_, own)| *own == name);
                let expected = "query, gallery, both, junk or nothing";
                let (role, _) = known.ok_or_else(|| fault("role", expected, quoted(name)))?;
                Some(*role)
            }
        };
        let label = match (self.label, role) {
            (Some(label), _) => label,
            (None, Some(Role::Junk)) => JUNK.to_owned(),
            (None, _) => return Err(fault("label", "the name of a class", empty())),
        };
        let folder = table.parent().unwrap_or(Path::new(""));
        Ok(Entry {
            path: folder.join(path),
            label,
            split: self.split,
            role,
            camera: self.camera,
            contents: self.contents.map(Into::into),
        })
    }
}

/// Refuses a table with a column twice, or without one that it needs; an image may stand in the table itself if `images`
/// says so.
pub(super) fn check_columns<'a>(
    table: &Path,
    names: impl Iterator<Item = &'a str>,
    images: bool,
) -> Result<()> {
    let names: Vec<&str> = names.map(str::trim).collect();
    let fault = |column: &str, expected| {
        let found = format!("the columns {}", shortened(&names.join(", ")));
        Err(DataError::table(table, 1, column, expected, found))
    };
    let count = |column: &str| names.iter().filter(|name| **name == column).count();
    for column in COLUMNS.into_iter().chain(images.then_some(IMAGE)) {
        if count(column) > 1 {
            return fault(column, "one column of that name");
        }
    }
    if count("path") == 0 && !(images && count(IMAGE) == 1) {
        return fault("path", "a column of that name");
    }
    if count("label") == 0 {
        return fault("label", "a column of that name");
    }
    Ok(())
}
