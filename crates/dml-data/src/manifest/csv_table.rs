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
    let fault = |error: csv::Error, last: u64| {
        let line = error.position().map_or(last, csv::Position::line);
        syntax(path, line, &error)
    };
    let names = reader.headers().map_err(|error| fault(error, 1))?;
    let places = places(path, names.iter())?;
    let mut lines = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let last = reader.position().line();
        if !reader
            .read_record(&mut record)
            .map_err(|error| fault(error, last))?
        {
            return Ok(lines);
        }
        let cell = |place: Option<usize>| {
            let text = record.get(place?)?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        lines.push(Line {
            number: record.position().map_or(last, csv::Position::line),
            cells: places.map(cell),
        });
    }
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
