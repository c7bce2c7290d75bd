use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::index::collection::{
    Attributes, Collection, Column, Id, IdRef, Ids, Items, OpenOptions, Value,
};
use crate::index::{FlatIndex, KnnIndex};

mod failing_writes;
mod mapped;

/// What a collection holds: row and attributes by id.
type Content = BTreeMap<Id, (Vec<f32>, Attributes)>;

fn content(collection: &Collection) -> Content {
    let item = |id| {
        let item = collection.get(id).unwrap().unwrap();
        (item.id, (item.row, item.attributes))
    };
    let ids: Vec<Id> = collection.ids().map(IdRef::to_id).collect();
    assert_eq!(ids.len(), collection.len());
    ids.iter().map(|id| item(id.as_ref())).collect()
}

fn rows(values: &[[f32; 2]]) -> Tensor {
    let flat: Vec<f32> = values.concat();
    Tensor::from_vec(flat, (values.len(), 2), &Device::Cpu).unwrap()
}

fn items<const N: usize>(ids: [&str; N], first: f32) -> Items {
    let values: Vec<[f32; 2]> = (0..N).map(|i| [first, i as f32]).collect();
    Items::new(ids, &rows(&values)).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != FolderLock::FILE_NAME {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A collection with some changes in its log: where each of them ends, and what there is then.
fn changed(path: &Path) -> Vec<(u64, Content)> {
    let mut collection = Collection::create(path, FlatIndex::default()).unwrap();
    let mut states = Vec::new();
    let mut note = |collection: &Collection| {
        let log = std::fs::metadata(log_path(path, 1)).unwrap().len();
        states.push((log, content(collection)));
    };
    note(&collection);
    let first = items(["a", "b", "c"], 1.0).with_column("color", vec!["red", "blue", "red"]);
    collection.add(first.unwrap()).unwrap();
    note(&collection);
    collection.remove(&["b"].into()).unwrap();
    note(&collection);
    let second = items(["c", "d"], 2.0).with_column("price", vec![Some(1.5), None]);
    collection.upsert(second.unwrap()).unwrap();
    note(&collection);
    let large = Attributes::from([("size", 42.into()), ("new", true.into())]);
    collection.set_attributes("a", large).unwrap();
    note(&collection);
    // Everything goes, and other things come.
    collection
        .remove(&["a", "c", "d", "nobody"].into())
        .unwrap();
    note(&collection);
    let row = Tensor::new(&[[7f64, 8., 9.]], &Device::Cpu).unwrap();
    let other = Items::new([7], &row).unwrap().with_column("price", vec![3]);
    collection.add(other.unwrap()).unwrap();
    note(&collection);
    states
}

#[test]
fn wherever_the_log_is_cut_there_is_the_state_after_the_last_whole_change() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let states = changed(&whole);
    let log = std::fs::read(log_path(&whole, 1)).unwrap();
    assert_eq!(log.len() as u64, states.last().unwrap().0);
    let cut = folder.path().join("cut");
    for end in 0..=log.len() {
        copy(&whole, &cut);
        std::fs::write(log_path(&cut, 1), &log[..end]).unwrap();
        let read = Collection::open_read_only(&cut);
        if (end as u64) < states[0].0 {
            // The beginning of a log is written before the log is one.
            assert!(
                matches!(read, Err(CollectionError::Damaged { .. })),
                "{end}"
            );
        } else {
            let state = states.iter().rev().find(|(at, _)| *at <= end as u64);
            let (at, want) = state.unwrap();
            assert_eq!(&content(&read.unwrap()), want, "{end}");
            // A reader leaves the file as it is, a writer cuts it and goes on.
            let length = || std::fs::metadata(log_path(&cut, 1)).unwrap().len();
            assert_eq!(length(), end as u64);
            let mut collection = Collection::open(&cut).unwrap();
            assert_eq!(length(), *at);
            assert_eq!(&content(&collection), want);
            let ids: Vec<Id> = collection.ids().map(IdRef::to_id).collect();
            if let Some(id) = ids.first() {
                let large = Attributes::from([("size", 1.into())]);
                collection
                    .set_attributes(id.clone(), large.clone())
                    .unwrap();
                drop(collection);
                let collection = Collection::open(&cut).unwrap();
                assert_eq!(collection.attributes(id), Some(large));
                assert_eq!(collection.len(), want.len());
            }
        }
        std::fs::remove_dir_all(&cut).unwrap();
    }
}

#[test]
fn bytes_that_were_never_written_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let states = changed(&whole);
    let log = std::fs::read(log_path(&whole, 1)).unwrap();
    for (i, (end, want)) in states.iter().enumerate() {
        // The file has its length, but its last pages have not come to the disk.
        for junk in [
            vec![0; 1],
            vec![0; 5000],
            vec![0xff; 100],
            log[..40].to_vec(),
        ] {
            let path = folder.path().join("torn");
            copy(&whole, &path);
            let mut bytes = log[..*end as usize].to_vec();
            bytes.extend(junk);
            std::fs::write(log_path(&path, 1), bytes).unwrap();
            assert_eq!(&content(&Collection::open(&path).unwrap()), want, "{i}");
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[test]
fn damage_before_intact_changes_is_refused_unless_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let states = changed(&whole);
    let log = std::fs::read(log_path(&whole, 1)).unwrap();
    let last = states[states.len() - 2].0 as usize;
    let path = folder.path().join("damaged");
    copy(&whole, &path);
    for at in 0..log.len() {
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        std::fs::write(log_path(&path, 1), &bytes).unwrap();
        let state = states.iter().rev().find(|(end, _)| *end <= at as u64);
        let Some((end, want)) = state else {
            assert!(Collection::open(&path).is_err(), "{at}");
            continue;
        };
        if at < last {
            let error = Collection::open(&path).unwrap_err();
            assert!(
                matches!(error, CollectionError::DamagedLog { offset, .. } if offset == *end),
                "{at}: {error}"
            );
            // Nothing was written on the way.
            assert_eq!(std::fs::read(log_path(&path, 1)).unwrap(), bytes);
            let options = OpenOptions::default().damaged_log(DamagedLog::CutAtDamage);
            let collection = Collection::open_with(&path, options).unwrap();
            assert_eq!(&content(&collection), want, "{at}");
        } else {
            assert_eq!(&content(&Collection::open(&path).unwrap()), want, "{at}");
        }
    }
}

#[test]
fn a_new_generation_is_there_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let want = changed(&path).pop().unwrap().1;
    // Before the manifest is replaced, whatever there is of the next generation counts for nothing.
    for name in ["index-2", "items-2", "log-2", ".tmp-dml-1-2-3"] {
        std::fs::write(path.join(name), "half of a file").unwrap();
        assert_eq!(content(&Collection::open_read_only(&path).unwrap()), want);
        assert!(path.join(name).exists());
    }
    let mut collection = Collection::open(&path).unwrap();
    assert_eq!(content(&collection), want);
    let names = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&path),
        [".lock", "collection", "index-1", "items-1", "log-1"]
    );
    let before = folder.path().join("before");
    copy(&path, &before);
    collection.compact().unwrap();
    assert_eq!(
        names(&path),
        [".lock", "collection", "index-2", "items-2", "log-2"]
    );
    drop(collection);
    let collection = Collection::open(&path).unwrap();
    assert_eq!(content(&collection), want);
    assert_eq!(collection.summary().folder.unwrap().generation, 2);
    drop(collection);
    // After it was replaced, the files of the generation before may still be there.
    for name in ["index-1", "items-1", "log-1"] {
        std::fs::copy(before.join(name), path.join(name)).unwrap();
    }
    assert_eq!(content(&Collection::open(&path).unwrap()), want);
    assert_eq!(names(&path), ["collection", "index-2", "items-2", "log-2"]);
    // Files of the generation before under its name are refused.
    for name in ["items", "log"] {
        let file = path.join(format!("{name}-2"));
        let kept = std::fs::read(&file).unwrap();
        std::fs::copy(before.join(format!("{name}-1")), &file).unwrap();
        assert!(Collection::open(&path).is_err(), "{name}");
        std::fs::write(&file, kept).unwrap();
    }
    assert!(Collection::open(&path).is_ok());
}

#[test]
fn one_writes_and_many_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut writer = Collection::create(&path, FlatIndex::default()).unwrap();
    writer.add(items(["a", "b"], 1.0)).unwrap();
    assert!(matches!(
        Collection::open(&path),
        Err(CollectionError::Locked(_))
    ));
    let mut reader = Collection::open_read_only(&path).unwrap();
    assert!(!reader.is_stale().unwrap() && !writer.is_stale().unwrap());
    for refused in [
        reader.add(items(["x"], 0.0)).err(),
        reader.remove(&["a"].into()).err(),
        reader.set_attributes("a", Attributes::default()).err(),
        reader.compact().err(),
        reader.flush().err(),
    ] {
        assert!(matches!(refused, Some(CollectionError::ReadOnly { .. })));
    }
    writer.remove(&["a"].into()).unwrap();
    assert!(reader.is_stale().unwrap());
    assert_eq!((reader.len(), writer.len()), (2, 1));
    writer.compact().unwrap();
    assert!(reader.is_stale().unwrap());
    // What it has read stays.
    assert_eq!(reader.get("a").unwrap().unwrap().row, [1.0, 0.0]);
    let newer = Collection::open_read_only(&path).unwrap();
    assert_eq!((newer.len(), newer.is_stale().unwrap()), (1, false));
    drop(writer);
    assert!(Collection::open(&path).is_ok());
}

#[test]
fn readers_find_a_whole_collection_while_a_writer_replaces_it() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut writer = Collection::create(&path, FlatIndex::default()).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut largest = 0;
                    while !is_done.load(Ordering::SeqCst) {
                        let collection = Collection::open_read_only(&path).unwrap();
                        assert!(collection.len() >= largest);
                        largest = collection.len();
                    }
                })
            })
            .collect();
        for i in 0..40u64 {
            let row = rows(&[[i as f32, 0.0]]);
            writer.add(Items::new([i], &row).unwrap()).unwrap();
            if i % 2 == 0 {
                writer.compact().unwrap();
            }
        }
        is_done.store(true, Ordering::SeqCst);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn folders_that_hold_something_else_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    for opened in [
        Collection::open(&path),
        Collection::open_read_only(folder.path()),
    ] {
        assert!(matches!(
            opened,
            Err(CollectionError::NotACollection { .. })
        ));
    }
    assert!(!Collection::is_collection(&path));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("notes"), "text").unwrap();
    let refused = Collection::create(&path, FlatIndex::default());
    assert!(matches!(refused, Err(CollectionError::NotEmpty { .. })));
    std::fs::remove_file(path.join("notes")).unwrap();
    // What a killed process has left of a collection is no obstacle.
    std::fs::write(path.join("index-1"), "half").unwrap();
    drop(Collection::create(&path, FlatIndex::default()).unwrap());
    assert!(Collection::is_collection(&path));
    let refused = Collection::create(&path, FlatIndex::default());
    assert!(matches!(refused, Err(CollectionError::NotEmpty { .. })));
    let nowhere = folder.path().join("no").join("such");
    let refused = Collection::create(nowhere, FlatIndex::default());
    assert!(matches!(refused, Err(CollectionError::Io { .. })));
}

#[test]
fn whatever_files_say_opening_ends_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    changed(&whole);
    let mut collection = Collection::open(&whole).unwrap();
    collection.compact().unwrap();
    let more = Items::new(
        [8, 9],
        &Tensor::new(&[[1f64, 2., 3.], [4., 5., 6.]], &Device::Cpu).unwrap(),
    );
    let more = more.unwrap().with_column("price", vec![1.0, 2.0]).unwrap();
    collection
        .add(more.with_column("color", vec!["x", "y"]).unwrap())
        .unwrap();
    collection.compact().unwrap();
    collection.remove(&[8].into()).unwrap();
    let row = Tensor::new(&[[7f64, 8., 9.]], &Device::Cpu).unwrap();
    collection.upsert(Items::new([9], &row).unwrap()).unwrap();
    drop(collection);
    let (items, log) = (items_path(&whole, 3), log_path(&whole, 3));
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut refused, mut opened) = (0, 0);
    for file in [&items, &log] {
        let bytes = std::fs::read(file).unwrap();
        for _ in 0..400 {
            // Frames whose bodies have been changed, with right checksums.
            let mut changed = bytes[..32].to_vec();
            let mut rest = &bytes[32..];
            let mut number = 0;
            while let frames::Found::Frame(body) = frames::first(rest, number) {
                rest = &rest[frames::HEAD + body.len()..];
                let mut body = body.to_vec();
                for _ in 0..rng.random_range(0..3) {
                    let at = rng.random_range(0..body.len());
                    body[at] = match rng.random_range(0..3) {
                        0 => 0xff,
                        1 => 0,
                        _ => rng.random(),
                    };
                }
                changed.extend(frames::frame(number, &body));
                number += 1;
            }
            changed.extend(rest);
            std::fs::write(file, &changed).unwrap();
            match Collection::open_read_only(&whole) {
                Err(_) => refused += 1,
                Ok(collection) => {
                    opened += 1;
                    content(&collection);
                    let query = Tensor::new(&[[1f64, 2., 3.]], &Device::Cpu).unwrap();
                    let _ = collection.search(&query, 2);
                }
            }
        }
        std::fs::write(file, bytes).unwrap();
    }
    assert!(refused > 100 && opened > 50, "{refused} {opened}");
}

#[test]
fn a_log_without_syncs_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    drop(Collection::create(&path, FlatIndex::default()).unwrap());
    let options = OpenOptions::default().durability(Durability::OnFlush);
    let mut collection = Collection::open_with(&path, options).unwrap();
    for i in 0..20u64 {
        let row = rows(&[[i as f32, 1.0]]);
        collection.add(Items::new([i], &row).unwrap()).unwrap();
    }
    collection.flush().unwrap();
    drop(collection);
    assert_eq!(Collection::open(&path).unwrap().len(), 20);
}

#[test]
fn an_index_that_needs_more_than_its_file_has_a_loader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let new = || {
        #[derive(Debug)]
        struct Manhattan;
        impl dml_core::Distance for Manhattan {
            fn matrix(
                &self,
                query: &Tensor,
                reference: Option<&Tensor>,
            ) -> dml_core::Result<Tensor> {
                use dml_core::TensorExt;
                query.pairwise_lp(reference.unwrap_or(query), 1.0)
            }
        }
        crate::CustomKNN::new(Default::default(), Manhattan).unwrap()
    };
    let mut collection = Collection::create(&path, new()).unwrap();
    collection.add(items(["a", "b"], 3.0)).unwrap();
    drop(collection);
    assert!(matches!(
        Collection::open(&path),
        Err(CollectionError::IndexFile(_))
    ));
    let options = OpenOptions::default().index_loader(move |path| {
        let mut index = new();
        index.load(path)?;
        Ok(Box::new(index))
    });
    let collection = Collection::open_with(&path, options).unwrap();
    let found = collection.search(&rows(&[[0.0, 1.0]]), 1).unwrap();
    assert_eq!((found[0][0].id, found[0][0].distance), ("b".into(), 3.0));
}

#[test]
fn values_of_every_kind_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut collection = Collection::create(&path, FlatIndex::default()).unwrap();
    let columns: [(&str, Column); 4] = [
        ("text", vec![Some("größe \"x\""), None, Some("")].into()),
        ("integer", vec![Some(i64::MIN), Some(i64::MAX), None].into()),
        ("float", vec![None, Some(-0.0), Some(1e-300)].into()),
        ("bool", vec![Some(true), None, Some(false)].into()),
    ];
    let ids: Ids = [0, u64::MAX, 5].into();
    let mut new = Items::new(ids, &rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).unwrap();
    for (name, column) in &columns {
        new = new.with_column(*name, column.clone()).unwrap();
    }
    collection.add(new).unwrap();
    drop(collection);
    for _ in 0..2 {
        let mut collection = Collection::open(&path).unwrap();
        for (name, column) in &columns {
            assert_eq!(collection.column(name).as_ref(), Some(column));
        }
        let float = collection.attributes(u64::MAX).unwrap();
        let Some(Value::Float(zero)) = float.get("float") else {
            panic!("it is there");
        };
        assert!(zero.is_sign_negative());
        // From the log the first time, from the base the second.
        collection.compact().unwrap();
    }
}
