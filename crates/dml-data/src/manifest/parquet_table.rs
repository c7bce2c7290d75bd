//! Tables as Parquet files.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::cells::{COLUMNS, Cells, IMAGE, check_columns};
use super::entry::LEAST_BYTES;
use super::parquet_pages::check_pages;
use super::quiet_panic;
use crate::error::shortened;
use crate::{DataError, Result};

/// Largest footer that is read: the description of the file, of which the crate holds a multiple in memory.
const FOOTER_LIMIT: u64 = 1 << 26;

/// Hands the lines of a file over, one by one. Whatever in the file makes the parquet crate panic is an error, too.
pub(super) fn read<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    limit: u64,
    take: &mut dyn FnMut(u64, Cells) -> Result<()>,
) -> Result<()> {
    quiet_panic::catch(|| read_rows(path, file, limit, take)).unwrap_or_else(|message| {
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

fn read_rows<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    limit: u64,
    take: &mut dyn FnMut(u64, Cells) -> Result<()>,
) -> Result<()> {
    let fault = |line: u64| {
        move |error: ParquetError| {
            let found = shortened(&error.to_string());
            DataError::table(path, line, "1", "a row of a Parquet file", found)
        }
    };
    let file = Arc::new(file);
    check_footer(&*file).map_err(fault(1))?;
    let reader = SerializedFileReader::new(Shared(Arc::clone(&file))).map_err(fault(1))?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema();
    let names = schema.get_fields().iter().map(|field| field.name());
    check_columns(path, names, true)?;
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
    let groups = metadata.row_groups().iter();
    let columns = groups.flat_map(parquet::file::metadata::RowGroupMetaData::columns);
    let columns = columns.filter(|own| own.column_path().parts().first().is_some_and(is_read));
    for column in columns.clone() {
        check_codec(path, column)?;
    }
    for column in columns {
        check_pages(&*file, column, limit).map_err(fault(1))?;
    }
    // Columns of other names may be of any kind, so they are not even looked at.
    let wanted = schema.get_fields().iter();
    let wanted = wanted.filter(|field| is_read(field.name()));
    let projection = Type::group_type_builder(schema.name())
        .with_fields(wanted.map(Arc::clone).collect())
        .build()
        .map_err(fault(1))?;
    let rows = reader.get_row_iter(Some(projection)).map_err(fault(1))?;
    for (number, row) in (1..).zip(rows) {
        let row = row.map_err(fault(number))?;
        take(number, cells(path, number, &row)?)?;
    }
    Ok(())
}

/// A file that is read and checked at once.
struct Shared<R>(Arc<R>);

impl<R: ChunkReader> parquet::file::reader::Length for Shared<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Shared<R> {
    type T = R::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        // The crate reserves the length before it reads.
        if start
            .checked_add(length as u64)
            .is_none_or(|end| end > self.0.len())
        {
            let text = format!("{length} bytes from byte {start} on, behind the end of the file");
            return Err(ParquetError::General(text));
        }
        self.0.get_bytes(start, length)
    }
}

/// The length of the footer stands before the last four bytes.
fn check_footer<R: ChunkReader>(file: &R) -> parquet::errors::Result<()> {
    let Some(start) = file.len().checked_sub(8) else {
        return Ok(()); // the crate says what is wrong
    };
    let tail = file.get_bytes(start, 8)?;
    let length = tail.first_chunk().map_or(0, |own| u32::from_le_bytes(*own));
    if u64::from(length) > FOOTER_LIMIT {
        let text = format!("a footer of {length} bytes, more than {FOOTER_LIMIT}");
        return Err(ParquetError::General(text));
    }
    Ok(())
}

fn is_read(column: impl AsRef<str>) -> bool {
    let column = column.as_ref().trim();
    column == IMAGE || COLUMNS.contains(&column)
}

/// Whether a column is compressed in a way that can be read: else the reader would say only that something was left out
/// of it.
fn check_codec(path: &Path, column: &ColumnChunkMetaData) -> Result<()> {
    use CompressionCodec::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    let codec = column.compression_codec();
    if matches!(codec, UNCOMPRESSED | SNAPPY | GZIP | LZ4 | LZ4_RAW | ZSTD) {
        return Ok(());
    }
    let name = shortened(column.column_descr().name().trim());
    let expected = "a column that is uncompressed or compressed by snappy, gzip, lz4 or zstd";
    let found = format!("one compressed by {codec:?}");
    Err(DataError::table(path, 1, name, expected, found))
}

/// The cells of the row of that number.
fn cells(path: &Path, number: u64, row: &Row) -> Result<Cells> {
    let mut cells = Cells::default();
    for (name, field) in row.get_column_iter() {
        let name = name.trim();
        let fault =
            |expected| move |found: String| DataError::table(path, number, name, expected, found);
        if name == IMAGE {
            let expected = "the bytes of an image, a path, or a group of `bytes` and `path`";
            image(field, &mut cells).map_err(fault(expected))?;
        } else if let Some(cell) = cells.text_mut(name) {
            let text = text(field).map_err(fault("text, a whole number or nothing"))?;
            // The path may be known from the image.
            *cell = text.or(cell.take());
        }
    }
    Ok(cells)
}

/// Puts an image into `cells`: its bytes, its path, or both, as Hugging Face's data sets have them.
fn image(field: &Field, cells: &mut Cells) -> std::result::Result<(), String> {
    match field {
        Field::Null => {}
        Field::Bytes(bytes) => cells.contents = Some(bytes.data().to_vec()),
        Field::Group(row) => {
            for (name, part) in row.get_column_iter() {
                match (name.trim(), part) {
                    ("bytes", Field::Null | Field::Bytes(_)) => image(part, cells)?,
                    ("path", part) => {
                        // A column `path` of the table itself counts more.
                        let text = text(part)?;
                        cells.path = cells.path.take().or(text);
                    }
                    ("bytes", other) => return Err(kind(other)),
                    _ => {}
                }
            }
        }
        other => {
            let text = text(other)?;
            cells.path = cells.path.take().or(text);
        }
    }
    Ok(())
}

/// A cell as text, empty ones as `None`; or what it is instead.
fn text(field: &Field) -> std::result::Result<Option<String>, String> {
    let text = match field {
        Field::Null => return Ok(None),
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(kind(field)),
        },
        Field::Byte(x) => x.to_string(),
        Field::Short(x) => x.to_string(),
        Field::Int(x) => x.to_string(),
        Field::Long(x) => x.to_string(),
        Field::UByte(x) => x.to_string(),
        Field::UShort(x) => x.to_string(),
        Field::UInt(x) => x.to_string(),
        Field::ULong(x) => x.to_string(),
        Field::Float(x) => return real(f64::from(*x), field),
        Field::Double(x) => return real(*x, field),
        other => return Err(kind(other)),
    };
    let trimmed = text.trim();
    Ok((!trimmed.is_empty()).then(|| trimmed.to_owned()))
}

/// Whole numbers up to this size are exact among numbers of 64 bits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A real number as a whole one. Programs without whole numbers that may be missing write a column of reals as soon as
/// one cell is empty, and NaN into that cell.
fn real(x: f64, field: &Field) -> std::result::Result<Option<String>, String> {
    if x.is_nan() {
        Ok(None)
    } else if x.fract() == 0.0 && x.abs() <= EXACT {
        Ok(Some(format!("{}", x as i64)))
    } else {
        Err(kind(field))
    }
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
