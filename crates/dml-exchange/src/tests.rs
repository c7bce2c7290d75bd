use std::path::Path;

use dml_eval::{Collection, FlatIndex, FlatMetric, Items};

use crate::made_by_others::{NUMBERS, file, kept, rows};
use crate::{ExchangeError, faiss, npy};

#[test]
fn a_collection_goes_out_and_comes_back() {
    let folder = kept();
    let mut collection = Collection::new(FlatIndex::default());
    collection
        .add(Items::new(NUMBERS, &rows()).unwrap())
        .unwrap();
    // An empty slot does not go with the others.
    collection.remove(&[4].into()).unwrap();
    let (row_file, id_file) = (
        folder.path().join("ours-collection.npy"),
        folder.path().join("ours-collection-ids.npy"),
    );
    npy::export(&collection, &row_file, &id_file).unwrap();
    let mut other = Collection::new(FlatIndex::default());
    npy::import(&mut other, &row_file, &id_file).unwrap();
    let path = folder.path().join("ours-collection.faiss");
    faiss::export(&collection, &path, FlatMetric::SquaredEuclidean).unwrap();
    let third = faiss::import(&path).unwrap();
    for other in [&other, &third] {
        assert!(other.ids().eq(collection.ids()));
        let found = other.search(&rows(), 2).unwrap();
        let found = found.iter().flatten().map(|hit| (hit.id, hit.distance));
        let want = collection.search(&rows(), 2).unwrap();
        assert!(found.eq(want.iter().flatten().map(|hit| (hit.id, hit.distance))));
    }
    assert!(npy::import(&mut other, &row_file, &id_file).is_err());
    let plain = faiss::import(&file("flat-ip.faiss")).unwrap();
    assert_eq!(
        plain.ids().map(|id| id.to_string()).collect::<String>(),
        "01234"
    );
    let missing = faiss::import(Path::new("no/such.faiss"));
    assert!(matches!(missing, Err(ExchangeError::Io { .. })));
}
