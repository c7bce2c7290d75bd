use std::fs;

use super::*;

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
        path: path.into(),
        label: label.to_owned(),
        split: split.map(str::to_owned),
        role,
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
            "path,labels\n1,a\n",
            "line 1, column label: expected a column of that name, found the columns path, labels",
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
            "line 3, column role: expected query, gallery or nothing, found \"Query\"",
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
        text.contains("t.txt: expected a table that ends in .csv") && text.contains("parquet"),
        "{text}"
    );
    let missing = Manifest::read("no/such/table.csv").unwrap_err();
    assert!(matches!(missing, DataError::Io { action: "read", .. }));
}
