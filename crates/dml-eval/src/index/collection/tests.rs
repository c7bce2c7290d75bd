use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::index::tests::indexes;
use crate::index::{FlatIndex, FlatMetric, SelfMatch};

const DIM: usize = 3;

fn random_rows(rng: &mut ChaCha8Rng, count: usize, dtype: DType) -> Tensor {
    let values: Vec<f32> = (0..count * DIM)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let rows = Tensor::from_vec(values, (count, DIM), &Device::Cpu).unwrap();
    rows.to_dtype(dtype).unwrap()
}

/// What a collection should hold: the row that was given, and a size.
type Model = BTreeMap<u64, (Tensor, Option<i64>)>;

/// A collection with the items of the model that a filter holds for, found by the index alone.
fn check(collection: &Collection, model: &Model, empty: &dyn KnnIndex, rng: &mut ChaCha8Rng) {
    assert_eq!(collection.len(), model.len());
    let sizes = Filter::range("size", 3..7);
    let some: Vec<u64> = model
        .iter()
        .filter(|(_, (_, size))| size.is_some_and(|size| (3..7).contains(&size)))
        .map(|(id, _)| *id)
        .collect();
    let all: Vec<u64> = model.keys().copied().collect();
    let dtype = model
        .values()
        .next()
        .map_or(DType::F32, |(row, _)| row.dtype());
    let queries = random_rows(rng, 2, dtype);
    for (filter, ids) in [(Filter::All, all), (sizes, some)] {
        let filter = Search::nearest(4).with_filter(&filter);
        let Ok(found) = collection.search_with(&queries, &filter) else {
            // Before any item had a size.
            assert!(model.values().all(|(_, size)| size.is_none()));
            continue;
        };
        assert!(found.iter().all(|hits| hits.len() == ids.len().min(4)));
        for hit in found.iter().flatten() {
            assert!(ids.iter().any(|id| hit.id == (*id).into()));
        }
        if ids.is_empty() {
            continue;
        }
        // An index of these items alone finds the same, if it is exact.
        let mut alone = empty.to_empty();
        for id in &ids {
            alone.add(&model[id].0).unwrap();
        }
        let want = alone.search(&queries, ids.len().min(4)).unwrap();
        let shown = format!("{empty:?}");
        if shown.contains("FlatIndex") && !shown.contains("rescore") || shown.contains("CustomKNN")
        {
            for (hits, (_, distances)) in found.iter().zip(want.iter()) {
                let own: Vec<f64> = hits.iter().map(|hit| hit.distance).collect();
                let close = own.iter().zip(distances).all(|(a, b)| (a - b).abs() < 1e-6);
                assert!(close, "{shown}: {own:?} {distances:?}");
            }
        }
    }
    for (id, (_, size)) in model {
        let item = collection.get(*id).unwrap().unwrap();
        let own = item.attributes.get("size").cloned();
        assert_eq!(own, size.map(Value::Integer));
    }
}

#[test]
fn a_collection_is_what_its_changes_make_it_whatever_the_index() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (index, dtype)) in indexes().into_iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
        let mut collection = Collection::new(index.to_empty());
        let mut model = Model::new();
        for round in 0..30 {
            match rng.random_range(0..6) {
                0..3 => {
                    let count = rng.random_range(1..8);
                    let rows = random_rows(&mut rng, count, dtype);
                    let mut ids: Vec<u64> = (0..count).map(|_| rng.random_range(0..40)).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    let rows = rows.narrow(0, 0, ids.len()).unwrap();
                    let sizes: Vec<Option<i64>> = ids
                        .iter()
                        .map(|_| rng.random_bool(0.8).then(|| rng.random_range(0..10)))
                        .collect();
                    for (i, (id, size)) in ids.iter().zip(&sizes).enumerate() {
                        model.insert(*id, (rows.narrow(0, i, 1).unwrap(), *size));
                    }
                    let items = Items::new(ids, &rows).unwrap().with_column("size", sizes);
                    collection.upsert(items.unwrap()).unwrap();
                }
                3 => {
                    let ids: Vec<u64> = (0..5).map(|_| rng.random_range(0..40)).collect();
                    let there = model.len();
                    ids.iter().for_each(|id| {
                        model.remove(id);
                    });
                    let removed = collection.remove(&ids.into()).unwrap();
                    assert_eq!(removed, there - model.len());
                }
                4 => {
                    let id = rng.random_range(0..40);
                    let size = rng.random_range(0..10);
                    let set =
                        collection.set_attributes(id, Attributes::from([("size", size.into())]));
                    match model.get_mut(&id) {
                        Some(item) => item.1 = Some(size),
                        None => assert!(matches!(set, Err(CollectionError::UnknownId { .. }))),
                    }
                }
                _ => collection.compact().unwrap(),
            }
            if round % 5 == 0 {
                check(&collection, &model, &*index, &mut rng);
            }
        }
        check(&collection, &model, &*index, &mut rng);
        // As a folder it is the same, with its empty slots left out.
        let path = folder.path().join(number.to_string());
        collection.save(&path).unwrap();
        let empty = index.to_empty();
        let options = OpenOptions::default().index_loader(move |path| {
            let mut index = empty.to_empty();
            index.load(path)?;
            Ok(index)
        });
        let mut opened = Collection::open_with(&path, options.clone()).unwrap();
        assert_eq!(opened.summary().rows, model.len());
        check(&opened, &model, &*index, &mut rng);
        let row = random_rows(&mut rng, 1, dtype);
        opened.upsert(Items::new([99], &row).unwrap()).unwrap();
        opened.remove(&[1, 2, 3].into()).unwrap();
        model.insert(99, (row, None));
        (1..4).for_each(|id| {
            model.remove(&id);
        });
        drop(opened);
        let opened = Collection::open_with(&path, options).unwrap();
        check(&opened, &model, &*index, &mut rng);
    }
}

fn three() -> Collection {
    let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu).unwrap();
    let mut collection = Collection::new(FlatIndex::default());
    let items = Items::new(["a", "b", "c"], &rows).unwrap();
    let items = items.with_column("size", vec![Some(1), None, Some(3)]);
    collection.add(items.unwrap()).unwrap();
    collection
}

fn row(x: f32) -> Tensor {
    Tensor::new(&[[x]], &Device::Cpu).unwrap()
}

#[test]
fn refused_changes_change_nothing() {
    let mut collection = three();
    let before = format!("{:?}", collection.summary());
    let items = |ids: Ids, x: f32| Items::new(ids, &row(x)).unwrap();
    let refused: Vec<CollectionError> = vec![
        collection.add(items(["b"].into(), 2.0)).unwrap_err(),
        collection.add(items([7].into(), 2.0)).unwrap_err(),
        collection.add(items(["d"].into(), f32::NAN)).unwrap_err(),
        collection
            .add(
                items(["d"].into(), 1.0)
                    .with_column("size", vec!["x"])
                    .unwrap(),
            )
            .unwrap_err(),
        collection
            .upsert(Items::new(["d"], &Tensor::new(&[[1f32, 2.]], &Device::Cpu).unwrap()).unwrap())
            .unwrap_err(),
        collection
            .upsert(Items::new(["d"], &Tensor::new(&[[1f64]], &Device::Cpu).unwrap()).unwrap())
            .unwrap_err(),
        collection
            .set_attributes("x", Attributes::default())
            .unwrap_err(),
        collection
            .set_attributes("a", Attributes::from([("size", "x".into())]))
            .unwrap_err(),
        collection
            .set_attributes("a", Attributes::from([("", 1.into())]))
            .unwrap_err(),
    ];
    let kinds: Vec<String> = refused
        .iter()
        .map(|error| {
            format!("{error:?}")
                .split([' ', '(', '{'])
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let want = [
        "DuplicateId",
        "IdKind",
        "Index",
        "AttributeKind",
        "Index",
        "Index",
        "UnknownId",
        "AttributeKind",
        "AttributeName",
    ];
    assert_eq!(kinds, want);
    assert_eq!(format!("{:?}", collection.summary()), before);
    assert_eq!(collection.remove(&["x", "y"].into()).unwrap(), 0);
    assert!(collection.contains("a") && !collection.contains(1u64));
}

#[test]
fn searches_by_number_by_distance_and_by_both() {
    let mut collection = three();
    let found = |collection: &Collection, search: Search<'_>| -> String {
        let hits = collection.search_with(&row(0.4), &search).unwrap();
        hits[0].iter().map(|hit| hit.id.to_string()).collect()
    };
    assert_eq!(found(&collection, Search::nearest(2)), "ab");
    assert_eq!(found(&collection, Search::nearest(9)), "abc");
    assert_eq!(found(&collection, Search::within(0.4)), "ab");
    assert_eq!(found(&collection, Search::within(0.4).at_most(1)), "a");
    assert_eq!(found(&collection, Search::nearest(3).closer_than(0.2)), "a");
    let sized = Filter::has("size");
    assert_eq!(
        found(&collection, Search::nearest(2).with_filter(&sized)),
        "ac"
    );
    assert_eq!(
        found(&collection, Search::within(0.4).with_filter(&sized)),
        "a"
    );
    let none = !Filter::All;
    assert_eq!(
        found(&collection, Search::nearest(2).with_filter(&none)),
        ""
    );
    collection.remove(&["a"].into()).unwrap();
    assert_eq!(found(&collection, Search::nearest(1)), "b");
    assert_eq!(found(&collection, Search::within(0.4)), "b");
    for search in [
        Search::nearest(0),
        Search::within(f64::NAN),
        Search::nearest(1).closer_than(f64::NAN),
    ] {
        let refused = collection.search_with(&row(0.0), &search);
        assert!(matches!(refused, Err(CollectionError::Index(_))));
    }
    let wide = Tensor::new(&[[1f32, 2.]], &Device::Cpu).unwrap();
    assert!(collection.search(&wide, 1).is_err());
    assert!(collection.search(&row(0.0).squeeze(0).unwrap(), 1).is_err());
    // Similarities are the closer the larger.
    let mut cosine = Collection::new(FlatIndex::new(FlatMetric::InnerProduct));
    let rows = Tensor::new(&[[1f32], [2.], [3.]], &Device::Cpu).unwrap();
    cosine
        .add(Items::new(["a", "b", "c"], &rows).unwrap())
        .unwrap();
    assert_eq!(found(&cosine, Search::nearest(3).closer_than(0.75)), "cb");
    let empty = Collection::new(FlatIndex::default());
    assert_eq!(empty.search(&row(0.0), 3).unwrap(), vec![Vec::new()]);
}

#[test]
fn selections_are_void_after_a_change() {
    let mut collection = three();
    let selection = collection.select(&Filter::has("size")).unwrap();
    assert_eq!(selection.count(), 2);
    let search = Search::nearest(1).with_selection(&selection);
    assert_eq!(
        collection.search_with(&row(4.0), &search).unwrap()[0][0].id,
        "c".into()
    );
    let other = three();
    assert!(matches!(
        other.search_with(&row(4.0), &search),
        Err(CollectionError::StaleSelection)
    ));
    collection
        .upsert(Items::new(["d"], &row(4.0)).unwrap())
        .unwrap();
    assert!(matches!(
        collection.search_with(&row(4.0), &search),
        Err(CollectionError::StaleSelection)
    ));
    let chosen = collection.select_where(|item| item.attributes().is_empty());
    let ids: Vec<u32> = chosen.rows().iter().collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn no_item_is_its_own_neighbour() {
    let mut collection = three();
    // A copy is a neighbour.
    collection
        .add(Items::new(["d"], &row(5.0)).unwrap())
        .unwrap();
    let ids = |search: Search<'_>| -> Vec<String> {
        let found = collection
            .neighbors_of(&["c", "a"].into(), &search)
            .unwrap();
        let found = found.iter();
        found
            .map(|hits| hits.iter().map(|hit| hit.id.to_string()).collect())
            .collect()
    };
    assert_eq!(ids(Search::nearest(1)), ["d", "b"]);
    assert_eq!(ids(Search::nearest(9)), ["dba", "bcd"]);
    assert_eq!(ids(Search::within(1.0)), ["d", "b"]);
    let sized = Filter::has("size");
    assert_eq!(ids(Search::nearest(1).with_filter(&sized)), ["a", "c"]);
    let unknown = collection.neighbors_of(&["x"].into(), &Search::nearest(1));
    assert!(matches!(unknown, Err(CollectionError::UnknownId { .. })));
    assert!(
        collection
            .neighbors_of(&["a"].into(), &Search::nearest(0))
            .is_err()
    );
    assert!(
        collection
            .neighbors_of(&Ids::of([]).unwrap(), &Search::nearest(1))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_emptied_collection_takes_other_rows_and_ids() {
    let mut collection = three();
    collection.remove(&["a", "b", "c"].into()).unwrap();
    assert_eq!(
        (
            collection.dim(),
            collection.id_kind(),
            collection.index().len()
        ),
        (None, None, 0)
    );
    let row = Tensor::new(&[[1f64, 2.]], &Device::Cpu).unwrap();
    collection.add(Items::new([4], &row).unwrap()).unwrap();
    assert_eq!(
        (collection.dim(), collection.id_kind()),
        (Some(2), Some(IdKind::Number))
    );
    // The kinds of attributes stay.
    assert_eq!(collection.schema()[0].kind, ValueKind::Integer);
}

#[test]
fn many_removals_compact_the_rows() {
    let mut collection = Collection::new(FlatIndex::default());
    let rows = Tensor::arange(0f32, 5000.0, &Device::Cpu).unwrap();
    let ids: Vec<u64> = (0..5000).collect();
    collection
        .add(Items::new(ids, &rows.unsqueeze(1).unwrap()).unwrap())
        .unwrap();
    for id in 0..1250u64 {
        collection.remove(&[id].into()).unwrap();
    }
    assert_eq!((collection.len(), collection.index().len()), (3750, 5000));
    collection.remove(&[1250].into()).unwrap();
    assert_eq!((collection.len(), collection.index().len()), (3749, 3749));
    let found = collection.search(&row(0.0), 2).unwrap();
    let ids: Vec<IdRef<'_>> = found[0].iter().map(|hit| hit.id).collect();
    assert_eq!(ids, [IdRef::Number(1251), IdRef::Number(1252)]);
}

#[test]
fn items_go_from_one_collection_to_another_in_blocks() {
    let collection = three();
    let mut other = Collection::new(FlatIndex::default());
    for block in collection.blocks(2) {
        other.add(block.unwrap()).unwrap();
    }
    assert!(other.ids().eq(collection.ids()));
    assert_eq!(other.column("size"), collection.column("size"));
    assert_eq!(other.column("x"), None);
    assert_eq!(other.get("c").unwrap(), collection.get("c").unwrap());
    let rows = other.rows(&["c", "a"].into()).unwrap();
    assert_eq!(rows.to_vec2::<f32>().unwrap(), [[5.0], [0.0]]);
}

#[test]
fn a_collection_shows_itself_in_one_line_and_is_shared_among_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let mut collection = three();
    shared(&collection);
    assert_eq!(
        format!("{collection:?}"),
        "Collection { items: 3, folder: None, index: FlatIndex { metric: SquaredEuclidean, storage: \
         AsGiven, rows: 3, dim: Some(1), .. }, .. }"
    );
    let rows = Tensor::zeros((5000, 1), DType::F32, &Device::Cpu).unwrap();
    let ids: Vec<String> = (0..5000).map(|i| format!("id {i}")).collect();
    let items = Items::new(ids, &rows).unwrap();
    assert!(format!("{items:?}").len() < 300);
    collection.add(items).unwrap();
    for shown in [
        format!("{collection:?}"),
        format!("{:?}", collection.select(&Filter::All).unwrap()),
        format!("{:?}", collection.summary()),
    ] {
        assert!(shown.len() < 600, "{shown}");
    }
}

/// An index that has nothing but what every index has.
#[derive(Debug)]
struct Plain(FlatIndex);

impl KnnIndex for Plain {
    fn add(&mut self, references: &Tensor) -> dml_core::Result<()> {
        self.0.add(references)
    }

    fn search_others(
        &self,
        queries: &Tensor,
        k: usize,
        own: SelfMatch<'_>,
    ) -> dml_core::Result<crate::Neighbors> {
        self.0.search_others(queries, k, own)
    }

    fn search_within(
        &self,
        queries: &Tensor,
        threshold: f64,
        own: SelfMatch<'_>,
    ) -> dml_core::Result<crate::NeighborsWithin> {
        self.0.search_within(queries, threshold, own)
    }

    fn remove(&mut self, rows: &[u32]) -> dml_core::Result<usize> {
        self.0.remove(rows)
    }

    fn save(&self, path: &std::path::Path) -> std::result::Result<(), crate::IndexFileError> {
        self.0.save(path)
    }

    fn load(&mut self, path: &std::path::Path) -> std::result::Result<(), crate::IndexFileError> {
        self.0.load(path)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn to_empty(&self) -> Box<dyn KnnIndex> {
        Box::new(Self(FlatIndex::default()))
    }
}

#[test]
fn an_index_of_ones_own_is_filtered_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rows = random_rows(&mut rng, 3000, DType::F32);
    let queries = random_rows(&mut rng, 40, DType::F32);
    let (mut plain, mut flat) = (Plain(FlatIndex::default()), FlatIndex::default());
    plain.add(&rows).unwrap();
    flat.add(&rows).unwrap();
    for every in [1, 3, 700] {
        let some = crate::RowSet::from_fn(3000, |row| row % every == 0);
        for k in [1, 10, 5000] {
            let found = plain.search_among(&queries, k, &some).unwrap();
            assert_eq!(found, flat.search_among(&queries, k, &some).unwrap());
        }
    }
    let ids: Vec<u64> = (0..3000).collect();
    let mut collection = Collection::with_ids(plain, ids).unwrap();
    collection.remove(&[0].into()).unwrap();
    assert!(collection.search(&queries, 2).is_ok());
    assert!(matches!(
        collection.get(1u64),
        Err(CollectionError::Index(dml_core::Error::Unsupported { .. }))
    ));
    let both = Search::nearest(1).closer_than(1.0);
    assert!(collection.search_with(&queries, &both).is_err());
}
