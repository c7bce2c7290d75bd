//! Tables as Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::{COLUMNS, Line, places};
use crate::{DataError, Result};

/// The lines of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    let file = File::open(path).map_err(DataError::io("read", path))?;
    let fault = |line: u64| {
        move |error: ParquetError| DataError::Table {
            file: path.to_path_buf(),
            line,
            column: "1".to_owned(),
            expected: "a row of a Parquet file",
            found: error.to_string(),
        }
    };
    let reader = SerializedFileReader::new(file).map_err(fault(1))?;
    let schema = reader.metadata().file_metadata().schema();
    let names = schema.get_fields().iter().map(|field| field.name());
    places(path, names)?;
    check_codecs(path, reader.metadata())?;
    // Columns of other names may be of any kind, so they are not even looked at.
    let wanted = schema.get_fields().iter();
    let wanted = wanted.filter(|field| COLUMNS.contains(&field.name().trim()));
    let projection = Type::group_type_builder(schema.name())
        .with_fields(wanted.map(Arc::clone).collect())
        .build()
        .map_err(fault(1))?;
    let rows = reader.get_row_iter(Some(projection)).map_err(fault(1))?;
    (1..)
        .zip(rows)
        .map(|(number, row)| {
            let row = row.map_err(fault(number))?;
            let mut cells = [const { None }; 4];
            for (name, field) in row.get_column_iter() {
                let place = COLUMNS.iter().position(|column| *column == name.trim());
                if let Some(place) = place {
                    cells[place] = text(field).map_err(|found| DataError::Table {
                        file: path.to_path_buf(),
                        line: number,
                        column: name.trim().to_owned(),
                        expected: "text, a whole number or nothing",
                        found,
                    })?;
                }
            }
            Ok(Line { number, cells })
        })
        .collect()
}

/// Whether the columns that are wanted are compressed in a way that can be read: else the reader would say only that
/// something was left out of it.
fn check_codecs(path: &Path, metadata: &ParquetMetaData) -> Result<()> {
    use CompressionCodec::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED};
    for group in metadata.row_groups() {
        for column in group.columns() {
            let name = column.column_descr().name().trim();
            let codec = column.compression_codec();
            let is_read = matches!(codec, UNCOMPRESSED | SNAPPY | GZIP | LZ4 | LZ4_RAW);
            if COLUMNS.contains(&name) && !is_read {
                return Err(DataError::Table {
                    file: path.to_path_buf(),
                    line: 1,
                    column: name.to_owned(),
                    expected: "a column that is uncompressed or compressed by snappy, gzip or lz4",
                    found: format!("one compressed by {codec:?}"),
                });
            }
        }
    }
    Ok(())
}

/// A cell as text, empty ones as `None`; or what it is instead.
fn text(field: &Field) -> std::result::Result<Option<String>, String> {
    let text = match field {
        Field::Null => return Ok(None),
        Field::Str(text) => text.clone(),
        Field::Byte(x) => x.to_string(),
        Field::Short(x) => x.to_string(),
        Field::Int(x) => x.to_string(),
        Field::Long(x) => x.to_string(),
        Field::UByte(x) => x.to_string(),
        Field::UShort(x) => x.to_string(),
        Field::UInt(x) => x.to_string(),
        Field::ULong(x) => x.to_string(),
        other => return Err(other.to_string()),
    };
    let trimmed = text.trim();
    Ok((!trimmed.is_empty()).then(|| trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use parquet::basic::{Compression, GzipLevel};
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::{Manifest, Role};

    /// The values of a column; `None` where it has none.
    enum Column<'a> {
        Text(&'a [Option<&'a str>]),
        Number(&'a [i64]),
        Real(&'a [f64]),
    }

    fn write(path: &Path, schema: &str, columns: &[Column<'_>]) {
        write_compressed(path, schema, columns, Compression::UNCOMPRESSED);
    }

    fn write_compressed(path: &Path, schema: &str, columns: &[Column<'_>], by: Compression) {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(by);
        let properties = Arc::new(properties.build());
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        for column in columns {
            let mut open = group.next_column().unwrap().unwrap();
            match (open.untyped(), column) {
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Text(cells)) => {
                    let values: Vec<ByteArray> =
                        cells.iter().flatten().map(|cell| (*cell).into()).collect();
                    let levels: Vec<i16> =
                        cells.iter().map(|cell| i16::from(cell.is_some())).collect();
                    writer.write_batch(&values, Some(&levels), None).unwrap();
                }
                (ColumnWriter::Int64ColumnWriter(writer), Column::Number(values)) => {
                    writer.write_batch(values, None, None).unwrap();
                }
                (ColumnWriter::DoubleColumnWriter(writer), Column::Real(values)) => {
                    writer.write_batch(values, None, None).unwrap();
                }
                _ => panic!("a column of another type"),
            }
            open.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn a_parquet_file_is_what_the_csv_file_is() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let (table, csv) = (folder.path().join("t.parquet"), folder.path().join("t.csv"));
        let schema = "message table {
            REQUIRED DOUBLE size;
            REQUIRED INT64 label;
            OPTIONAL BYTE_ARRAY path (UTF8);
            OPTIONAL BYTE_ARRAY role (UTF8);
        }";
        let columns = [
            Column::Real(&[0.5, 1.5]),
            Column::Number(&[12, 7]),
            Column::Text(&[Some("a/b.png"), Some("c.png")]),
            Column::Text(&[Some("query"), None]),
        ];
        write(&table, schema, &columns);
        std::fs::write(&csv, "path,label,role\na/b.png,12,query\nc.png,7,\n").unwrap();
        let (table, csv) = (Manifest::read(table)?, Manifest::read(csv)?);
        assert_eq!(table.entries(), csv.entries());
        assert_eq!(table.class_names(), ["12", "7"]);
        assert_eq!(table.role(Role::Query)?.entries().len(), 1);
        Ok(())
    }

    /// A table with splits.
    const SPLITS: &str = "message t {
        OPTIONAL BYTE_ARRAY path (UTF8);
        OPTIONAL BYTE_ARRAY label (UTF8);
        OPTIONAL BYTE_ARRAY split (UTF8);
    }";

    #[test]
    fn compressed_tables_are_read() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let (table, csv) = (folder.path().join("t.parquet"), folder.path().join("t.csv"));
        let names: Vec<String> = (0..300).map(|i| format!("images/{i}.png")).collect();
        let paths: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let of = |words: [&'static str; 3]| -> Vec<Option<&str>> {
            (0..300).map(|i| Some(words[i % 3])).collect()
        };
        let (labels, splits) = (of(["owl", "teal", "owl"]), of(["train", "train", "test"]));
        let mut text = "path,label,split\n".to_owned();
        for i in 0..300 {
            let cells = [&paths, &labels, &splits].map(|column| column[i].unwrap());
            text.push_str(&format!("{}\n", cells.join(",")));
        }
        std::fs::write(&csv, text).unwrap();
        let expected = Manifest::read(csv)?;
        for codec in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
        ] {
            let columns = [&paths, &labels, &splits].map(|cells| Column::Text(cells));
            write_compressed(&table, SPLITS, &columns, codec);
            let found = Manifest::read(&table)?;
            assert_eq!(found.entries(), expected.entries(), "{codec:?}");
            assert_eq!(found.split("test")?.entries().len(), 100);
            assert_eq!(found.split("train")?.entries().len(), 200);
        }
        Ok(())
    }

    #[test]
    fn a_codec_that_is_not_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let columns = [["a", "b"], ["x", "y"], ["train", "test"]].map(|cells| cells.map(Some));
        let columns: Vec<Column<'_>> = columns.iter().map(|own| Column::Text(own)).collect();
        write(&path, SPLITS, &columns);
        // Nothing here can write zstd, but a footer can be made to say so: the column's name, then field 4, the codec,
        // 0 for none and 6, in zigzag 12, for zstd.
        let mut bytes = std::fs::read(&path).unwrap();
        let field = b"\x05label\x15\x00";
        let found = bytes.windows(field.len()).rposition(|own| own == field);
        bytes[found.unwrap() + field.len() - 1] = 12;
        std::fs::write(&path, bytes).unwrap();
        let message = Manifest::read(&path).unwrap_err().to_string();
        assert_eq!(
            message[message.find("t.parquet").unwrap()..],
            *"t.parquet, line 1, column label: expected a column that is uncompressed or compressed by snappy, gzip or \
              lz4, found one compressed by ZSTD"
        );
    }

    #[test]
    fn faults_name_row_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let message = || {
            let text = Manifest::read(&path).unwrap_err().to_string();
            text[text.find("t.parquet").unwrap()..].to_owned()
        };
        let schema = "message t { OPTIONAL BYTE_ARRAY path (UTF8); REQUIRED DOUBLE label; }";
        let paths = Column::Text(&[Some("a"), Some("b")]);
        write(&path, schema, &[paths, Column::Real(&[1.0, 2.5])]);
        assert_eq!(
            message(),
            "t.parquet, line 1, column label: expected text, a whole number or nothing, found 1.0"
        );
        let schema = "message t { OPTIONAL BYTE_ARRAY path (UTF8); REQUIRED INT64 label; }";
        let paths = Column::Text(&[Some("a"), None]);
        write(&path, schema, &[paths, Column::Number(&[1, 2])]);
        assert_eq!(
            message(),
            "t.parquet, line 2, column path: expected the path of an image, found nothing"
        );
        let schema = "message t { OPTIONAL BYTE_ARRAY path (UTF8); }";
        write(&path, schema, &[Column::Text(&[Some("a")])]);
        assert_eq!(
            message(),
            "t.parquet, line 1, column label: expected a column of that name, found the columns path"
        );
        std::fs::write(&path, "no table").unwrap();
        assert!(
            message().starts_with("t.parquet, line 1, column 1: expected a row of a Parquet file")
        );
    }
}
