//! What is known of tensors, for as long as somebody holds it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use candle_core::{Tensor, TensorId};

/// What is known of tensors, by their ids: one map a thread. It holds nothing alive; who hands something over does, in
/// the node of the graph that made the tensor.
pub(crate) struct ByTensor<K: ?Sized>(RefCell<HashMap<TensorId, Weak<K>>>);

impl<K: ?Sized> ByTensor<K> {
    pub(crate) fn new() -> Self {
        Self(RefCell::default())
    }

    /// What is known of a tensor.
    pub(crate) fn get(&self, tensor: &Tensor) -> Option<Arc<K>> {
        self.0.borrow().get(&tensor.id())?.upgrade()
    }

    /// Remembers what is known of a tensor, and forgets what nobody holds any more.
    pub(crate) fn insert(&self, tensor: &Tensor, known: &Arc<K>) {
        let mut map = self.0.borrow_mut();
        map.retain(|_, known| known.strong_count() > 0);
        map.insert(tensor.id(), Arc::downgrade(known));
    }

    /// Of how many tensors something is remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use candle_core::Device;

    #[test]
    fn what_nobody_holds_is_forgotten() -> Result<()> {
        let [a, b] = [1f32, 2.].map(|x| Tensor::new(x, &Device::Cpu));
        let (a, b) = (a?, b?);
        let known = ByTensor::new();
        let (one, two) = (Arc::new(1), Arc::new(2));
        known.insert(&a, &one);
        assert_eq!((known.get(&a), known.get(&b)), (Some(one.clone()), None));
        drop(one);
        assert_eq!(known.get(&a), None);
        known.insert(&b, &two);
        assert_eq!((known.get(&b), known.len()), (Some(two), 1));
        Ok(())
    }
}
