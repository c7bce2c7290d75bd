//! Tables as CSV files.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::line::{Cells, Line, places};
use super::quotes::{Fault, check_quotes};
use crate::{DataError, Result};

/// Hands the lines of a file over, one by one.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    take: &mut dyn FnMut(Line) -> Result<()>,
) -> Result<()> {
    // Spreadsheets put a mark at the beginning of their UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    check_quotes(text).map_err(|Fault { at, column, found }| DataError::Table {
        file: path.to_path_buf(),
        line: 1 + newlines(&text[..at]),
        column: format!("{column}"),
        expected: "a quote that closes at the end of its cell",
        found: found.to_owned(),
    })?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let fault = |error: csv::Error| {
        let begin = error.position().map_or(0, csv::Position::byte);
        syntax(path, line_at(text, begin), &error)
    };
    let names = reader.headers().map_err(fault)?;
    let places = places(path, names.iter(), false)?;
    let mut record = StringRecord::new();
    // From places in the text to numbers of lines.
    let (mut number, mut seen) = (1, 0);
    while reader.read_record(&mut record).map_err(fault)? {
        let begin = record.position().map_or(0, csv::Position::byte);
        let begin = after_empty_lines(text, begin).max(seen);
        number += newlines(&text[seen..begin]);
        seen = begin;
        let cell = |place: Option<usize>| {
            let text = record.get(place?)?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        take(Line {
            number,
            cells: Cells {
                path: cell(places.path),
                label: cell(places.label),
                split: cell(places.split),
                role: cell(places.role),
                camera: cell(places.camera),
                contents: None,
            },
        })?;
    }
    Ok(())
}

/// Where the record that the reader says begins at `begin` really begins: it counts empty lines before it as its own.
fn after_empty_lines(text: &[u8], begin: u64) -> usize {
    let begin = (begin as usize).min(text.len());
    let empty = text[begin..]
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    begin + empty.count()
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The number of the line of the record at `begin`.
fn line_at(text: &[u8], begin: u64) -> u64 {
    1 + newlines(&text[..after_empty_lines(text, begin)])
}

/// What the reader can't make sense of.
fn syntax(path: &Path, line: u64, error: &csv::Error) -> DataError {
    let (column, expected, found) = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => (
            format!("{}", len.min(expected_len) + 1),
            "as many cells as there are columns",
            format!("{len} cells for {expected_len} columns"),
        ),
        csv::ErrorKind::Utf8 { err, .. } => (
            format!("{}", err.field() + 1),
            "text in UTF-8",
            "other bytes".to_owned(),
        ),
        _ => (
            "1".to_owned(),
            "a line of a CSV file",
            crate::error::shortened(&error.to_string()),
        ),
    };
    DataError::Table {
        file: path.to_path_buf(),
        line,
        column,
        expected,
        found,
    }
}
