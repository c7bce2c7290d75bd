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
                let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
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
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
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
fn a_run_of_equal_values_in_one_list_can_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let schema = "message t {
        REQUIRED BYTE_ARRAY path (UTF8);
        OPTIONAL GROUP labels (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let file = File::create(&path).unwrap();
    let properties = Arc::new(properties.build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let count = 2_000_000;
    let mut repetition = vec![1; count];
    repetition[0] = 0;
    for (cells, definition, repetition) in
        [(1, vec![0], vec![0]), (count, vec![2; count], repetition)]
    {
        let mut open = group.next_column().unwrap().unwrap();
        let ColumnWriter::ByteArrayColumnWriter(writer) = open.untyped() else {
            panic!("a column of another type");
        };
        let cells = vec![ByteArray::from("owl"); cells];
        writer
            .write_batch(&cells, Some(&definition), Some(&repetition))
            .unwrap();
        open.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() < 1 << 16, "{}", bytes.len());
    let message = Manifest::parse("t.parquet", &bytes, 1 << 24)
        .unwrap_err()
        .to_string();
    assert!(message.contains("values, more than 1048576"), "{message}");
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
    assert!(message().starts_with("t.parquet, line 1, column 1: expected a row of a Parquet file"));
}
