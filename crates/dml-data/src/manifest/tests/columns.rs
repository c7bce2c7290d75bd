//! Columns beside path, label, split and role, in tables of text.

use super::*;
use crate::{ImageSource, PixelBox};

fn parse(name: &str, text: &str) -> Result<Manifest> {
    Manifest::parse(name, text.as_bytes(), 1 << 20)
}

fn fault(name: &str, text: &str) -> String {
    parse(name, text).unwrap_err().to_string()
}

#[test]
fn several_labels_are_classes_of_their_own() -> Result<()> {
    let table = parse(
        "t.csv",
        "path,labels\n1,red|round\n2, blue | round |\n3,red\n",
    )?;
    assert_eq!(table.class_names(), ["blue", "red", "round"]);
    assert_eq!(table.labels(), [1, 0, 1]);
    assert_eq!(table.label_sets(), [vec![1, 2], vec![0, 2], vec![1]]);
    // A label of its own is one of them.
    let table = parse("t.csv", "path,label,labels\n1,a,b|a\n2,c,b\n3,a,\n")?;
    assert_eq!(table.labels(), [0, 2, 0]);
    assert_eq!(table.label_sets(), [vec![0, 1], vec![1, 2], vec![0]]);
    let config = ManifestConfig {
        separator: ' ',
        ..ManifestConfig::default()
    };
    let table = Manifest::parse_with("t.tsv", b"path\tlabels\n1\ta b\n", &config)?;
    assert_eq!(table.class_names(), ["a", "b"]);
    Ok(())
}

#[test]
fn sequences_categories_and_texts_are_carried() -> Result<()> {
    let text = "path,label,sequence,category,text\n1,a,10.0,x,one\n2,b,9.0,y,\"two\nlines\"\n3,a,10.0,x,three\n";
    let table = parse("t.csv", text)?;
    assert_eq!(table.sequence_names(), ["10", "9"]);
    assert_eq!(table.sequences().unwrap(), [0, 1, 0]);
    assert_eq!(table.categories().unwrap(), [0, 1, 0]);
    assert_eq!(table.texts().unwrap(), ["one", "two\nlines", "three"]);
    let numbered = table.with_class_order(ClassOrder::Number);
    assert_eq!(numbered.sequences().unwrap(), [1, 0, 1]);
    let table = parse("t.csv", "path,label,category,text\n1,a,x,\n2,b,,y\n")?;
    assert_eq!((table.categories(), table.texts()), (None, None));
    Ok(())
}

#[test]
fn tables_of_texts_have_no_images() -> Result<()> {
    let table = parse("t.tsv", "text\tlabel\nan owl\tbird\na carp\tfish\n")?;
    assert_eq!(table.texts().unwrap(), ["an owl", "a carp"]);
    let error = table.images(ImageFilesConfig::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t.tsv, line 1, column path: expected the path of an image, found nothing"
    );
    Ok(())
}

#[test]
fn boxes_are_cut_out_before_anything_else() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    // Left half black, right half white.
    let image = image::GrayImage::from_fn(8, 4, |x, _| image::Luma([if x < 4 { 0 } else { 255 }]));
    image.save(folder.path().join("1.png")).unwrap();
    let table = folder.path().join("t.csv");
    let text = "path,label,box\n1.png,a,0 0 4 4\n1.png,a,\"4, 0, 4, 4\"\n1.png,a,3 1 100 1\n1.png,a,\n1.png,a,8 0 1 1\n";
    fs::write(&table, text).unwrap();
    let table = Manifest::read(&table)?;
    let expected = PixelBox {
        left: 3,
        top: 1,
        width: 100,
        height: 1,
    };
    assert_eq!(table.entries()[2].bounding_box, Some(expected));
    let config = ImageFilesConfig {
        size: [1, 1],
        channels: 1,
        ..ImageFilesConfig::default()
    };
    let images = table.images(config.clone())?;
    assert_eq!(images.image(0)?.values(), [0.0]);
    assert_eq!(images.image(1)?.values(), [1.0]);
    assert_eq!(images.image(3)?.values(), [128.0 / 255.0]);
    // Five columns are left within the image: one black and four white ones.
    let row = ImageFilesConfig {
        size: [1, 5],
        ..config.clone()
    };
    let row = table.images(row)?.image(2)?;
    assert_eq!(row.values(), [0.0, 1.0, 1.0, 1.0, 1.0]);
    let text = images.image(4).unwrap_err().to_string();
    assert!(
        text.ends_with("its box begins at column 8, row 0, outside of the image of 8 x 4 pixels"),
        "{text}"
    );
    // Images that are skipped take their boxes along.
    let config = ImageFilesConfig {
        unreadable: crate::Unreadable::Skip,
        ..config
    };
    let images = table.images(config)?;
    assert_eq!(images.origins(), [0, 1, 2, 3]);
    assert_eq!(images.image(1)?.values(), [1.0]);
    for bad in ["1 2 3", "1 2 3 0", "a b c d", "1 2 3 inf"] {
        let text = fault("t.csv", &format!("path,label,box\n1,a,{bad}\n"));
        assert!(
            text.contains("column box: expected left, top, width and height"),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn columns_may_have_other_names() -> Result<()> {
    let columns = ManifestColumns {
        path: "filename".to_owned(),
        label: "product_id".to_owned(),
        category: "path".to_owned(),
        ..ManifestColumns::default()
    };
    let config = ManifestConfig {
        columns,
        ..ManifestConfig::default()
    };
    let text = b"filename,product_id,path,label\n1.jpg,A7,shoes,x\n";
    let table = Manifest::parse_with("t.csv", text, &config)?;
    let expected = Entry {
        category: Some("shoes".to_owned()),
        ..Entry::new("1.jpg", "A7")
    };
    assert_eq!(table.entries(), [expected]);
    let text = Manifest::parse_with("t.csv", b"path,label\n", &config)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("column filename: expected a column of that name"),
        "{text}"
    );
    for (path, split) in [("a", "a"), ("", "b"), (" a", "b")] {
        let columns = ManifestColumns {
            path: path.to_owned(),
            split: split.to_owned(),
            ..ManifestColumns::default()
        };
        let config = ManifestConfig {
            columns,
            ..ManifestConfig::default()
        };
        let error = Manifest::parse_with("t.csv", b"a,label\n1,x\n", &config).unwrap_err();
        assert!(matches!(error, DataError::Core(_)), "{error}");
    }
    Ok(())
}

#[test]
fn hugging_faces_image_folders_name_files() -> Result<()> {
    let table = parse("metadata.csv", "file_name,label\n1.jpg,a\n")?;
    assert_eq!(table.entries(), [Entry::new("1.jpg", "a")]);
    let table = parse(
        "metadata.jsonl",
        "{\"file_name\": \"1.jpg\", \"label\": \"a\"}\n",
    )?;
    assert_eq!(table.entries(), [Entry::new("1.jpg", "a")]);
    // A path counts more, wherever it stands.
    for text in [
        "{\"file_name\": \"1.jpg\", \"path\": \"2.jpg\", \"label\": \"a\"}",
        "{\"path\": \"2.jpg\", \"file_name\": \"1.jpg\", \"label\": \"a\"}",
    ] {
        assert_eq!(
            parse("t.jsonl", text)?.entries(),
            [Entry::new("2.jpg", "a")]
        );
    }
    Ok(())
}

#[test]
fn rows_without_a_label_are_read_on_request() -> Result<()> {
    let config = ManifestConfig {
        allow_unlabelled: true,
        ..ManifestConfig::default()
    };
    let table = Manifest::parse_with("t.csv", b"path\n1\n2\n", &config)?;
    assert_eq!(table.labels(), [-1, -1]);
    assert!(table.class_names().is_empty());
    let table = Manifest::parse_with("t.csv", b"path,label\n1,\n2,a\n", &config)?;
    assert_eq!(
        (table.labels(), table.label_sets()),
        (vec![-1, 0], vec![vec![], vec![0]])
    );
    assert_eq!(
        table.images(ImageFilesConfig::default())?.class_names(),
        ["a"]
    );
    Ok(())
}

#[test]
fn classes_may_have_an_order_of_their_own() {
    let entries = || vec![Entry::new("1", "b"), Entry::new("2", "a")];
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    let table = Manifest::with_classes("t", entries(), names(["c", "b", "a"])).unwrap();
    assert_eq!(table.labels(), [1, 2]);
    let text = Manifest::with_classes("t", entries(), names(["c", "b", "b"])).unwrap_err();
    assert_eq!(
        text.to_string(),
        "t: expected a line with label of a name that is there once, found \"b\""
    );
    let text = Manifest::with_classes("t", entries(), names(["c", "b", "d"])).unwrap_err();
    assert_eq!(
        text.to_string(),
        "t: expected a line with label among 3 names of classes, found \"a\""
    );
    assert!(Manifest::new("t", Vec::new()).is_err());
}

#[test]
fn faults_of_json_lines_name_line_and_column() {
    let good = "{\"path\": \"1\", \"label\": \"a\"}\n";
    let cases = [
        (
            "{\"path\": \"2\"}",
            "line 3, column label: expected the name of a class, found nothing",
        ),
        (
            "{\"path\": \"2\", \"label\": 2.5}",
            "line 3, column 26: expected a JSON object on one line, found the number 2.5, which is not whole",
        ),
        (
            "{\"path\": \"2\", \"label\": [1]}",
            "found a list for \"label\"",
        ),
        (
            "{\"path\": \"2\", \"labels\": [[1]]}",
            "found a list in a list",
        ),
        (
            "{\"path\": \"2\", \"labels\": [null]}",
            "found nothing in a list",
        ),
        (
            "{\"path\": \"2\", \"label\": {}}",
            "expected text, a whole number, nothing, or a list of these",
        ),
        (
            "{\"path\": \"2\", \"path\": \"3\", \"label\": 1}",
            "found \"path\" twice",
        ),
        ("[1, 2]", "expected an object"),
        (
            "{\"path\": \"2\", \"label\": \"a\"",
            "EOF while parsing an object",
        ),
        (
            "{\"path\": \"2\", \"label\": \"a\"} x",
            "trailing characters",
        ),
        (
            "{\"path\": \"2\", \"label\": \"a\\nb\"}",
            "column label: expected text on one line",
        ),
    ];
    for (line, expected) in cases {
        let text = fault("t.jsonl", &format!("{good}\n{line}\n"));
        assert!(text.contains(expected), "{line}: {text}");
        assert!(text.starts_with("t.jsonl, line 3"), "{text}");
    }
    let deep = format!(
        "{{\"labels\": {}1{}, \"path\": \"1\", \"label\": \"a\"}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(fault("t.jsonl", &deep).contains("recursion limit exceeded"));
    let long = format!(
        "{{\"path\": \"1\", \"labels\": [{}0]}}",
        "0,".repeat(70_000)
    );
    assert!(fault("t.jsonl", &long).contains("a list of more than 65536 elements"));
}

#[test]
fn damaged_lines_of_json_are_read_or_refused() {
    let text = "{\"path\": \"1.png\", \"label\": \"a\", \"labels\": [1, \"b\"], \"box\": [1, 2.5, 3, 4]}\n\n{\"file_name\": \"x\", \"label\": 3}\n";
    for seed in 0..2000 {
        let bytes = crate::mutation::mutated(text.as_bytes(), seed);
        if let Ok(table) = Manifest::parse("t.jsonl", &bytes, 1 << 20) {
            assert!(table.entries().len() <= bytes.len());
        }
    }
}
