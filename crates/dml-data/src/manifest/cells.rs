//! The cells of a line.

use std::path::{Path, PathBuf};

use super::schema::{Column, Schema};
use super::{Entry, Role};
use crate::error::shortened;
use crate::{Contents, DataError, PixelBox, Result};

/// The label of what is in the gallery and of no class.
pub(crate) const JUNK: &str = "-1";
/// Most elements of a cell that is a list.
pub(crate) const MOST_ELEMENTS: usize = 1 << 16;

/// The cells of the columns that are read, empty ones as `None`.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    texts: [Option<String>; Column::COUNT],
    labels: Vec<String>,
    negatives: Vec<String>,
    /// The image itself.
    pub(crate) contents: Option<Contents>,
}

impl Cells {
    /// Puts the text of a cell into its place. `separator` stands between the elements of a list.
    pub(crate) fn set(&mut self, column: Column, text: String, separator: char) {
        let text = Some(text).filter(|text| !text.trim().is_empty());
        match column {
            Column::Labels | Column::Negatives => {
                let elements = text.as_deref().unwrap_or_default().split(separator);
                let elements = elements.map(str::trim).filter(|own| !own.is_empty());
                self.set_list(column, elements.map(str::to_owned).collect());
            }
            column => self.texts[column as usize] = text,
        }
    }

    /// Puts the elements of a list into their place; whether the column takes a list.
    pub(crate) fn set_list(&mut self, column: Column, elements: Vec<String>) -> bool {
        match column {
            Column::Labels => self.labels = elements,
            Column::Negatives => self.negatives = elements,
            Column::Box => self.set(column, elements.join(" "), ' '),
            _ => return false,
        }
        true
    }

    /// Whether a cell has something in it.
    pub(crate) fn has(&self, column: Column) -> bool {
        self.texts[column as usize].is_some()
    }

    /// The text of a cell, which is empty then.
    pub(crate) fn take(&mut self, column: Column) -> Option<String> {
        self.texts[column as usize].take()
    }

    /// The elements of the column of negatives.
    pub(crate) fn take_negatives(&mut self) -> Vec<String> {
        std::mem::take(&mut self.negatives)
    }

    /// Refuses cells of several lines where there should be one.
    pub(crate) fn check_lines(&self, table: &Path, line: u64, schema: &Schema) -> Result<()> {
        let texts = ALL
            .into_iter()
            .filter_map(|column| Some((column, self.texts[column as usize].as_ref()?)));
        let labels = self.labels.iter().map(|label| (Column::Labels, label));
        for (column, text) in texts.chain(labels) {
            if text.contains(['\n', '\r']) && !column.takes_lines() {
                let found = format!("{:?}", shortened(text));
                let name = schema.name(column);
                return Err(DataError::table(
                    table,
                    line,
                    name,
                    "text on one line",
                    found,
                ));
            }
        }
        Ok(())
    }

    /// What the line of that number says of an image. Relative paths are below `folder`.
    pub(crate) fn entry(
        mut self,
        table: &Path,
        folder: &Path,
        line: u64,
        schema: &Schema,
        allow_unlabelled: bool,
    ) -> Result<Entry> {
        self.check_lines(table, line, schema)?;
        let fault = |column: Column, expected, found: String| {
            DataError::table(table, line, schema.name(column), expected, found)
        };
        let empty = || "nothing".to_owned();
        let quoted = |text: &str| format!("{:?}", shortened(text));
        let path = match (self.take(Column::Path), &self.contents) {
            (Some(path), _) => folder.join(path),
            (None, Some(_)) => folder.join(format!("row {line} of {}", table.display())),
            (None, None) if self.has(Column::Text) => PathBuf::new(),
            (None, None) => {
                return Err(fault(Column::Path, "the path of an image", empty()));
            }
        };
        let role = match self.take(Column::Role) {
            None => None,
            Some(name) => {
                let known = Role::NAMED.iter().find(|(_, own)| *own == name);
                let expected = "query, gallery, both, junk or nothing";
                let (role, _) =
                    known.ok_or_else(|| fault(Column::Role, expected, quoted(&name)))?;
                Some(*role)
            }
        };
        let labels = std::mem::take(&mut self.labels);
        let label = match (self.take(Column::Label), labels.first(), role) {
            (Some(label), ..) => label,
            (None, Some(first), _) => first.clone(),
            (None, None, Some(Role::Junk)) => JUNK.to_owned(),
            (None, None, _) if allow_unlabelled => String::new(),
            (None, None, _) => return Err(fault(Column::Label, "the name of a class", empty())),
        };
        let bounding_box = self.take(Column::Box).map(|text| {
            let expected = "left, top, width and height of a box with at least one pixel";
            parse_box(&text).ok_or_else(|| fault(Column::Box, expected, quoted(&text)))
        });
        Ok(Entry {
            path,
            label,
            labels,
            split: self.take(Column::Split),
            role,
            camera: self.take(Column::Camera),
            sequence: self.take(Column::Sequence),
            category: self.take(Column::Category),
            bounding_box: bounding_box.transpose()?,
            text: self.take(Column::Text),
            contents: self.contents,
        })
    }
}

/// The columns whose cells are one text.
const ALL: [Column; Column::COUNT] = [
    Column::Path,
    Column::Image,
    Column::Label,
    Column::Labels,
    Column::Split,
    Column::Role,
    Column::Camera,
    Column::Sequence,
    Column::Category,
    Column::Box,
    Column::Text,
    Column::First,
    Column::Second,
    Column::Negatives,
    Column::Same,
    Column::Score,
    Column::Fold,
];

/// Four numbers between blanks, commas or semicolons, in brackets or not.
fn parse_box(text: &str) -> Option<PixelBox> {
    let text = text.trim().trim_matches(['[', ']', '(', ')']);
    let numbers = text
        .split([',', ';', ' ', '\t'])
        .filter(|part| !part.is_empty());
    let numbers = numbers
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<f64>>>()?;
    PixelBox::from_size(<[f64; 4]>::try_from(numbers).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_four_numbers() {
        let expected = PixelBox {
            left: 1,
            top: 2,
            width: 3,
            height: 4,
        };
        for good in [
            "1 2 3 4",
            "[1, 2, 3, 4]",
            "(1.0,2.0,3.0,4.0)",
            "1;2;3;4",
            " 1\t2 3 4 ",
        ] {
            assert_eq!(parse_box(good), Some(expected), "{good}");
        }
        for bad in [
            "",
            "1 2 3",
            "1 2 3 4 5",
            "1 2 0 4",
            "a b c d",
            "1 2 nan 4",
            "1 2 3 inf",
        ] {
            assert_eq!(parse_box(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_column_is_checked_once() {
        for (i, column) in ALL.into_iter().enumerate() {
            assert_eq!(column as usize, i);
        }
    }
}
