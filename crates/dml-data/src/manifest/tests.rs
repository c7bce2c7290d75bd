use std::fs;
use std::path::PathBuf;

use super::*;
use crate::ImageFilesConfig;

#[path = "tests/columns.rs"]
mod columns_of_all_kinds;
#[path = "tests/writers.rs"]
mod writers;

fn manifest(name: &str, contents: impl AsRef<[u8]>) -> Result<Manifest> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    Manifest::read(&path).map(|manifest| Manifest {
        entries: manifest
            .entries
            .iter()
            .map(|entry| Entry {
                path: entry
                    .path
                    .strip_prefix(folder.path())
                    .unwrap_or(&entry.path)
                    .to_path_buf(),
                ..entry.clone()
            })
            .collect(),
        ..manifest
    })
}

fn message(contents: impl AsRef<[u8]>) -> String {
    let text = manifest("t.csv", contents).unwrap_err().to_string();
    text[text.find("t.csv").unwrap()..].to_owned()
}

fn entry(path: &str, label: &str, split: Option<&str>, role: Option<Role>) -> Entry {
    Entry {
        split: split.map(str::to_owned),
        role,
        ..Entry::new(path, label)
    }
}

#[test]
fn columns_stand_in_any_order_and_cells_may_be_quoted() -> Result<()> {
    let text = "\u{feff}role, label ,size,path,split\r\n\
                query,\"owl, snowy\",3,\"a \"\"b\"\".png\",test\r\n\
                ,10,4,/abs/c.png,\r\n\
                gallery,\"owl, snowy\",5,d/e.png,test\r\n";
    let manifest = manifest("t.CSV", text)?;
    let owl = "owl, snowy";
    assert_eq!(
        manifest.entries(),
        [
            entry("a \"b\".png", owl, Some("test"), Some(Role::Query)),
            entry("/abs/c.png", "10", None, None),
            entry("d/e.png", owl, Some("test"), Some(Role::Gallery)),
        ]
    );
    assert_eq!(manifest.class_names(), ["10", owl]);
    assert_eq!(manifest.splits(), ["test"]);
    Ok(())
}

#[test]
fn parts_keep_the_numbers_of_their_classes() -> Result<()> {
    let text = "path,label,split,role\n1,c,train,\n2,a,train,\n3,b,test,query\n4,c,test,gallery\n";
    let manifest = manifest("t.csv", text)?;
    let labels = |part: &Manifest| -> Result<Vec<i64>> {
        let images = part.images(ImageFilesConfig::default())?;
        assert_eq!(images.class_names(), ["a", "b", "c"]);
        Ok(dml_core::Dataset::labels(&images).as_slice().to_vec())
    };
    assert_eq!(labels(&manifest)?, [2, 0, 1, 2]);
    assert_eq!(labels(&manifest.split("train")?)?, [2, 0]);
    assert_eq!(labels(&manifest.split("test")?.role(Role::Gallery)?)?, [2]);
    let two_classes = ImageFilesConfig {
        min_classes: 3,
        ..ImageFilesConfig::default()
    };
    let error = manifest.split("test")?.images(two_classes).unwrap_err();
    assert!(matches!(
        error,
        DataError::FewClasses {
            expected: 3,
            found: 2,
            ..
        }
    ));
    Ok(())
}

#[test]
fn parts_without_lines_are_errors_that_name_the_others() -> Result<()> {
    let manifest = manifest("t.csv", "path,label,split\n1,c,train\n2,a,test\n")?;
    let text = manifest.split("val").unwrap_err().to_string();
    assert!(
        text.ends_with("t.csv: expected a line with split \"val\", found test, train"),
        "{text}"
    );
    let text = manifest.role(Role::Query).unwrap_err().to_string();
    assert!(
        text.ends_with("expected a line with role \"query\", found none"),
        "{text}"
    );
    Ok(())
}

#[test]
fn faults_name_line_and_column() {
    let cases = [
        (
            "path,class\n1,a\n",
            "line 1, column label: expected a column of that name, found the columns path, class",
        ),
        (
            "label\na\n",
            "line 1, column path: expected a column of that name, found the columns label",
        ),
        (
            "path,label,path\n",
            "line 1, column path: expected one column of that name, found the columns path, label, path",
        ),
        (
            "path,label\n1,a\n\n,b\n",
            "line 4, column path: expected the path of an image, found nothing",
        ),
        (
            "path,label\n1,\n",
            "line 2, column label: expected the name of a class, found nothing",
        ),
        (
            "path,label,role\n1,a,query\n2,a,Query\n",
            "line 3, column role: expected query, gallery, both, junk or nothing, found \"Query\"",
        ),
        (
            "path,label\n1,a\n2\n",
            "line 3, column 2: expected as many cells as there are columns, found 1 cells for 2 columns",
        ),
        (
            "path,label\n1,a,b\n",
            "line 2, column 3: expected as many cells as there are columns, found 3 cells for 2 columns",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(message(text), format!("t.csv, {expected}"));
    }
    let bytes = b"path,label\n1,\xff\n";
    assert_eq!(
        message(bytes),
        "t.csv, line 2, column 2: expected text in UTF-8, found other bytes"
    );
    assert!(message("path,label\n").starts_with("t.csv: expected at least one image"));
    assert!(message("").starts_with("t.csv, line 1, column path: expected"));
}

#[test]
fn files_that_are_no_tables_are_refused() {
    let text = manifest("t.txt", "path,label\n").unwrap_err().to_string();
    assert!(
        text.contains("t.txt: expected a table that ends in .csv, .tsv")
            && text.contains("parquet"),
        "{text}"
    );
    let missing = Manifest::read("no/such/table.csv").unwrap_err();
    assert!(matches!(missing, DataError::Io { action: "read", .. }));
}

fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inputs")
        .join(name)
}

#[test]
fn a_quote_that_does_not_close_is_an_error_with_its_line() {
    let text = Manifest::read(input("unclosed.csv"))
        .unwrap_err()
        .to_string();
    let expected = "line 2, column 2: expected a quote that closes at the end of its cell, found one that never closes";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(
        message("path,label\n1,a\n2,\"b\n3,\"c\"\n"),
        "t.csv, line 3, column 2: expected a quote that closes at the end of its cell, found text behind the closing quote"
    );
    assert_eq!(
        message("path,label\n1,\"a\n2,b\"\n3,c\n"),
        "t.csv, line 2, column label: expected text on one line, found \"a\\n2,b\""
    );
}

#[test]
fn a_column_that_is_not_read_may_have_lines() -> Result<()> {
    let manifest = manifest("t.csv", "path,label,note\n1,a,\"two\nlines\"\n2,b,\n")?;
    assert_eq!(manifest.entries().len(), 2);
    Ok(())
}

#[test]
fn numbers_of_the_lines_count_the_lines_within_cells() {
    assert_eq!(
        message("path,label,note\n1,a,\"two\nlines\"\n\n2,,\n"),
        "t.csv, line 5, column label: expected the name of a class, found nothing"
    );
}

#[test]
fn classes_are_numbered_by_value_on_request() -> Result<()> {
    let manifest = Manifest::read(input("numbers.csv"))?;
    assert_eq!(manifest.class_names()[..3], ["1", "10", "11"]);
    let ordered = manifest.with_class_order(ClassOrder::Number);
    let expected: Vec<String> = (1..=12).map(|i| i.to_string()).collect();
    assert_eq!(ordered.class_names(), expected);
    let images = ordered.images(ImageFilesConfig::default())?;
    let expected: Vec<i64> = (0..12).collect();
    assert_eq!(dml_core::Dataset::labels(&images).as_slice(), expected);
    Ok(())
}

#[test]
fn whole_numbers_written_as_real_ones_are_whole() -> Result<()> {
    let text = "path,label,camera\n1,1.0,3.0\n2,2.0,\n3,10.0,4.0\n";
    let table = manifest("t.csv", text)?;
    assert_eq!(table.class_names(), ["1", "10", "2"]);
    assert_eq!(table.camera_names(), ["3", "4"]);
    assert_eq!(table.entries()[1].camera, None);
    // One that is something else makes all of them text.
    let table = manifest("t.csv", "path,label\n1,1.0\n2,1.5\n")?;
    assert_eq!(table.class_names(), ["1.0", "1.5"]);
    Ok(())
}

const MARKET: &str = "path,label,role,camera\n\
    1,5,query,1\n\
    2,5,gallery,1\n\
    3,-1,gallery,2\n\
    4,7,both,3\n\
    5,,junk,1\n\
    6,5,gallery,2\n";

#[test]
fn roles_cameras_and_junk_are_carried() -> Result<()> {
    let table = manifest("t.csv", MARKET)?;
    assert_eq!(table.class_names(), ["5", "7"]);
    assert_eq!(table.camera_names(), ["1", "2", "3"]);
    let part = |role| {
        let images = table.role(role)?.images(ImageFilesConfig::default())?;
        let labels = dml_core::Dataset::labels(&images).as_slice().to_vec();
        Ok::<_, DataError>((labels, images.cameras().unwrap().to_vec()))
    };
    assert_eq!(part(Role::Query)?, (vec![0, 1], vec![0, 2]));
    assert_eq!(
        part(Role::Gallery)?,
        (vec![0, -1, 1, -1, 0], vec![0, 1, 2, 0, 1])
    );
    assert_eq!(part(Role::Both)?, (vec![1], vec![2]));
    assert_eq!(part(Role::Junk)?, (vec![-1, -1], vec![1, 0]));
    // Without the role, −1 is a class like any other.
    let table = manifest("t.csv", "path,label\n1,-1\n2,3\n")?;
    assert_eq!(table.class_names(), ["-1", "3"]);
    let images = table.images(ImageFilesConfig::default())?;
    assert_eq!(images.cameras(), None);
    Ok(())
}

#[test]
fn images_that_are_skipped_take_their_cameras_along() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1", "2", "4", "5", "6"] {
        let path = folder.path().join(name);
        let image = image::GrayImage::new(4, 4);
        image
            .save_with_format(path, image::ImageFormat::Png)
            .unwrap();
    }
    let path = folder.path().join("t.csv");
    fs::write(&path, MARKET).unwrap();
    let config = ImageFilesConfig {
        unreadable: crate::Unreadable::Skip,
        ..ImageFilesConfig::default()
    };
    let images = Manifest::read(&path)?.images(config)?;
    assert_eq!(
        dml_core::Dataset::labels(&images).as_slice(),
        [0, 0, 1, -1, 0]
    );
    assert_eq!(images.cameras(), Some(&[0, 0, 2, 0, 1][..]));
    assert_eq!(images.skipped().len(), 1);
    Ok(())
}

#[test]
fn a_table_takes_no_more_memory_than_it_may() {
    let mut text = "path,label\n".to_owned();
    (0..2000).for_each(|i| text.push_str(&format!("{i}.png,a\n")));
    let read = |limit| Manifest::parse("t.csv", text.as_bytes(), limit);
    assert_eq!(read(Manifest::MEMORY_LIMIT).unwrap().entries().len(), 2000);
    for limit in [0, 1000, 20_000, 500_000] {
        let error = read(limit).unwrap_err();
        assert!(
            matches!(error, DataError::TooLarge { .. }),
            "{limit}: {error}"
        );
    }
}

#[test]
fn messages_quote_the_beginning_of_long_cells() {
    let long = "x".repeat(100_000);
    for text in [
        format!("path,label,role\n1,a,{long}\n"),
        format!("path,label\n1,\"{long}\nb\"\n"),
        format!("path,{long}\n1,a\n"),
    ] {
        let message = message(&text);
        assert!(message.len() < 1000, "{} bytes", message.len());
    }
}

#[test]
fn damaged_tables_are_read_or_refused() {
    let text = "path,label,split,role,camera\r\n\"a \"\"b\"\".png\",owl,train,query,1\n2,-1.0,,gallery,2\n";
    for seed in 0..2000 {
        let bytes = crate::mutation::mutated(text.as_bytes(), seed);
        if let Ok(table) = Manifest::parse("t.csv", &bytes, 1 << 20) {
            assert!(table.entries().len() <= bytes.len());
            for entry in table.entries() {
                assert!(!entry.label.is_empty() && !entry.label.contains('\n'));
            }
        }
    }
}
