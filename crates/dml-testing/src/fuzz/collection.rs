//! The folder of a collection, of which one file is altered.

use std::fs;

use dml::eval::{Attributes, Collection, FlatIndex, Items, OpenOptions, Storage};

use super::rows;

/// The files of a folder; the first byte of an input says which of them the rest is.
const FILES: [&str; 4] = ["collection", "index-2", "items-2", "log-2"];

pub(super) fn run(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = folder();
    let name = FILES[usize::from(*which) % FILES.len()];
    fs::write(folder.path().join(name), bytes).expect("a temporary file can be written");
    for options in [
        OpenOptions::default()
            .read_only(true)
            .storage(Storage::Mapped),
        OpenOptions::default(),
    ] {
        if let Ok(mut collection) = Collection::open_with(folder.path(), options) {
            assert_eq!(collection.ids().count(), collection.len());
            let dim = collection.dim().unwrap_or(1);
            collection.search(&rows(1, dim, 0.3), 3).ok();
            collection.remove(&["b"].into()).ok();
        }
    }
}

/// A folder whose files all hold something.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let fill = || {
        let mut collection = Collection::create(folder.path(), FlatIndex::default())?;
        let items = Items::new(["a", "b", "c"], &rows(3, 4, 0.7))?;
        collection.add(items.with_column("size", vec![Some(40), None, Some(41)])?)?;
        collection.compact()?;
        drop(collection);
        let mut collection = Collection::open(folder.path())?;
        collection.remove(&["a"].into())?;
        collection.set_attributes("c", Attributes::from([("color", "red".into())]))
    };
    fill().expect("a temporary folder can be written");
    folder
}

/// Every file of the folder.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let seed = |(which, name): (usize, &&str)| {
        let mut seed = vec![which as u8];
        seed.extend(fs::read(folder.path().join(name)).expect("the folder has such a file"));
        seed
    };
    FILES.iter().enumerate().map(seed).collect()
}
