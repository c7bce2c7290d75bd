//! Tables as they are written.

use std::path::Path;
use std::sync::Arc;

use dml_core::autograd::with_slice;
use dml_core::candle_core::{DType, Tensor};
use dml_core::durable;
use dml_eval::{Collection, Column, IdKind, IdRef, Items, KnnIndex, ValueKind};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{ExchangeError, Result, TableColumns};

/// Numbers of rows in a row group, about.
const NUMBERS: usize = 1 << 22;
/// Rows of a row group at most.
const MOST_ROWS: usize = 1 << 16;

/// What can stop writing.
enum Stopped {
    Io(std::io::Error),
    Parquet(ParquetError),
    Exchange(Box<ExchangeError>),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ParquetError> for Stopped {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl From<ExchangeError> for Stopped {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(Box::new(error))
    }
}

pub(super) fn write(path: &Path, collection: &Collection, columns: &TableColumns) -> Result<()> {
    let attributes = attributes(collection, columns)?;
    let schema = schema(collection, columns, &attributes);
    let schema = schema.map_err(|error| fault(path, &error))?;
    let level = ZstdLevel::default();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        // Hardly any number of a row is there twice.
        .set_column_dictionary_enabled(vector_path(&columns.vector), false)
        .build();
    let rows = (NUMBERS / collection.dim().unwrap_or(1).max(1)).clamp(1, MOST_ROWS);
    let written = durable::write_with(path, |out| {
        let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
        for items in collection.blocks(rows) {
            let items = items.map_err(ExchangeError::from)?;
            let mut group = writer.next_row_group()?;
            write_group(&mut group, collection, &items, &attributes)?;
            group.close()?;
        }
        writer.close()?;
        Ok(())
    });
    written.map_err(|stopped| match stopped {
        Stopped::Io(error) => ExchangeError::io(path)(error),
        Stopped::Parquet(ParquetError::External(error)) => match error.downcast() {
            Ok(error) => ExchangeError::io(path)(*error),
            Err(error) => ExchangeError::format(path, "a table that can be written", error),
        },
        Stopped::Parquet(error) => fault(path, &error),
        Stopped::Exchange(error) => *error,
    })
}

fn fault(path: &Path, error: &ParquetError) -> ExchangeError {
    ExchangeError::format(path, "a table that can be written", error)
}

fn vector_path(name: &str) -> parquet::schema::types::ColumnPath {
    let parts = [name, "list", "element"];
    parquet::schema::types::ColumnPath::new(parts.map(str::to_owned).to_vec())
}

/// The attributes that are written, in their order.
fn attributes(collection: &Collection, columns: &TableColumns) -> Result<Vec<(String, ValueKind)>> {
    let schema = collection.schema();
    let all = schema.iter().map(|own| (own.name.clone(), own.kind));
    let attributes: Vec<(String, ValueKind)> = match &columns.attributes {
        None => all.collect(),
        Some(names) => {
            let kind = |name: &String| {
                let own = schema.iter().find(|own| own.name == *name);
                own.map(|own| (name.clone(), own.kind))
                    .ok_or_else(|| ExchangeError::Unsupported {
                        what: "attributes",
                        expected: "attributes of the collection",
                        got: name.clone(),
                    })
            };
            names.iter().map(kind).collect::<Result<_>>()?
        }
    };
    let mut names: Vec<&String> = attributes.iter().map(|(name, _)| name).collect();
    names.extend([&columns.id, &columns.vector]);
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ExchangeError::Unsupported {
            what: "columns",
            expected: "columns of different names",
            got: format!("two called {}", pair[0]),
        });
    }
    Ok(attributes)
}

fn schema(
    collection: &Collection,
    columns: &TableColumns,
    attributes: &[(String, ValueKind)],
) -> std::result::Result<TypePtr, ParquetError> {
    let leaf = |name: &str, physical, logical, repetition| {
        let leaf = Type::primitive_type_builder(name, physical);
        let leaf = leaf.with_logical_type(logical).with_repetition(repetition);
        leaf.build().map(Arc::new)
    };
    let (required, optional) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let text = Some(LogicalType::String);
    let id = match collection.id_kind() {
        Some(IdKind::Text) => leaf(&columns.id, Physical::BYTE_ARRAY, text.clone(), required)?,
        _ => leaf(
            &columns.id,
            Physical::INT64,
            Some(LogicalType::integer(64, false)),
            required,
        )?,
    };
    let number = if is_double(collection.index()) {
        Physical::DOUBLE
    } else {
        Physical::FLOAT
    };
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![leaf("element", number, None, required)?]);
    let vector = Type::group_type_builder(&columns.vector)
        .with_repetition(required)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list.build()?)]);
    let mut fields = vec![id, Arc::new(vector.build()?)];
    for (name, kind) in attributes {
        fields.push(match kind {
            ValueKind::Bool => leaf(name, Physical::BOOLEAN, None, optional)?,
            ValueKind::Integer => leaf(name, Physical::INT64, None, optional)?,
            ValueKind::Float => leaf(name, Physical::DOUBLE, None, optional)?,
            ValueKind::Text => leaf(name, Physical::BYTE_ARRAY, text.clone(), optional)?,
            _ => return Err(unknown(name)),
        });
    }
    let schema = Type::group_type_builder("schema").with_fields(fields);
    schema.build().map(Arc::new)
}

fn unknown(attribute: &str) -> ParquetError {
    ParquetError::General(format!(
        "the attribute {attribute}, of another kind than truth values, numbers and texts"
    ))
}

/// Whether rows are of double precision.
fn is_double(index: &dyn KnnIndex) -> bool {
    let first = index.rows_at(&[0]);
    first.is_ok_and(|row| row.dtype() == DType::F64)
}

fn write_group<W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    collection: &Collection,
    items: &Items,
    attributes: &[(String, ValueKind)],
) -> std::result::Result<(), Stopped> {
    if collection.id_kind() == Some(IdKind::Text) {
        let texts = items.ids().iter().map(|id| match id {
            IdRef::Text(text) => ByteArray::from(text),
            IdRef::Number(number) => ByteArray::from(number.to_string().as_str()),
        });
        put::<_, ByteArrayType>(group, &texts.collect::<Vec<_>>(), None, None)?;
    } else {
        let numbers = items.ids().iter().map(|id| match id {
            IdRef::Number(number) => number.cast_signed(),
            IdRef::Text(_) => 0,
        });
        put::<_, Int64Type>(group, &numbers.collect::<Vec<_>>(), None, None)?;
    }
    put_rows(group, items.rows(), is_double(collection.index()))?;
    for (name, _) in attributes {
        let column = items.columns().iter().find(|(own, _)| own == name);
        match column.map(|(_, column)| column) {
            Some(Column::Bool(values)) => put_some::<_, BoolType, _>(group, values, |x| *x)?,
            Some(Column::Integer(values)) => put_some::<_, Int64Type, _>(group, values, |x| *x)?,
            Some(Column::Float(values)) => put_some::<_, DoubleType, _>(group, values, |x| *x)?,
            Some(Column::Text(values)) => {
                put_some::<_, ByteArrayType, _>(group, values, |x| ByteArray::from(x.as_str()))?;
            }
            Some(_) => return Err(unknown(name).into()),
            None => {}
        }
    }
    Ok(())
}

fn put_rows<W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &Tensor,
    is_double: bool,
) -> std::result::Result<(), Stopped> {
    let (count, dim) = rows
        .dims2()
        .map_err(dml_core::Error::from)
        .map_err(ExchangeError::from)?;
    let definition = vec![1i16; count * dim];
    // A list begins where the level is 0.
    let repetition: Vec<i16> = (0..count * dim)
        .map(|place| i16::from(place % dim > 0))
        .collect();
    let levels = (Some(&definition[..]), Some(&repetition[..]));
    if is_double {
        let put = |rows: &[f64]| put::<_, DoubleType>(group, rows, levels.0, levels.1);
        with_slice(rows, put).map_err(ExchangeError::from)?
    } else {
        let put = |rows: &[f32]| put::<_, FloatType>(group, rows, levels.0, levels.1);
        with_slice(rows, put).map_err(ExchangeError::from)?
    }
}

/// Writes values that may be absent.
fn put_some<W: std::io::Write + Send, T: DataType, V>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Option<V>],
    value: impl Fn(&V) -> T::T,
) -> std::result::Result<(), Stopped> {
    let definition: Vec<i16> = values.iter().map(|own| i16::from(own.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().map(value).collect();
    put::<_, T>(group, &values, Some(&definition), None)
}

fn put<W: std::io::Write + Send, T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> std::result::Result<(), Stopped> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("too many columns".to_owned()).into());
    };
    column
        .typed::<T>()
        .write_batch(values, definition, repetition)?;
    Ok(column.close()?)
}
