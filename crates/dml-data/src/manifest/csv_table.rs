//! Tables as CSV and TSV files.

use std::path::Path;

use csv::{Position, ReaderBuilder, StringRecord, Trim};

use super::cells::Cells;
use super::quotes::{Fault, check_quotes};
use super::schema::Sink;
use crate::{DataError, Result};

/// Hands the lines of a file over, one by one, each with its number. Cells end at `delimiter`.
pub(super) fn read(path: &Path, bytes: &[u8], delimiter: u8, lines: &mut dyn Sink) -> Result<()> {
    // Spreadsheets put a mark at the beginning of their UTF-8.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    check_quotes(text, delimiter).map_err(|Fault { at, column, found }| {
        let (line, column) = (1 + newlines(&text[..at]), column.to_string());
        let expected = "a quote that closes at the end of its cell";
        DataError::table(path, line, column, expected, found)
    })?;
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(Trim::All)
        .from_reader(text);
    let fault = |error: csv::Error| syntax(path, line_of(text, error.position()), &error);
    let names = reader.headers().map_err(fault)?.clone();
    lines.header(&names.iter().collect::<Vec<_>>(), false)?;
    let schema = lines.schema();
    let columns: Vec<_> = names.iter().map(|name| schema.column(name)).collect();
    let separator = lines.separator();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(fault)? {
        let mut cells = Cells::default();
        for (column, text) in columns.iter().zip(&record) {
            if let Some(column) = *column {
                cells.set(column, text.to_owned(), separator);
            }
        }
        lines.take(line_of(text, record.position()), cells)?;
    }
    Ok(())
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The number of the line of a record. The reader counts empty lines before it as its own.
fn line_of(text: &[u8], position: Option<&Position>) -> u64 {
    let (begin, line) = position.map_or((0, 1), |own| (own.byte() as usize, own.line()));
    let rest = text.get(begin..).unwrap_or_default();
    let is_text = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let empty = rest.iter().position(is_text).unwrap_or(rest.len());
    line + newlines(&rest[..empty])
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
    DataError::table(path, line, column, expected, found)
}
