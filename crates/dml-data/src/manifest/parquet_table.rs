//! Tables as Parquet files.

use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::cells::{Cells, MOST_ELEMENTS};
use super::class_label::ClassLabel;
use super::entry::LEAST_BYTES;
use super::numbers::real;
use super::schema::{Column, Schema, Sink};
use crate::error::shortened;
use crate::parquet_file::{self, PageLimits, ParquetFile};
use crate::{Contents, DataError, Result};

/// Bytes that a value takes while it is read.
const VALUE: u64 = 16;

/// Hands the lines of a file over, one by one. Whatever in the file makes the parquet crate panic is an error, too.
pub(super) fn read<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    lines: &mut dyn Sink,
) -> Result<()> {
    parquet_file::catch(|| read_rows(path, file, lines)).unwrap_or_else(|message| {
        let found = format!("one whose reader fails: {}", shortened(&message));
        Err(DataError::table(
            path,
            1,
            "1",
            "an intact Parquet file",
            found,
        ))
    })
}

fn read_rows<R: ChunkReader + 'static>(path: &Path, file: R, lines: &mut dyn Sink) -> Result<()> {
    let limit = lines.memory_limit();
    let fault = |line: u64| {
        move |error: ParquetError| {
            let found = shortened(&error.to_string());
            DataError::table(path, line, "1", "a row of a Parquet file", found)
        }
    };
    let file = ParquetFile::open(file).map_err(fault(1))?;
    let reader = file.reader();
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema();
    let names = schema.get_fields().iter().map(|field| field.name());
    lines.header(&names.collect::<Vec<_>>(), true)?;
    let columns = lines.schema().clone();
    // Each row takes so much at least, so that a file that says it has too many is refused at once.
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(u64::MAX);
    let groups = metadata.row_groups().iter();
    let groups = groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    let rows = groups.fold(0, u64::saturating_add).max(rows);
    if rows.saturating_mul(LEAST_BYTES) > limit {
        return Err(DataError::TooLarge {
            file: path.to_path_buf(),
            limit,
            found: rows.saturating_mul(LEAST_BYTES),
        });
    }
    let is_read = |name: &str| columns.column(name).is_some();
    if let Some(column) = file.unreadable(is_read) {
        let name = shortened(column.column_descr().name().trim());
        let expected = "a column that is uncompressed or compressed by snappy, gzip, lz4 or zstd";
        let found = format!("one compressed by {:?}", column.compression_codec());
        return Err(DataError::table(path, 1, name, expected, found));
    }
    let limits = PageLimits {
        bytes: limit,
        values: limit / VALUE,
    };
    file.check_pages(is_read, limits).map_err(fault(1))?;
    // Columns of other names may be of any kind, so they are not even looked at.
    let wanted = schema.get_fields().iter();
    let wanted = wanted.filter(|field| columns.column(field.name()).is_some());
    let projection = Type::group_type_builder(schema.name())
        .with_fields(wanted.map(Arc::clone).collect())
        .build()
        .map_err(fault(1))?;
    let metadata = metadata.file_metadata().key_value_metadata();
    let names_of = |column| ClassLabel::find(metadata, columns.name(column));
    let form = Form {
        path,
        columns: &columns,
        separator: lines.separator(),
        label: names_of(Column::Label),
        labels: names_of(Column::Labels),
        category: names_of(Column::Category),
    };
    let named = form.label.as_ref().map(|own| (own, Column::Label));
    if let Some((names, column)) = named.or(form.labels.as_ref().map(|own| (own, Column::Labels))) {
        lines.class_names(names.names(path, columns.name(column))?);
    }
    let rows = reader.get_row_iter(Some(projection)).map_err(fault(1))?;
    for (number, row) in (1..).zip(rows) {
        let row = row.map_err(fault(number))?;
        lines.take(number, form.cells(number, &row)?)?;
    }
    Ok(())
}

/// What the columns of a file mean.
struct Form<'a> {
    path: &'a Path,
    columns: &'a Schema,
    separator: char,
    label: Option<ClassLabel>,
    labels: Option<ClassLabel>,
    category: Option<ClassLabel>,
}

impl Form<'_> {
    /// The cells of the row of that number.
    fn cells(&self, number: u64, row: &Row) -> Result<Cells> {
        let mut cells = Cells::default();
        for (name, field) in row.get_column_iter() {
            let Some(column) = self.columns.column(name) else {
                continue;
            };
            let fault = |expected| {
                move |found| DataError::table(self.path, number, name.trim(), expected, found)
            };
            if column == Column::Image {
                let expected = "the bytes of an image, a path, or a group of `bytes` and `path`";
                image(field, &mut cells).map_err(fault(expected))?;
            } else {
                let expected = match (column.takes_lists(), column.takes_fractions()) {
                    (true, _) => "text, a whole number, a list or nothing",
                    (false, true) => "text, a number or nothing",
                    (false, false) => "text, a whole number or nothing",
                };
                self.cell(column, field, &mut cells)
                    .map_err(fault(expected))?;
            }
        }
        Ok(cells)
    }

    fn cell(
        &self,
        column: Column,
        field: &Field,
        cells: &mut Cells,
    ) -> std::result::Result<(), String> {
        let names = match column {
            Column::Label => self.label.as_ref(),
            Column::Labels => self.labels.as_ref(),
            Column::Category => self.category.as_ref(),
            _ => None,
        };
        let named = |text: String| names.map_or(Ok(text.clone()), |names| names.name(text));
        match field {
            Field::ListInternal(list) if list.len() <= MOST_ELEMENTS => {
                let elements = list.elements().iter().map(|element| {
                    let text = text(element, column)?;
                    named(text.ok_or("nothing in a list")?)
                });
                let elements = elements.collect::<std::result::Result<Vec<_>, String>>()?;
                if cells.set_list(column, elements) {
                    Ok(())
                } else {
                    Err(kind(field))
                }
            }
            field => {
                if let Some(text) = text(field, column)? {
                    cells.set(column, named(text)?, self.separator);
                }
                Ok(())
            }
        }
    }
}

/// Puts an image into `cells`: its bytes, its path, or both, as Hugging Face's data sets have them. A column `path` of the
/// table itself counts more.
fn image(field: &Field, cells: &mut Cells) -> std::result::Result<(), String> {
    match field {
        Field::Null => {}
        Field::Bytes(bytes) => cells.contents = Some(Contents::Bytes(bytes.data().into())),
        Field::Group(row) => {
            for (name, part) in row.get_column_iter() {
                match (name.trim(), part) {
                    ("bytes", Field::Null | Field::Bytes(_)) => image(part, cells)?,
                    ("path", part) => path(part, cells)?,
                    ("bytes", other) => return Err(kind(other)),
                    _ => {}
                }
            }
        }
        other => path(other, cells)?,
    }
    Ok(())
}

fn path(field: &Field, cells: &mut Cells) -> std::result::Result<(), String> {
    match text(field, Column::Path)? {
        Some(path) if !cells.has(Column::Path) => cells.set(Column::Path, path, '\0'),
        _ => {}
    }
    Ok(())
}

/// A cell as text, empty ones as `None`; or what it is instead.
fn text(field: &Field, column: Column) -> std::result::Result<Option<String>, String> {
    let of_real = |x: f64| real(x, column).ok_or_else(|| kind(field));
    let text = match field {
        Field::Null => return Ok(None),
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(kind(field)),
        },
        Field::Bool(x) => x.to_string(),
        Field::Byte(x) => x.to_string(),
        Field::Short(x) => x.to_string(),
        Field::Int(x) => x.to_string(),
        Field::Long(x) => x.to_string(),
        Field::UByte(x) => x.to_string(),
        Field::UShort(x) => x.to_string(),
        Field::UInt(x) => x.to_string(),
        Field::ULong(x) => x.to_string(),
        Field::Float16(x) => of_real(f64::from(f32::from(*x)))?,
        Field::Float(x) => of_real(f64::from(*x))?,
        Field::Double(x) => of_real(*x)?,
        other => return Err(kind(other)),
    };
    let trimmed = text.trim();
    Ok((!trimmed.is_empty()).then(|| trimmed.to_owned()))
}

/// What a cell is, for a message; the value only of one that is short.
fn kind(field: &Field) -> String {
    match field {
        Field::Bytes(bytes) => format!("{} bytes that are no text", bytes.len()),
        Field::Group(row) => format!("a group of {} cells", row.len()),
        Field::ListInternal(list) => format!("a list of {} cells", list.len()),
        Field::MapInternal(map) => format!("a map of {} cells", map.len()),
        other => shortened(&other.to_string()),
    }
}

#[cfg(test)]
mod tests;
