//! Data about tensors, beside the tensors.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use candle_core::{Tensor, TensorId};

/// Number of old entries that an insertion visits. It is larger than the number that an insertion adds, so that dead entries
/// are removed after as many insertions as there are entries.
const VISITED: usize = 2;

/// Data about tensors by their ids. The table holds weak references: the node of the graph that made a tensor keeps the
/// data alive.
///
/// The time of an insertion does not depend on the number of entries: it visits a few of the old ones in turn, and removes the
/// dead ones among them.
pub(crate) struct SideTable<K: ?Sized>(RefCell<Entries<K>>);

struct Entries<K: ?Sized> {
    map: HashMap<TensorId, Weak<K>>,
    /// Every key of the map once, the next one to visit in front.
    turn: VecDeque<TensorId>,
}

impl<K: ?Sized> SideTable<K> {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(Entries {
            map: HashMap::new(),
            turn: VecDeque::new(),
        }))
    }

    /// The data of a tensor, if they are still alive.
    pub(crate) fn get(&self, tensor: &Tensor) -> Option<Arc<K>> {
        self.0.borrow().map.get(&tensor.id())?.upgrade()
    }

    /// Sets the data of a tensor; returns how many old entries were visited.
    pub(crate) fn insert(&self, tensor: &Tensor, data: &Arc<K>) -> usize {
        let Entries { map, turn } = &mut *self.0.borrow_mut();
        let visits = VISITED.min(turn.len());
        for _ in 0..visits {
            let Some(id) = turn.pop_front() else { break };
            if map.get(&id).is_some_and(|data| data.strong_count() > 0) {
                turn.push_back(id);
            } else {
                map.remove(&id);
            }
        }
        if map.insert(tensor.id(), Arc::downgrade(data)).is_none() {
            turn.push_back(tensor.id());
        }
        visits
    }

    /// Number of entries, dead ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use candle_core::Device;

    fn numbers(count: usize) -> Result<Vec<Tensor>> {
        let number = |i| Ok(Tensor::new(i as f32, &Device::Cpu)?);
        (0..count).map(number).collect()
    }

    #[test]
    fn dead_entries_are_removed() -> Result<()> {
        let tensors = numbers(3)?;
        let [a, b, c] = tensors.as_slice() else {
            unreachable!()
        };
        let known = SideTable::new();
        let (one, two) = (Arc::new(1), Arc::new(2));
        known.insert(a, &one);
        assert_eq!((known.get(a), known.get(b)), (Some(one.clone()), None));
        drop(one);
        assert_eq!(known.get(a), None);
        known.insert(b, &two);
        assert_eq!((known.get(b), known.len()), (Some(two.clone()), 1));
        // New data replace the old.
        known.insert(b, &two);
        known.insert(c, &two);
        assert_eq!(
            (known.get(b), known.get(c), known.len()),
            (Some(two.clone()), Some(two), 2)
        );
        Ok(())
    }

    #[test]
    fn an_insertion_visits_as_many_entries_however_many_are_kept() -> Result<()> {
        let tensors = numbers(4000)?;
        let known = SideTable::new();
        let mut kept = Vec::new();
        for tensor in &tensors[..2000] {
            let value = Arc::new(());
            assert!(known.insert(tensor, &value) <= VISITED);
            kept.push(value);
        }
        assert_eq!(known.len(), 2000);
        assert!(
            tensors[..2000]
                .iter()
                .all(|tensor| known.get(tensor).is_some())
        );
        kept.clear();
        for tensor in &tensors[2000..] {
            known.insert(tensor, &Arc::new(()));
        }
        assert!(known.len() <= 2, "{} entries are left", known.len());
        Ok(())
    }
}
