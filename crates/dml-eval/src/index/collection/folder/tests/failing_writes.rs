//! A disk that takes nothing more.

use super::*;

#[test]
fn what_can_not_be_written_has_not_happened() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut collection = Collection::create(&path, FlatIndex::default()).unwrap();
    collection.add(items(["a", "b"], 1.0)).unwrap();
    let before = content(&collection);
    // A disk that is full, which can't be cut short either.
    let end = End {
        bytes: 0,
        changes: 0,
    };
    let full = std::os::unix::fs::symlink("/dev/full", folder.path().join("full"));
    full.unwrap();
    let log = Log::open(&folder.path().join("full"), end, Durability::EachCall);
    let Ok(log) = log else { return };
    let own = collection.folder.as_mut().unwrap().writer.as_mut().unwrap();
    let intact = std::mem::replace(&mut own.log, log);
    for _ in 0..2 {
        assert!(collection.add(items(["c"], 2.0)).is_err());
        assert!(collection.remove(&["a"].into()).is_err());
        assert!(
            collection
                .set_attributes("a", Attributes::from([("x", 1.into())]))
                .is_err()
        );
        assert_eq!(content(&collection), before);
        assert_eq!(collection.index().len(), 2);
    }
    let own = collection.folder.as_mut().unwrap().writer.as_mut().unwrap();
    own.log = intact;
    collection.add(items(["c"], 2.0)).unwrap();
    drop(collection);
    assert_eq!(Collection::open(&path).unwrap().len(), 3);
}
