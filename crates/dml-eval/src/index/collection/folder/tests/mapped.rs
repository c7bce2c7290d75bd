//! Collections whose rows stay in their file.

use super::*;
use crate::index::collection::Search;
use crate::index::{FlatMetric, RowStorage};

#[test]
fn rows_in_the_file_are_searched_as_rows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut random = |count: usize| {
        let values: Vec<f32> = (0..count * 8)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        Tensor::from_vec(values, (count, 8), &Device::Cpu).unwrap()
    };
    let (many, few, queries) = (random(3000), random(50), random(20));
    let mut collection = Collection::create(&path, FlatIndex::new(FlatMetric::Cosine)).unwrap();
    let ids: Vec<u64> = (0..3000).collect();
    let even = ids.iter().map(|id| id % 2 == 0).collect::<Vec<bool>>();
    let all = Items::new(ids, &many).unwrap();
    collection
        .add(all.with_column("even", even).unwrap())
        .unwrap();
    collection.compact().unwrap();
    drop(collection);
    let options = || OpenOptions::default().storage(Storage::Mapped);
    let mut mapped = Collection::open_with(&path, options()).unwrap();
    let copy = folder.path().join("copy");
    mapped.save(&copy).unwrap();
    let mut memory = Collection::open(&copy).unwrap();
    let filter = "even = true".parse().unwrap();
    let compare = |mapped: &Collection, memory: &Collection| {
        assert_eq!(content(mapped), content(memory));
        for search in [
            Search::nearest(7),
            Search::nearest(7).with_filter(&filter),
            Search::within(0.7),
        ] {
            let ids = |collection: &Collection| -> Vec<Vec<(Id, f64)>> {
                let found = collection.search_with(&queries, &search).unwrap();
                let hits = found.into_iter();
                hits.map(|hits| {
                    hits.into_iter()
                        .map(|hit| (hit.id.to_id(), hit.distance))
                        .collect()
                })
                .collect()
            };
            assert_eq!(ids(mapped), ids(memory));
        }
    };
    compare(&mapped, &memory);
    // Rows of the file go and others come, to memory; then all of them are in the file again.
    for collection in [&mut mapped, &mut memory] {
        let gone: Vec<u64> = (100..1500).collect();
        assert_eq!(collection.remove(&gone.into()).unwrap(), 1400);
        let ids: Vec<u64> = (2980..3030).collect();
        collection.upsert(Items::new(ids, &few).unwrap()).unwrap();
    }
    compare(&mapped, &memory);
    // Empty slots have made the folder be written anew.
    assert_eq!(mapped.summary().folder.unwrap().generation, 3);
    mapped.compact().unwrap();
    compare(&mapped, &memory);
    assert_eq!(mapped.summary().rows, mapped.len());
    drop(mapped);
    let mapped = Collection::open_with(&path, options().read_only(true)).unwrap();
    compare(&mapped, &memory);
}

#[test]
fn a_collection_without_rows_is_mapped_too() {
    let folder = tempfile::tempdir().unwrap();
    let options = || OpenOptions::default().storage(Storage::Mapped);
    for storage in [RowStorage::AsGiven, RowStorage::Float16] {
        let path = folder.path().join(format!("{storage:?}"));
        let index = FlatIndex::with_storage(FlatMetric::default(), storage);
        drop(Collection::create(&path, index).unwrap());
        let mut mapped = Collection::open_with(&path, options()).unwrap();
        for first in [0.0, 5.0] {
            mapped.add(items(["a", "b"], first)).unwrap();
            let query = rows(&[[first, first]]);
            assert_eq!(mapped.search(&query, 2).unwrap()[0].len(), 2);
            assert_eq!(mapped.remove(&["a", "b"].into()).unwrap(), 2);
            mapped.compact().unwrap();
            assert!(mapped.is_empty() && mapped.search(&query, 2).unwrap()[0].is_empty());
            drop(mapped);
            mapped = Collection::open_with(&path, options()).unwrap();
        }
        let shown = format!("{:?}", mapped.index());
        assert!(shown.contains(&format!("storage: {storage:?}")), "{shown}");
    }
}

#[test]
fn altered_rows_of_a_mapped_file_are_an_error_before_they_are_searched() {
    use crate::index::FileCheck;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let dim = 1 << 16;
    // A row is a quarter of a block.
    let values: Vec<f32> = (0..8 * dim).map(|i| (i % 1000) as f32).collect();
    let rows = Tensor::from_vec(values, (8, dim), &Device::Cpu).unwrap();
    let mut collection = Collection::create(&path, FlatIndex::default()).unwrap();
    let ids: Vec<u64> = (0..8).collect();
    collection.add(Items::new(ids, &rows).unwrap()).unwrap();
    collection.compact().unwrap();
    drop(collection);
    let file = index_path(&path, 2);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[64 + 6 * 4 * dim] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let options = OpenOptions::default()
        .read_only(true)
        .storage(Storage::Mapped);
    let refused = Collection::open_with(&path, options.clone());
    assert!(matches!(refused, Err(CollectionError::IndexFile(_))));
    let opened = Collection::open_with(&path, options.file_check(FileCheck::OnUse)).unwrap();
    // The first block is intact, the second one is not.
    assert!(opened.get(3u64).is_ok());
    let query = rows.narrow(0, 0, 1).unwrap();
    let first = "id in (0, 1, 2)".parse().unwrap();
    let found = opened
        .search_with(&query, &Search::nearest(1).with_filter(&first))
        .unwrap();
    assert_eq!((found[0][0].id, found[0][0].distance), (0u64.into(), 0.0));
    for refused in [opened.get(5u64).err(), opened.search(&query, 1).err()] {
        let Some(CollectionError::Index(error)) = refused else {
            panic!("altered rows are an error");
        };
        let text = dml_core::with_causes(&error).to_string();
        assert!(text.contains("its rows has been altered"), "{text}");
    }
}
