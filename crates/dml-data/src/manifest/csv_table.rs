//! Tables as CSV files.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Line, places};
use crate::{DataError, Result};

/// The lines of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    let bytes = std::fs::read(path).map_err(DataError::io("read", path))?;
    // Spreadsheets put a mark at the beginning of their UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text);
    let fault = |error: csv::Error| {
        let begin = error.position().map_or(0, csv::Position::byte);
        syntax(path, line_at(text, begin), &error)
    };
    let names = reader.headers().map_err(fault)?;
    let places = places(path, names.iter())?;
    let mut lines = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(fault)? {
        let cell = |place: Option<usize>| {
            let text = record.get(place?)?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        lines.push(Line {
            number: record.position().map_or(0, csv::Position::byte),
            cells: places.map(cell),
        });
    }
    // From places in the text to numbers of lines, in one pass.
    let (mut number, mut seen) = (1, 0);
    for line in &mut lines {
        let begin = after_empty_lines(text, line.number);
        number += newlines(&text[seen..begin]);
        seen = begin;
        line.number = number;
    }
    Ok(lines)
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
        _ => ("1".to_owned(), "a line of a CSV file", error.to_string()),
    };
    DataError::Table {
        file: path.to_path_buf(),
        line,
        column,
        expected,
        found,
    }
}
