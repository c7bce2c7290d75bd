//! Tables that pandas, pyarrow and Hugging Face's datasets wrote, by `crates/dml-testing/generate/inputs/tables.py`.

use super::*;
use crate::PixelBox;

fn table(name: &str) -> PathBuf {
    input("tables").join(name)
}

fn expected() -> Vec<Entry> {
    let own = |text: &str| Some(text.to_owned());
    let bounding_box = |left, top, width, height| {
        Some(PixelBox {
            left,
            top,
            width,
            height,
        })
    };
    let rows = [
        (
            "owl",
            "owl night",
            None,
            "1",
            "a",
            "raptor",
            bounding_box(1, 2, 3, 4),
            "an owl",
        ),
        (
            "teal",
            "teal",
            None,
            "2",
            "a",
            "duck",
            None,
            "a \"teal\", swimming",
        ),
        (
            "owl",
            "owl night",
            None,
            "",
            "b",
            "raptor",
            bounding_box(0, 0, 8, 8),
            "two\nlines",
        ),
        (
            "wren",
            "wren small",
            Some(Role::Query),
            "1",
            "b",
            "song",
            None,
            "ein Zaunkönig",
        ),
        (
            "teal",
            "teal",
            Some(Role::Gallery),
            "2",
            "c",
            "duck",
            bounding_box(0, 0, 2, 2),
            "x",
        ),
        (
            "owl",
            "owl",
            Some(Role::Both),
            "3",
            "c",
            "raptor",
            None,
            "y",
        ),
    ];
    let rows = rows.into_iter().enumerate();
    let rows = rows.map(
        |(i, (label, labels, role, camera, sequence, category, part, text))| Entry {
            labels: labels.split(' ').map(str::to_owned).collect(),
            split: own(if i < 3 { "train" } else { "test" }),
            role,
            camera: own(camera).filter(|camera| !camera.is_empty()),
            sequence: own(sequence),
            category: own(category),
            bounding_box: part,
            text: own(text),
            ..Entry::new(table(&format!("images/{i}.png")), label)
        },
    );
    rows.collect()
}

#[test]
fn every_format_of_pandas_is_the_same_table() -> Result<()> {
    let mut names = vec!["pandas.csv", "pandas.tsv", "pandas.jsonl"];
    if cfg!(feature = "parquet") {
        names.extend([
            "pandas_none.parquet",
            "pandas_snappy.parquet",
            "pandas_zstd.parquet",
            "pandas_lz4.parquet",
            "pandas_gzip.parquet",
        ]);
    }
    for name in names {
        let read = Manifest::read(table(name))?;
        assert_eq!(read.entries(), expected(), "{name}");
        assert_eq!(
            read.class_names(),
            ["night", "owl", "small", "teal", "wren"]
        );
        assert_eq!(read.labels(), [1, 3, 1, 4, 3, 1]);
        assert_eq!(read.label_sets()[3], [2, 4]);
    }
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn every_kind_of_string_and_list_of_pyarrow_is_read() -> Result<()> {
    for name in ["string", "large", "dictionary", "view"] {
        let read = Manifest::read(table(&format!("pyarrow_{name}.parquet")))?;
        for (own, expected) in read.entries().iter().zip(expected()) {
            assert_eq!(
                (&own.path, &own.label),
                (&expected.path, &expected.label),
                "{name}"
            );
            assert_eq!(
                (&own.labels, &own.split),
                (&expected.labels, &expected.split)
            );
            assert_eq!(own.bounding_box, expected.bounding_box);
        }
        assert_eq!(read.entries().len(), 6);
    }
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn labels_of_every_type_of_number_are_read() -> Result<()> {
    let types = [
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "halffloat",
        "float",
        "double",
    ];
    for name in types {
        let read = Manifest::read(table(&format!("label_{name}.parquet")))?;
        let labels: Vec<&str> = read.entries().iter().map(|own| &*own.label).collect();
        assert_eq!(labels, ["7", "12", "100"], "{name}");
    }
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn pages_of_the_second_version_are_read_and_other_codings_are_named() -> Result<()> {
    let read = Manifest::read(table("pages_v2.parquet"))?;
    assert_eq!(read.labels(), [0, 1, 0, 2, 1, 0]);
    let text = Manifest::read(table("delta.parquet"))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("a page that is in neither plain nor dictionary encoding"),
        "{text}"
    );
    let text = Manifest::read(table("brotli.parquet"))
        .unwrap_err()
        .to_string();
    assert!(text.contains("found one compressed by BROTLI"), "{text}");
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn classes_have_the_names_that_hugging_face_gives_them() -> Result<()> {
    use crate::ImageSource;
    let read = Manifest::read(table("hugging_face.parquet"))?;
    assert_eq!(read.class_names(), ["teal", "owl", "wren"]);
    assert_eq!(read.labels(), [1, 0, 1, 2, 0, 1]);
    assert_eq!(read.entries()[0].labels, ["owl"]);
    assert_eq!(read.entries()[3].text.as_deref(), Some("ein Zaunkönig"));
    let config = ImageFilesConfig {
        size: [1, 1],
        ..ImageFilesConfig::default()
    };
    let image = read.images(config)?.image(3)?;
    assert_eq!(image.values(), [120.0, 90.0, 20.0].map(|x| x / 255.0));
    let columns = ManifestColumns {
        image: "img".to_owned(),
        label: "fine_label".to_owned(),
        ..ManifestColumns::default()
    };
    let config = ManifestConfig {
        columns,
        ..ManifestConfig::default()
    };
    let read = Manifest::read_with(table("hugging_face_img.parquet"), &config)?;
    assert_eq!(read.class_names(), ["0", "1", "3"]);
    assert!(read.entries().iter().all(|own| own.contents.is_some()));
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn damaged_tables_of_other_writers_are_read_or_refused() {
    let names = [
        "hugging_face.parquet",
        "pandas_lz4.parquet",
        "pyarrow_dictionary.parquet",
        "pages_v2.parquet",
    ];
    for (i, name) in names.into_iter().enumerate() {
        let whole = fs::read(table(name)).unwrap();
        for seed in 0..300 {
            let bytes = crate::mutation::mutated(&whole, seed * 8 + i as u64);
            if let Ok(read) = Manifest::parse("t.parquet", &bytes, 1 << 24) {
                assert!(read.entries().len() < 1 << 17);
            }
        }
    }
}
