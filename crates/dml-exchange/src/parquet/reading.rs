//! Tables as they are read.

use std::fs::File;
use std::path::Path;

use dml_core::candle_core::{Device, Tensor, WithDType};
use dml_data::parquet_file::{PageLimits, ParquetFile};
use dml_eval::{Column, Ids, Items};
use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::SchemaDescriptor;

use super::budget::{Budget, CountedPages};
use super::columns::{Kind, kind_of};
use super::{ExchangeError, Result, TableColumns, TableRead};

/// What pages may take. Values are counted as they are read, since a table may be larger than memory.
const LIMITS: PageLimits = PageLimits {
    bytes: 1 << 30,
    values: u64::MAX,
};
/// Numbers of rows that are handed on together, about, ...
const NUMBERS: usize = 1 << 20;
/// ... and rows at most.
const MOST_ROWS: usize = 1 << 13;
/// Coordinates of a row at most.
const MOST_DIMENSIONS: u64 = 1 << 20;

/// The columns of a table by their numbers.
struct Layout {
    id: (usize, Kind),
    /// Number, and whether its numbers are of double precision.
    vector: (usize, bool),
    attributes: Vec<(usize, String, Kind)>,
}

pub(super) fn read(
    path: &Path,
    columns: &TableColumns,
    take: &mut dyn FnMut(Items) -> Result<()>,
) -> Result<TableRead> {
    let failed = ExchangeError::io(path);
    let metadata = std::fs::metadata(path).map_err(&failed)?;
    let fault = |error: ParquetError| ExchangeError::format(path, "a Parquet table", error);
    if !metadata.is_file() {
        let found = "something that is no file";
        return Err(ExchangeError::format(path, "a Parquet table", found));
    }
    let file = ParquetFile::open(File::open(path).map_err(&failed)?).map_err(fault)?;
    let reader = file.reader();
    let schema = reader.metadata().file_metadata().schema_descr();
    let mut read = TableRead::default();
    let layout = layout(path, schema, columns, &mut read.skipped)?;
    let is_read = |name: &str| {
        let mut attributes = layout.attributes.iter();
        name == columns.id || name == columns.vector || attributes.any(|(_, own, _)| own == name)
    };
    if let Some(column) = file.unreadable(is_read) {
        let expected = "columns that are uncompressed or compressed by snappy, gzip, LZ4 or zstd";
        let found = format!(
            "{} by {:?}",
            column.column_path(),
            column.compression_codec()
        );
        return Err(ExchangeError::format(path, expected, found));
    }
    file.check_pages(is_read, LIMITS).map_err(fault)?;
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).map_err(fault)?;
        read.items += read_group(path, &*group, &layout, columns, take)?;
    }
    Ok(read)
}

/// Finds the columns.
fn layout(
    path: &Path,
    schema: &SchemaDescriptor,
    columns: &TableColumns,
    skipped: &mut Vec<(String, String)>,
) -> Result<Layout> {
    let fault = |expected, found: String| ExchangeError::format(path, expected, found);
    let (mut id, mut vector, mut attributes) = (None, None, Vec::new());
    let mut names = Vec::new();
    for (number, column) in schema.columns().iter().enumerate() {
        let name = column.path().parts().first().map_or("", String::as_str);
        if name == columns.id {
            let kind = kind_of(column).ok();
            let kind =
                kind.filter(|own| matches!(own, Kind::Int32(_) | Kind::Int64(_) | Kind::Text));
            let other = || fault("ids that are whole numbers or texts", describe(column));
            id = Some((number, kind.ok_or_else(other)?));
        } else if name == columns.vector {
            let physical = column.physical_type();
            let is_number = matches!(physical, Physical::FLOAT | Physical::DOUBLE);
            if column.max_rep_level() != 1 || !is_number || vector.is_some() {
                let expected = "rows that are lists of single or double precision";
                return Err(fault(expected, describe(column)));
            }
            vector = Some((number, physical == Physical::DOUBLE));
        } else {
            let is_wanted = match &columns.attributes {
                None => true,
                Some(names) => names.iter().any(|own| own == name),
            };
            if !is_wanted {
                continue;
            }
            match kind_of(column) {
                Ok(kind) => attributes.push((number, name.to_owned(), kind)),
                Err(found) if columns.attributes.is_some() => {
                    let expected = "an attribute of truth values, numbers or texts";
                    return Err(fault(expected, format!("{name}, {found}")));
                }
                Err(found) if names.last() != Some(&name) => {
                    skipped.push((name.to_owned(), found));
                }
                Err(_) => {}
            }
        }
        names.push(name);
    }
    let missing = |name: &String| fault("a column of that name", format!("no column {name}"));
    let wanted = columns.attributes.iter().flatten();
    for name in wanted {
        if !attributes.iter().any(|(_, own, _)| own == name) {
            return Err(missing(name));
        }
    }
    Ok(Layout {
        id: id.ok_or_else(|| missing(&columns.id))?,
        vector: vector.ok_or_else(|| missing(&columns.vector))?,
        attributes,
    })
}

fn describe(column: &parquet::schema::types::ColumnDescriptor) -> String {
    let kind = kind_of(column).map(|kind| format!("a column of {kind:?}"));
    format!("{}, {}", column.path(), kind.unwrap_or_else(|found| found))
}

/// Reads a row group; returns how many items it has.
fn read_group(
    path: &Path,
    group: &dyn RowGroupReader,
    layout: &Layout,
    columns: &TableColumns,
    take: &mut dyn FnMut(Items) -> Result<()>,
) -> Result<usize> {
    let fault =
        |expected: &'static str, found: String| ExchangeError::format(path, expected, found);
    let metadata = group.metadata();
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    if rows == 0 {
        return Ok(0);
    }
    let values = metadata.column(layout.vector.0).num_values();
    let dim = u64::try_from(values).unwrap_or(0) / rows;
    if dim == 0 || dim > MOST_DIMENSIONS || dim.checked_mul(rows) != u64::try_from(values).ok() {
        let found = format!("{values} numbers in {rows} rows");
        return Err(fault(
            "rows of one length, at least 1 and at most 1048576",
            found,
        ));
    }
    let dim = dim as usize;
    let budget = Budget::default();
    let open = |number: usize| -> Result<ColumnReader> {
        let chunk = metadata.column(number);
        let pages = group.get_column_page_reader(number);
        let pages = pages.map_err(|error| fault("a column", error.to_string()))?;
        let pages = CountedPages {
            pages,
            budget: budget.clone(),
        };
        Ok(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)))
    };
    let mut ids = open(layout.id.0)?;
    let mut vectors = open(layout.vector.0)?;
    let attributes = layout.attributes.iter();
    let attributes = attributes.map(|(number, _, _)| open(*number));
    let mut attributes = attributes.collect::<Result<Vec<ColumnReader>>>()?;
    let block = (NUMBERS / dim).clamp(1, MOST_ROWS);
    let mut done = 0;
    loop {
        let scope = Scope {
            path,
            budget: &budget,
            rows: block,
        };
        let (count, numbers) = scope.vectors(&mut vectors, dim, layout.vector.1)?;
        let scope = Scope {
            rows: count.max(1),
            ..scope
        };
        let own = scope.ids(&mut ids, layout.id.1, &columns.id)?;
        if own.len() != count {
            let found = format!("{} ids and {count} rows", own.len());
            return Err(fault("as many ids as rows", found));
        }
        if count == 0 {
            break;
        }
        let mut items = Items::new(own, &numbers)?;
        for ((_, name, kind), reader) in layout.attributes.iter().zip(&mut attributes) {
            items = items.with_column(name, scope.column(reader, *kind, name)?)?;
        }
        take(items)?;
        done += count;
    }
    if done as u64 != rows {
        return Err(fault(
            "as many rows as the group says",
            format!("{done} of {rows}"),
        ));
    }
    Ok(done)
}

/// A block of rows that is read from every column.
#[derive(Clone, Copy)]
struct Scope<'a> {
    path: &'a Path,
    budget: &'a Budget,
    rows: usize,
}

impl Scope<'_> {
    fn fault(&self, expected: &'static str, found: impl ToString) -> ExchangeError {
        ExchangeError::format(self.path, expected, found)
    }

    /// The next rows.
    fn vectors(
        &self,
        reader: &mut ColumnReader,
        dim: usize,
        is_double: bool,
    ) -> Result<(usize, Tensor)> {
        match reader {
            ColumnReader::DoubleColumnReader(reader) if is_double => self.rows_of(reader, dim),
            ColumnReader::FloatColumnReader(reader) => self.rows_of(reader, dim),
            _ => Err(self.fault("rows of one type", "another one")),
        }
    }

    fn rows_of<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        dim: usize,
    ) -> Result<(usize, Tensor)>
    where
        T::T: WithDType,
    {
        let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
        self.budget.set((self.rows * dim) as u64);
        let read = reader.read_records(
            self.rows,
            Some(&mut definition),
            Some(&mut repetition),
            &mut values,
        );
        let (count, present, levels) =
            read.map_err(|error| self.fault("a column of rows", error))?;
        let is_whole = |(row, place): (usize, usize)| {
            // A list begins where the level is 0, and only there.
            (repetition.get(row * dim + place) == Some(&0)) == (place == 0)
        };
        let mut places = (0..count).flat_map(|row| (0..dim).map(move |place| (row, place)));
        if present != levels || levels != count * dim || !places.all(is_whole) {
            let expected = "rows of one length in which no number is absent";
            let found = format!("{present} numbers in {count} rows of {dim}");
            return Err(self.fault(expected, found));
        }
        let rows = Tensor::from_vec(values, (count, dim), &Device::Cpu);
        Ok((count, rows.map_err(dml_core::Error::from)?))
    }

    /// The next values of a column, with those that are absent.
    fn values<T: DataType, V>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        name: &str,
        value: impl Fn(T::T) -> Option<V>,
    ) -> Result<Vec<Option<V>>> {
        let (mut definition, mut values) = (Vec::new(), Vec::new());
        self.budget.set(self.rows as u64);
        let read = reader.read_records(self.rows, Some(&mut definition), None, &mut values);
        let (count, present, _) = read.map_err(|error| self.fault("a column of values", error))?;
        let short = || self.fault("as many values as rows", format!("fewer in {name}"));
        let mut values = values.into_iter();
        if present == count {
            // A column without absent values may have no levels.
            return Ok(values.map(value).collect());
        }
        if definition.len() != count {
            return Err(short());
        }
        let next = |level: &i16| {
            if *level == 0 {
                return Ok(None);
            }
            values.next().map(&value).ok_or_else(short)
        };
        definition.iter().map(next).collect()
    }

    fn ids(&self, reader: &mut ColumnReader, kind: Kind, name: &str) -> Result<Ids> {
        let absent = || self.fault("an id in every row", "none");
        match (kind, reader) {
            (Kind::Text, ColumnReader::ByteArrayColumnReader(reader)) => {
                let texts = self.values(reader, name, |text| Some(text_of(&text)))?;
                let texts = texts.into_iter().map(|text| {
                    let text = text.ok_or_else(absent)?;
                    text.ok_or_else(|| self.fault("ids of text", "bytes that are no UTF-8"))
                });
                Ok(Ids::from(texts.collect::<Result<Vec<String>>>()?))
            }
            (kind, reader) => {
                let numbers = self.integers(reader, kind, name)?.into_iter();
                let numbers = numbers.map(|number| {
                    let number = number.ok_or_else(absent)?;
                    u64::try_from(number).map_err(|_| self.fault("ids of at least 0", number))
                });
                Ok(Ids::from(numbers.collect::<Result<Vec<u64>>>()?))
            }
        }
    }

    fn integers(
        &self,
        reader: &mut ColumnReader,
        kind: Kind,
        name: &str,
    ) -> Result<Vec<Option<i128>>> {
        match (kind, reader) {
            (Kind::Int32(is_signed), ColumnReader::Int32ColumnReader(reader)) => {
                self.values(reader, name, |x: i32| {
                    Some(if is_signed {
                        x.into()
                    } else {
                        x.cast_unsigned().into()
                    })
                })
            }
            (Kind::Int64(is_signed), ColumnReader::Int64ColumnReader(reader)) => {
                self.values(reader, name, |x: i64| {
                    Some(if is_signed {
                        x.into()
                    } else {
                        x.cast_unsigned().into()
                    })
                })
            }
            _ => Err(self.fault("values of one type", "another one")),
        }
    }

    fn column(&self, reader: &mut ColumnReader, kind: Kind, name: &str) -> Result<Column> {
        // Programs without numbers that may be absent write NaN.
        let number = |x: f64| (!x.is_nan()).then_some(x);
        Ok(match (kind, reader) {
            (Kind::Bool, ColumnReader::BoolColumnReader(reader)) => {
                Column::Bool(self.values(reader, name, Some)?)
            }
            (Kind::Float, ColumnReader::FloatColumnReader(reader)) => {
                Column::Float(self.values(reader, name, |x| number(f64::from(x)))?)
            }
            (Kind::Double, ColumnReader::DoubleColumnReader(reader)) => {
                Column::Float(self.values(reader, name, number)?)
            }
            (Kind::Text, ColumnReader::ByteArrayColumnReader(reader)) => {
                let texts = self.values(reader, name, |text| Some(text_of(&text)))?;
                let texts = texts.into_iter().map(|text| match text {
                    None => Ok(None),
                    Some(Some(text)) => Ok(Some(text)),
                    Some(None) => {
                        let found = format!("{name}, whose bytes are no UTF-8");
                        Err(self.fault("an attribute of truth values, numbers or texts", found))
                    }
                });
                Column::Text(texts.collect::<Result<_>>()?)
            }
            (kind, reader) => {
                let numbers = self.integers(reader, kind, name)?.into_iter();
                let numbers = numbers.map(|number| {
                    let number = number.map(i64::try_from).transpose();
                    let expected = "whole numbers up to 2^63 - 1";
                    number.map_err(|_| self.fault(expected, format!("a larger one in {name}")))
                });
                Column::Integer(numbers.collect::<Result<_>>()?)
            }
        })
    }
}

fn text_of(bytes: &ByteArray) -> Option<String> {
    bytes.as_utf8().ok().map(str::to_owned)
}
