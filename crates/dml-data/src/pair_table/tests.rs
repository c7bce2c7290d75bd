use super::*;

fn parse(name: &str, text: &str) -> Result<PairTable> {
    PairTable::parse_with(name, text.as_bytes(), &PairTableConfig::default())
}

#[test]
fn pairs_come_from_every_format() -> Result<()> {
    let csv =
        "first,second,same,score,fold,split,negatives\na,b,1,0.5,0,train,x|y\na,c,0,,0,test,\n";
    let lines = "{\"first\": \"a\", \"second\": \"b\", \"same\": true, \"score\": 0.5, \"fold\": 0, \"split\": \"train\", \"negatives\": [\"x\", \"y\"]}\n\
                 {\"first\": \"a\", \"second\": \"c\", \"same\": false, \"fold\": 0, \"split\": \"test\"}\n";
    let table = parse("t.csv", csv)?;
    assert_eq!(
        parse("t.tsv", &csv.replace(',', "\t"))?.pairs(),
        table.pairs()
    );
    assert_eq!(parse("t.jsonl", lines)?.pairs(), table.pairs());
    let expected = Pair {
        first: "a".to_owned(),
        second: "b".to_owned(),
        negatives: vec!["x".to_owned(), "y".to_owned()],
        same: Some(true),
        score: Some(0.5),
        fold: Some("0".to_owned()),
        split: Some("train".to_owned()),
    };
    assert_eq!(table.pairs()[0], expected);
    assert_eq!(table.split("test")?.pairs().len(), 1);
    let text = table.split("val").unwrap_err().to_string();
    assert_eq!(
        text,
        "t.csv: expected a line with split \"val\", found test, train"
    );
    Ok(())
}

#[test]
fn anchors_have_positives_and_negatives() -> Result<()> {
    let config = PairTableConfig {
        columns: PairColumns::anchors(),
        ..PairTableConfig::default()
    };
    let text = b"anchor,positive,negative\n\"a bird\nof prey\",an owl,a carp\n";
    let table = PairTable::parse_with("t.csv", text, &config)?;
    let own = &table.pairs()[0];
    assert_eq!(
        (&*own.first, own.same, own.score),
        ("a bird\nof prey", Some(true), None)
    );
    assert_eq!(own.negatives, ["a carp"]);
    let config = PairTableConfig {
        columns: PairColumns::sentences(),
        ..PairTableConfig::default()
    };
    let text = b"sentence1,sentence2,score\na,b,3.5\nc,d,\n";
    let table = PairTable::parse_with("t.csv", text, &config)?;
    // A column that is there may say nothing of a pair.
    let scores: Vec<_> = table
        .pairs()
        .iter()
        .map(|own| (own.same, own.score))
        .collect();
    assert_eq!(scores, [(None, Some(3.5)), (None, None)]);
    Ok(())
}

#[cfg(feature = "parquet")]
#[test]
fn pairs_come_from_parquet() -> Result<()> {
    let inputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs/tables");
    let config = PairTableConfig {
        columns: PairColumns::sentences(),
        ..PairTableConfig::default()
    };
    let table = PairTable::read_with(inputs.join("sentence_pairs.parquet"), &config)?;
    let scores: Vec<_> = table.pairs().iter().filter_map(|own| own.score).collect();
    assert_eq!(scores, [0.25, 0.9, 1.0]);
    assert_eq!(table.pairs()[1].second, "ein Zaunkönig");
    Ok(())
}

#[test]
fn faults_name_line_and_column() {
    let cases = [
        (
            "first,same\na,1\n",
            "line 1, column second: expected a column of that name, found the columns first, same",
        ),
        (
            "first,second,same\na,,1\n",
            "line 2, column second: expected a path or a text, found nothing",
        ),
        (
            "first,second,same\na,b,yes\n",
            "line 2, column same: expected 1, 0, true, false or nothing, found \"yes\"",
        ),
        (
            "first,second,score\na,b,inf\n",
            "line 2, column score: expected a finite number or nothing, found \"inf\"",
        ),
        (
            "first,second,first\na,b,c\n",
            "line 1, column first: expected one column of that name",
        ),
        (
            "first,second,fold\na,b,\"1\n2\"\n",
            "column fold: expected text on one line",
        ),
        (
            "first,second\n",
            "expected at least one image, in a pair on each line, found none",
        ),
    ];
    for (text, expected) in cases {
        let found = parse("t.csv", text).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
    let config = PairTableConfig {
        memory_limit: 500,
        ..PairTableConfig::default()
    };
    let text = format!("first,second\n{}", "a,b\n".repeat(50));
    let error = PairTable::parse_with("t.csv", text.as_bytes(), &config).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
}

#[test]
fn images_of_pairs_are_listed_once() -> Result<()> {
    let text = "first,second,same,fold\na,b,1,10\nb,c,0,10\na,c,0,9\nc,a,0,9\n";
    let table = parse("folder/t.csv", text)?;
    let (images, list) = table.images()?;
    let paths: Vec<_> = images
        .entries()
        .iter()
        .map(|own| own.path.display().to_string())
        .collect();
    assert_eq!(paths, ["folder/a", "folder/b", "folder/c"]);
    assert_eq!(images.labels(), [-1, -1, -1]);
    let pairs: Vec<_> = list
        .pairs
        .iter()
        .map(|own| (own.first, own.second, own.same))
        .collect();
    assert_eq!(
        pairs,
        [(0, 2, false), (2, 0, false), (0, 1, true), (1, 2, false)]
    );
    assert_eq!(list.folds, 2);
    // The same pairs among more images.
    let more = Manifest::parse("folder/m.csv", b"path,label\nz,1\nc,1\nb,2\na,2\n", 1 << 20)?;
    let list = table.rows(&more)?;
    assert_eq!((list.pairs[0].first, list.pairs[0].second), (3, 1));
    let fewer = Manifest::parse("folder/m.csv", b"path,label\nc,1\nb,2\n", 1 << 20)?;
    let text = table.rows(&fewer).unwrap_err().to_string();
    assert!(
        text.contains("line 1, column first: expected an image that the manifest has, found \"a\""),
        "{text}"
    );
    for (text, expected) in [
        (
            "first,second,same,fold\na,b,1,1\nb,c,0,\n",
            "expected a line with fold in each line, or in none, found 1 of 2",
        ),
        (
            "first,second,same,fold\na,b,1,1\nb,c,0,1\na,c,0,2\n",
            "fold of folds of one size, found 3 lines in 2 folds",
        ),
        (
            "first,second,same,fold\na,b,1,1\nb,c,0,1\nb,c,0,1\na,c,0,2\n",
            "fold of folds of one size, found 4 lines in 2 folds",
        ),
        (
            "first,second,same\na,b,\nb,c,1\n",
            "line 1, column same: expected 1 or 0, found nothing",
        ),
    ] {
        let found = parse("t.csv", text)?.images().unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
    Ok(())
}
