//! Tables as Parquet files.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::{ColumnDescriptor, Type};

use super::parquet_pages::check_pages;
use super::{COLUMNS, Cells, LEAST_BYTES, Line, places, quiet_panic};
use crate::error::shortened;
use crate::{DataError, Result};

/// Largest footer that is read: the description of the file, of which the crate holds a multiple in memory.
const FOOTER_LIMIT: u64 = 1 << 26;

/// Hands the lines of a file over, one by one. Whatever in the file makes the parquet crate panic is an error, too.
pub(super) fn read<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    limit: u64,
    take: &mut dyn FnMut(Line) -> Result<()>,
) -> Result<()> {
    quiet_panic::catch(|| read_rows(path, file, limit, take)).unwrap_or_else(|message| {
        Err(DataError::Table {
            file: path.to_path_buf(),
            line: 1,
            column: "1".to_owned(),
            expected: "an intact Parquet file",
            found: format!("one whose reader fails: {}", shortened(&message)),
        })
    })
}

fn read_rows<R: ChunkReader + 'static>(
    path: &Path,
    file: R,
    limit: u64,
    take: &mut dyn FnMut(Line) -> Result<()>,
) -> Result<()> {
    let fault = |line: u64| {
        move |error: ParquetError| DataError::Table {
            file: path.to_path_buf(),
            line,
            column: "1".to_owned(),
            expected: "a row of a Parquet file",
            found: shortened(&error.to_string()),
        }
    };
    let file = Arc::new(file);
    check_footer(&*file).map_err(fault(1))?;
    let reader = SerializedFileReader::new(Shared(Arc::clone(&file))).map_err(fault(1))?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema();
    let names = schema.get_fields().iter().map(|field| field.name());
    places(path, names, true)?;
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
    check_codecs(path, metadata)?;
    for group in metadata.row_groups() {
        for column in group.columns() {
            if is_wanted(column.column_descr()) {
                check_pages(&*file, column, limit).map_err(fault(1))?;
            }
        }
    }
    // Columns of other names may be of any kind, so they are not even looked at.
    let wanted = schema.get_fields().iter();
    let wanted = wanted.filter(|field| COLUMNS.contains(&field.name().trim()));
    let projection = Type::group_type_builder(schema.name())
        .with_fields(wanted.map(Arc::clone).collect())
        .build()
        .map_err(fault(1))?;
    let rows = reader.get_row_iter(Some(projection)).map_err(fault(1))?;
    for (number, row) in (1..).zip(rows) {
        let row = row.map_err(fault(number))?;
        let cells = cells(&row).map_err(
            |Unfit {
                 column,
                 expected,
                 found,
             }| DataError::Table {
                file: path.to_path_buf(),
                line: number,
                column,
                expected,
                found,
            },
        )?;
        take(Line { number, cells })?;
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

/// Whether a column is one that is read, or a part of one.
fn is_wanted(column: &ColumnDescriptor) -> bool {
    let path = column.path().parts();
    path.first()
        .is_some_and(|name| COLUMNS.contains(&name.trim()))
}

/// Whether the columns that are wanted are compressed in a way that can be read: else the reader would say only that
/// something was left out of it.
fn check_codecs(path: &Path, metadata: &ParquetMetaData) -> Result<()> {
    use CompressionCodec::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    for group in metadata.row_groups() {
        for column in group.columns() {
            let codec = column.compression_codec();
            let is_read = matches!(codec, UNCOMPRESSED | SNAPPY | GZIP | LZ4 | LZ4_RAW | ZSTD);
            if is_wanted(column.column_descr()) && !is_read {
                return Err(DataError::Table {
                    file: path.to_path_buf(),
                    line: 1,
                    column: shortened(column.column_descr().name().trim()),
                    expected: "a column that is uncompressed or compressed by snappy, gzip, lz4 or zstd",
                    found: format!("one compressed by {codec:?}"),
                });
            }
        }
    }
    Ok(())
}

/// A cell that is not what its column asks for.
struct Unfit {
    column: String,
    expected: &'static str,
    found: String,
}

/// The cells of a row.
fn cells(row: &Row) -> std::result::Result<Cells, Unfit> {
    let mut cells = Cells::default();
    for (name, field) in row.get_column_iter() {
        let name = name.trim();
        let unfit = |expected, found| Unfit {
            column: name.to_owned(),
            expected,
            found,
        };
        if name == "image" {
            image(field, &mut cells).map_err(|found| {
                unfit(
                    "the bytes of an image, a path, or a group of `bytes` and `path`",
                    found,
                )
            })?;
            continue;
        }
        let text = text(field).map_err(|found| unfit("text, a whole number or nothing", found))?;
        match name {
            "path" if text.is_some() => cells.path = text,
            "label" => cells.label = text,
            "split" => cells.split = text,
            "role" => cells.role = text,
            "camera" => cells.camera = text,
            _ => {}
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
                    ("bytes", Field::Null) => {}
                    ("bytes", Field::Bytes(bytes)) => cells.contents = Some(bytes.data().to_vec()),
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
mod tests {
    use parquet::basic::{Compression, GzipLevel};
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use std::fs::File;

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
        // Nothing here can write brotli, but a footer can be made to say so: the column's name, then field 4, the codec,
        // 0 for none and 4, in zigzag 8, for brotli.
        let mut bytes = std::fs::read(&path).unwrap();
        let field = b"\x05label\x15\x00";
        let found = bytes.windows(field.len()).rposition(|own| own == field);
        bytes[found.unwrap() + field.len() - 1] = 8;
        std::fs::write(&path, bytes).unwrap();
        let message = Manifest::read(&path).unwrap_err().to_string();
        assert_eq!(
            message[message.find("t.parquet").unwrap()..],
            *"t.parquet, line 1, column label: expected a column that is uncompressed or compressed by snappy, gzip, lz4 \
              or zstd, found one compressed by BROTLI"
        );
    }

    fn input(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/inputs")
            .join(name)
    }

    #[test]
    fn zstd_and_images_in_the_table_are_read() -> Result<()> {
        let table = Manifest::read(input("zstd.parquet"))?;
        assert_eq!(table.entries().len(), 4);
        assert_eq!(table.class_names(), ["owl", "teal"]);
        let table = Manifest::read(input("hf_image.parquet"))?;
        assert_eq!(table.class_names(), ["0", "1"]);
        assert_eq!(table.entries()[0].path, input("0.png"));
        let images = table.images(crate::ImageFilesConfig::default())?;
        let examples = dml_core::Dataset::fetch(&images, &[3, 0], 0)?;
        assert_eq!(examples.views()[0].dims(), [2, 3, 64, 64]);
        assert_eq!(dml_core::Dataset::labels(&images).len(), 4);
        Ok(())
    }

    #[test]
    fn reals_that_are_whole_and_bytes_that_are_text_are_read() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let schema = "message t {
            OPTIONAL BYTE_ARRAY path;
            REQUIRED DOUBLE label;
            REQUIRED DOUBLE camera;
        }";
        let columns = [
            Column::Text(&[Some("a"), Some("b")]),
            Column::Real(&[-1.0, 12.0]),
            Column::Real(&[f64::NAN, 3.0]),
        ];
        write(&path, schema, &columns);
        let table = Manifest::read(&path)?;
        let labels: Vec<&str> = table.entries().iter().map(|own| &*own.label).collect();
        assert_eq!(labels, ["-1", "12"]);
        assert_eq!(table.entries()[0].camera, None);
        assert_eq!(table.camera_names(), ["3"]);
        Ok(())
    }

    #[test]
    fn a_cell_that_is_no_text_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let schema = "message t { OPTIONAL BYTE_ARRAY path (UTF8); OPTIONAL BYTE_ARRAY label; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer =
            SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default())
                .unwrap();
        let mut group = writer.next_row_group().unwrap();
        for cell in [ByteArray::from("a"), ByteArray::from(vec![0xff; 1_000_000])] {
            let mut open = group.next_column().unwrap().unwrap();
            let ColumnWriter::ByteArrayColumnWriter(writer) = open.untyped() else {
                panic!("a column of another type");
            };
            writer.write_batch(&[cell], Some(&[1]), None).unwrap();
            open.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
        let message = Manifest::read(&path).unwrap_err().to_string();
        assert!(
            message.ends_with("found 1000000 bytes that are no text"),
            "{}",
            message.len()
        );
    }

    /// The small files that made the parquet crate panic.
    const HOSTILE: [&str; 5] = [
        "hostile/0-107.parquet",
        "hostile/0-1091.parquet",
        "hostile/0-4.parquet",
        "hostile/1-1527.parquet",
        "hostile/2-1635.parquet",
    ];

    #[test]
    fn files_that_make_the_reader_panic_are_errors() {
        for name in HOSTILE {
            let error = Manifest::read(input(name)).unwrap_err();
            assert!(matches!(error, DataError::Table { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_small_file_can_not_fill_the_memory() {
        // 10,000,000 equal rows in 182 KB: refused by the number of rows.
        let error = Manifest::read(input("hostile/bomb.parquet")).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn damaged_files_are_read_or_refused() {
        let names = ["zstd.parquet", "hf_image.parquet"]
            .into_iter()
            .chain(HOSTILE);
        for (i, name) in names.enumerate() {
            let whole = std::fs::read(input(name)).unwrap();
            for seed in 0..400 {
                let bytes = crate::mutation::mutated(&whole, seed * 16 + i as u64);
                if let Ok(table) = Manifest::parse("t.parquet", &bytes, 1 << 24) {
                    assert!(table.entries().len() < 1 << 17);
                }
            }
        }
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
        write(&path, schema, &[paths, Column::Real(&[2.5, 1.0])]);
        assert_eq!(
            message(),
            "t.parquet, line 1, column label: expected text, a whole number or nothing, found 2.5"
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
