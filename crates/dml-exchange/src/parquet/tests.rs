use dml_core::candle_core::{DType, Device, Tensor};

use super::*;
use crate::made_by_others::{NUMBERS, TEXTS, file, kept, rows};
use dml_eval::{Attributes, Column, FlatIndex, IdRef};

fn collection(name: &str, columns: &TableColumns) -> Result<(Collection, TableRead)> {
    let mut collection = Collection::new(FlatIndex::default());
    let read = import(&mut collection, &file(name), columns)?;
    Ok((collection, read))
}

fn all_rows(collection: &Collection) -> Vec<Vec<f32>> {
    let blocks = collection.blocks(100);
    let rows = blocks.map(|items| {
        let rows = items.unwrap().rows().to_dtype(DType::F32).unwrap();
        rows.to_vec2::<f32>().unwrap()
    });
    rows.collect::<Vec<_>>().concat()
}

#[test]
fn tables_of_pyarrow_are_read() {
    let (collection, read) = collection("arrow.parquet", &TableColumns::default()).unwrap();
    assert_eq!(read.items, 5);
    let skipped: Vec<&str> = read.skipped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(skipped, ["day", "tags"], "{read:?}");
    assert!(collection.ids().eq(TEXTS.map(IdRef::Text)));
    assert_eq!(all_rows(&collection), rows().to_vec2::<f32>().unwrap());
    let column = |name: &str| collection.column(name).unwrap();
    let color = vec![Some("red"), None, Some("blue"), Some("red"), Some("")];
    assert_eq!(column("color"), Column::from(color));
    let size = vec![Some(40), Some(41), None, Some(-3), Some(1 << 40)];
    assert_eq!(column("size"), Column::from(size));
    // NaN is an absent value.
    let price = vec![Some(1.5), None, None, Some(2.0), Some(3.0)];
    assert_eq!(column("price"), Column::from(price));
    let new = vec![Some(true), Some(false), None, Some(true), Some(false)];
    assert_eq!(column("new"), Column::from(new));
    let year = vec![Some(2001), Some(2002), Some(2003), None, Some(2005)];
    assert_eq!(column("year"), Column::from(year));
    let level = vec![Some(0), Some(255), None, Some(1), Some(2)];
    assert_eq!(column("level"), Column::from(level));
    let weight = vec![Some(0.5), None, Some(2.5), Some(1.0), Some(1.0)];
    assert_eq!(column("weight"), Column::from(weight));
}

#[test]
fn lists_of_every_kind_and_pandas_are_read() {
    for name in [
        "fixed.parquet",
        "fixed-gzip.parquet",
        "fixed-lz4.parquet",
        "fixed-snappy.parquet",
        "double.parquet",
        "pandas.parquet",
    ] {
        let (collection, read) = collection(name, &TableColumns::default()).unwrap();
        assert_eq!((read.items, read.skipped.len()), (5, 0), "{name}");
        assert!(collection.ids().eq(NUMBERS.map(IdRef::Number)), "{name}");
        assert_eq!(
            all_rows(&collection),
            rows().to_vec2::<f32>().unwrap(),
            "{name}"
        );
        let name = if name == "double.parquet" {
            "text"
        } else {
            "color"
        };
        let color = vec![Some("red"), None, Some("blue"), Some("red"), Some("")];
        assert_eq!(collection.column(name), Some(Column::from(color)));
    }
}

#[test]
fn columns_are_chosen_by_name() {
    let columns = TableColumns {
        id: "size".to_owned(),
        attributes: Some(vec!["color".to_owned()]),
        ..TableColumns::default()
    };
    let error = collection("arrow.parquet", &columns)
        .unwrap_err()
        .to_string();
    assert!(error.contains("an id in every row"), "{error}");
    let columns = TableColumns {
        attributes: Some(vec!["price".to_owned()]),
        ..TableColumns::default()
    };
    let (some, read) = collection("arrow.parquet", &columns).unwrap();
    assert_eq!((some.schema().len(), read.skipped.len()), (1, 0));
    for (columns, expected) in [
        (
            TableColumns {
                id: "x".to_owned(),
                ..TableColumns::default()
            },
            "no column x",
        ),
        (
            TableColumns {
                vector: "color".to_owned(),
                ..TableColumns::default()
            },
            "lists of single",
        ),
        (
            TableColumns {
                id: "price".to_owned(),
                ..TableColumns::default()
            },
            "whole numbers or texts",
        ),
        (
            TableColumns {
                attributes: Some(vec!["y".to_owned()]),
                ..TableColumns::default()
            },
            "no column y",
        ),
        (
            TableColumns {
                attributes: Some(vec!["day".to_owned()]),
                ..TableColumns::default()
            },
            "an attribute of truth values",
        ),
    ] {
        let error = collection("arrow.parquet", &columns).unwrap_err();
        assert!(matches!(error, ExchangeError::Format { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn rows_that_are_none_are_refused() {
    for (name, expected) in [
        ("ragged.parquet", "rows of one length"),
        ("none.parquet", "rows of one length"),
        ("hole.parquet", "no number is absent"),
        ("no-id.parquet", "an id in every row"),
        ("no-list.parquet", "lists of single"),
        ("rows-f4.npy", "a Parquet table"),
    ] {
        let error = collection(name, &TableColumns::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn what_is_written_is_read() {
    let folder = kept();
    let path = folder.path().join("ours.parquet");
    let columns = TableColumns::default();
    for dtype in [DType::F32, DType::F64] {
        let mut collection = Collection::new(FlatIndex::default());
        let rows = rows().to_dtype(dtype).unwrap();
        let items = Items::new(TEXTS, &rows).unwrap().with_attributes([
            Attributes::from([("color", "größe".into()), ("size", i64::MIN.into())]),
            Attributes::from([("price", 0.1.into())]),
            Attributes::default(),
            Attributes::from([("new", false.into())]),
            Attributes::from([("color", "".into()), ("new", true.into())]),
        ]);
        collection.add(items.unwrap()).unwrap();
        collection.remove(&["c d"].into()).unwrap();
        export(&collection, &path, &columns).unwrap();
        let mut copy = Collection::new(FlatIndex::default());
        assert_eq!(import(&mut copy, &path, &columns).unwrap().items, 4);
        assert!(copy.ids().eq(collection.ids()));
        for id in collection.ids() {
            assert_eq!(copy.get(id).unwrap(), collection.get(id).unwrap());
        }
        assert_eq!(copy.rows(&["a"].into()).unwrap().dtype(), dtype);
        assert!(import(&mut copy, &path, &columns).is_err());
    }
    // Several row groups and blocks, and ids that are numbers.
    let path = folder.path().join("ours-many.parquet");
    let count = 70_000u64;
    let rows = Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap();
    let mut collection = Collection::new(FlatIndex::default());
    let ids: Vec<u64> = (0..count).map(|id| u64::MAX - id).collect();
    let size: Vec<Option<i64>> = (0..70_000).map(|i| (i % 7 > 0).then_some(i)).collect();
    let items = Items::new(ids, &rows.unsqueeze(1).unwrap()).unwrap();
    collection
        .add(items.with_column("size", size).unwrap())
        .unwrap();
    export(&collection, &path, &columns).unwrap();
    let mut copy = Collection::new(FlatIndex::default());
    let mut blocks = 0;
    read(&path, &columns, |items| {
        blocks += 1;
        Ok(copy.add(items)?)
    })
    .unwrap();
    assert!(blocks > 8);
    assert!(copy.ids().eq(collection.ids()));
    assert_eq!(copy.column("size"), collection.column("size"));
    assert_eq!(all_rows(&copy), all_rows(&collection));
    // Without items, and with names that clash.
    let empty = Collection::new(FlatIndex::default());
    let path = folder.path().join("ours-empty.parquet");
    export(&empty, &path, &columns).unwrap();
    assert_eq!(import(&mut copy, &path, &columns).unwrap().items, 0);
    let clash = TableColumns {
        id: "size".to_owned(),
        ..TableColumns::default()
    };
    let refused = export(&collection, &path, &clash);
    assert!(matches!(refused, Err(ExchangeError::Unsupported { .. })));
}

#[test]
fn altered_tables_are_refused_or_read_without_a_panic_that_gets_out() {
    use rand::{Rng, SeedableRng};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("altered.parquet");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let columns = TableColumns::default();
    let mut refused = 0;
    for name in [
        "arrow.parquet",
        "fixed.parquet",
        "double.parquet",
        "pandas.parquet",
    ] {
        let whole = std::fs::read(file(name)).unwrap();
        for _ in 0..300 {
            let mut altered = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..altered.len());
                altered[at] = rng.random();
            }
            if rng.random_bool(0.1) {
                altered.truncate(rng.random_range(0..altered.len()));
            }
            std::fs::write(&path, &altered).unwrap();
            let taken = read(&path, &columns, |items| {
                assert!(items.len() <= 10_000);
                Ok(())
            });
            refused += usize::from(taken.is_err());
        }
    }
    assert!(refused > 300, "{refused}");
}
