//! What is known of tensors, for as long as somebody holds it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use candle_core::{Tensor, TensorId};

/// How many old entries an insertion looks at: more than it adds, so that entries nobody holds are gone after as many
/// insertions as there are entries.
const VISITED: usize = 2;

/// What is known of tensors, by their ids: one map a thread. It holds nothing alive; who hands something over does, in
/// the node of the graph that made the tensor.
///
/// An insertion takes the same time however many entries there are: it visits a few of the old ones in turn, and forgets
/// those that nobody holds any more.
pub(crate) struct ByTensor<K: ?Sized>(RefCell<Entries<K>>);

struct Entries<K: ?Sized> {
    map: HashMap<TensorId, Weak<K>>,
    /// Every key of the map once, the one to be visited next in front.
    turn: VecDeque<TensorId>,
}

impl<K: ?Sized> ByTensor<K> {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(Entries {
            map: HashMap::new(),
            turn: VecDeque::new(),
        }))
    }

    /// What is known of a tensor.
    pub(crate) fn get(&self, tensor: &Tensor) -> Option<Arc<K>> {
        self.0.borrow().map.get(&tensor.id())?.upgrade()
    }

    /// Remembers what is known of a tensor; returns how many old entries were visited.
    pub(crate) fn insert(&self, tensor: &Tensor, known: &Arc<K>) -> usize {
        let Entries { map, turn } = &mut *self.0.borrow_mut();
        let visits = VISITED.min(turn.len());
        for _ in 0..visits {
            let Some(id) = turn.pop_front() else { break };
            if map.get(&id).is_some_and(|known| known.strong_count() > 0) {
                turn.push_back(id);
            } else {
                map.remove(&id);
            }
        }
        if map.insert(tensor.id(), Arc::downgrade(known)).is_none() {
            turn.push_back(tensor.id());
        }
        visits
    }

    /// Of how many tensors something is remembered.
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
    fn what_nobody_holds_is_forgotten() -> Result<()> {
        let tensors = numbers(3)?;
        let [a, b, c] = tensors.as_slice() else {
            unreachable!()
        };
        let known = ByTensor::new();
        let (one, two) = (Arc::new(1), Arc::new(2));
        known.insert(a, &one);
        assert_eq!((known.get(a), known.get(b)), (Some(one.clone()), None));
        drop(one);
        assert_eq!(known.get(a), None);
        known.insert(b, &two);
        assert_eq!((known.get(b), known.len()), (Some(two.clone()), 1));
        // What is known of a tensor anew takes the place of what was.
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
        let known = ByTensor::new();
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
