//! Weights in several files, listed by an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::entry::Entry;
use super::{read_file, storage};
use crate::error::{ModelError, Result, listed};

/// Most bytes of an index.
const MOST_BYTES: u64 = 100_000_000;
/// Most files that an index may list.
const MOST_FILES: usize = 10_000;

/// The index that transformers writes beside shards.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The entries of all shards. Names and files have to agree with the index.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let wrong = |problem: String| ModelError::format(path, problem);
    let (mut file, total) = storage::open(path)?;
    if total > MOST_BYTES {
        return Err(wrong(format!(
            "expected an index of at most {MOST_BYTES} bytes, found {total}"
        )));
    }
    let text = storage::bytes(&mut file, path, 0, total as usize)?;
    let index: Index = serde_json::from_slice(&text).map_err(|error| {
        wrong(format!(
            "expected an index of shards (`weight_map`), found {error}"
        ))
    })?;
    let files: BTreeSet<&String> = index.weight_map.values().collect();
    if files.len() > MOST_FILES {
        return Err(wrong(format!(
            "expected at most {MOST_FILES} shards, found {}",
            files.len()
        )));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut entries = BTreeMap::new();
    for file in files {
        let mut parts = Path::new(file).components();
        // A shard lies beside its index: an index must not reach other files of the machine.
        if !matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Err(wrong(format!(
                "expected the name of a file beside the index, found {file:?}"
            )));
        }
        for (name, entry) in read_file(&folder.join(file))? {
            if index.weight_map.get(&name) == Some(file) {
                entries.insert(name, entry);
            }
        }
    }
    let absent: Vec<String> = index
        .weight_map
        .into_keys()
        .filter(|name| !entries.contains_key(name))
        .collect();
    if absent.is_empty() {
        Ok(entries)
    } else {
        Err(wrong(format!(
            "expected tensors that the shards lack: {}",
            listed(&absent)
        )))
    }
}
