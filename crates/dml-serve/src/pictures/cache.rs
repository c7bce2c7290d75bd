//! Thumbnails that were made before, the least recently used of which go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Located;

/// A file and the longer side of its thumbnail.
type Key = (Located, u32);

/// Thumbnails in memory, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Key, (Bytes, u64)>,
    by_use: BTreeMap<u64, Key>,
    bytes: usize,
    uses: u64,
}

impl Thumbnails {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, file: &Located, side: u32) -> Option<Bytes> {
        let key = (file.clone(), side);
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, used) = state.kept.get_mut(&key)?;
        state.uses += 1;
        state.by_use.remove(used);
        *used = state.uses;
        let bytes = bytes.clone();
        state.by_use.insert(state.uses, key);
        Some(bytes)
    }

    pub(crate) fn put(&self, file: Located, side: u32, bytes: Bytes) {
        if bytes.len() > self.most {
            return;
        }
        let key = (file, side);
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        state.bytes += bytes.len();
        state.by_use.insert(state.uses, key.clone());
        if let Some((old, used)) = state.kept.insert(key, (bytes, state.uses)) {
            state.bytes -= old.len();
            state.by_use.remove(&used);
        }
        while state.bytes > self.most
            && let Some((_, key)) = state.by_use.pop_first()
        {
            if let Some((old, _)) = state.kept.remove(&key) {
                state.bytes -= old.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(name: &str) -> Located {
        Located {
            path: PathBuf::from(name),
            bytes: 1,
            modified: 1,
        }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let kept = Thumbnails::new(10);
        let put = |name, length| kept.put(file(name), 64, Bytes::from(vec![0; length]));
        put("a", 4);
        put("b", 4);
        assert!(kept.get(&file("a"), 64).is_some());
        put("c", 4);
        assert!(kept.get(&file("b"), 64).is_none());
        assert!(kept.get(&file("a"), 64).is_some() && kept.get(&file("c"), 64).is_some());
        // Another side, and another content of the same file, are other thumbnails.
        assert!(kept.get(&file("a"), 32).is_none());
        assert!(
            kept.get(
                &Located {
                    modified: 2,
                    ..file("a")
                },
                64
            )
            .is_none()
        );
        put("a", 2);
        assert_eq!(kept.state.lock().unwrap().bytes, 6);
        put("huge", 11);
        assert_eq!(kept.state.lock().unwrap().kept.len(), 2);
        put("d", 10);
        let state = kept.state.lock().unwrap();
        assert_eq!(
            (state.bytes, state.kept.len(), state.by_use.len()),
            (10, 1, 1)
        );
    }
}
