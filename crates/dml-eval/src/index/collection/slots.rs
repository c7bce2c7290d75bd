//! Which item is in which slot.
//!
//! A slot is a row number of the index. The slot of an item that is removed stays, empty, until rows are compacted; so rows of
//! other items keep their numbers, and to remove an item costs a look-up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::error::CollectionError;
use super::id::{IdKind, IdRef, Ids, List};
use crate::index::RowSet;

/// From this share of empty slots on rows are compacted, ...
const EMPTY_SHARE: usize = 4;
/// ... if so many are empty.
const FEWEST_EMPTY: usize = 1024;

/// The ids of the slots, and the slots of the ids.
#[derive(Clone)]
pub(super) struct Slots {
    ids: SlotIds,
    /// The slots that hold an item.
    live: RowSet,
    /// How many these are.
    count: usize,
}

#[derive(Clone)]
enum SlotIds {
    Numbers(Both<u64>),
    Texts(Both<Arc<str>>),
}

/// Ids by slot, of empty slots too, and slots by id.
#[derive(Clone)]
struct Both<T> {
    ids: Vec<T>,
    slots: HashMap<T, u32>,
}

impl<T: Hash + Eq + Clone> Both<T> {
    fn new() -> Self {
        Self {
            ids: Vec::new(),
            slots: HashMap::new(),
        }
    }

    /// Puts ids into new slots; hands the slots that they had before to `replaced`.
    fn append(&mut self, ids: &[T], mut replaced: impl FnMut(u32)) {
        for id in ids {
            let slot = self.ids.len() as u32;
            self.ids.push(id.clone());
            if let Some(old) = self.slots.insert(id.clone(), slot) {
                replaced(old);
            }
        }
    }

    fn retain(&mut self, keep: &RowSet) {
        let mut slot = 0;
        self.ids.retain(|_| {
            slot += 1;
            keep.contains(slot - 1)
        });
        self.slots = (0..)
            .zip(&self.ids)
            .map(|(slot, id)| (id.clone(), slot))
            .collect();
    }
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            ids: SlotIds::Numbers(Both::new()),
            live: RowSet::none(0),
            count: 0,
        }
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Number of slots, empty ones included.
    pub(super) fn slots(&self) -> usize {
        self.live.rows()
    }

    /// The slots that hold an item.
    pub(super) fn live(&self) -> &RowSet {
        &self.live
    }

    /// The kind of the ids; `None` before there are any.
    pub(super) fn kind(&self) -> Option<IdKind> {
        match &self.ids {
            _ if self.slots() == 0 => None,
            SlotIds::Numbers(_) => Some(IdKind::Number),
            SlotIds::Texts(_) => Some(IdKind::Text),
        }
    }

    /// The slot of an item.
    pub(super) fn get(&self, id: IdRef<'_>) -> Option<u32> {
        match (&self.ids, id) {
            (SlotIds::Numbers(both), IdRef::Number(number)) => both.slots.get(&number).copied(),
            (SlotIds::Texts(both), IdRef::Text(text)) => both.slots.get(text).copied(),
            _ => None,
        }
    }

    /// The id of a slot, which must be there.
    pub(super) fn id(&self, slot: usize) -> IdRef<'_> {
        match &self.ids {
            SlotIds::Numbers(both) => IdRef::Number(both.ids[slot]),
            SlotIds::Texts(both) => IdRef::Text(&both.ids[slot]),
        }
    }

    /// Whether the ids are of the kind of those that are there.
    pub(super) fn check_kind(&self, ids: &Ids) -> Result<(), CollectionError> {
        match (self.kind(), ids.get(0)) {
            (Some(expected), Some(got)) if got.kind() != expected => {
                Err(CollectionError::id_kind(expected, got))
            }
            _ => Ok(()),
        }
    }

    /// Puts items, whose ids are of the right kind, into new slots; returns how many of them have replaced others.
    pub(super) fn append(&mut self, ids: &Ids) -> usize {
        if self.slots() == 0 {
            self.ids = match &ids.0 {
                List::Numbers(_) => SlotIds::Numbers(Both::new()),
                List::Texts(_) => SlotIds::Texts(Both::new()),
            };
        }
        self.live.grow(ids.len(), true);
        let mut replaced = 0;
        let live = &mut self.live;
        let clear = |slot| replaced += usize::from(live.remove(slot));
        match (&mut self.ids, &ids.0) {
            (SlotIds::Numbers(both), List::Numbers(ids)) => both.append(ids, clear),
            (SlotIds::Texts(both), List::Texts(ids)) => both.append(ids, clear),
            _ => {}
        }
        self.count += ids.len() - replaced;
        replaced
    }

    /// Takes an item out; returns whether it was there.
    pub(super) fn remove(&mut self, id: IdRef<'_>) -> bool {
        let slot = match (&mut self.ids, id) {
            (SlotIds::Numbers(both), IdRef::Number(number)) => both.slots.remove(&number),
            (SlotIds::Texts(both), IdRef::Text(text)) => both.slots.remove(text),
            _ => None,
        };
        let was_there = slot.is_some_and(|slot| self.live.remove(slot));
        self.count -= usize::from(was_there);
        was_there
    }

    /// Whether so many slots are empty that rows are to be compacted.
    pub(super) fn are_sparse(&self) -> bool {
        let empty = self.slots() - self.count;
        let many = empty > FEWEST_EMPTY && empty > self.slots() / EMPTY_SHARE;
        many || (self.count == 0 && empty > 0)
    }

    /// The slots that are empty.
    pub(super) fn empty(&self) -> Vec<u32> {
        let mut empty = self.live.clone();
        empty.complement();
        empty.iter().collect()
    }

    /// Takes the empty slots out: the others get numbers without gaps, in their order.
    pub(super) fn compact(&mut self) {
        match &mut self.ids {
            SlotIds::Numbers(both) => both.retain(&self.live),
            SlotIds::Texts(both) => both.retain(&self.live),
        }
        self.live = RowSet::all(self.count);
    }

    /// The ids of the items, in the order of their slots.
    pub(super) fn ids(&self) -> Ids {
        let live = self.live.iter().map(|slot| slot as usize);
        Ids(match &self.ids {
            SlotIds::Numbers(both) => List::Numbers(live.map(|slot| both.ids[slot]).collect()),
            SlotIds::Texts(both) => {
                List::Texts(live.map(|slot| Arc::clone(&both.ids[slot])).collect())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_stay_until_they_are_compacted() {
        let mut slots = Slots::new();
        assert_eq!(slots.append(&Ids::from(["a", "b", "c"])), 0);
        assert_eq!(slots.append(&Ids::from(["b", "d"])), 1);
        assert_eq!((slots.len(), slots.slots()), (4, 5));
        assert_eq!(slots.get("b".into()), Some(3));
        assert!(slots.remove("a".into()) && !slots.remove("a".into()));
        assert!(!slots.remove(1u64.into()));
        assert_eq!((slots.len(), slots.get("c".into())), (3, Some(2)));
        assert_eq!(slots.empty(), [0, 1]);
        slots.compact();
        assert_eq!(slots.ids(), Ids::from(["c", "b", "d"]));
        assert_eq!((slots.get("d".into()), slots.id(0)), (Some(2), "c".into()));
        assert_eq!(slots.live(), &RowSet::all(3));
        assert!(!slots.are_sparse());
        for id in ["b", "c", "d"] {
            slots.remove(id.into());
        }
        // Without items everything may be forgotten, the kind of the ids too.
        assert!(slots.are_sparse());
        slots.compact();
        assert_eq!(slots.kind(), None);
        slots.append(&Ids::from([7]));
        assert_eq!(
            (slots.kind(), slots.id(0)),
            (Some(IdKind::Number), 7.into())
        );
    }

    #[test]
    fn ids_of_another_kind_are_refused() {
        let mut slots = Slots::new();
        slots.append(&Ids::from([1]));
        assert!(slots.check_kind(&Ids::from([2])).is_ok());
        assert!(slots.check_kind(&Ids::from(["a"])).is_err());
    }

    #[test]
    fn a_quarter_of_empty_slots_is_too_many() {
        let mut slots = Slots::new();
        let ids: Vec<u64> = (0..8000).collect();
        slots.append(&ids.into());
        (0..2000).for_each(|id| assert!(slots.remove(id.into())));
        assert!(!slots.are_sparse());
        slots.remove(2000u64.into());
        assert!(slots.are_sparse());
    }
}
