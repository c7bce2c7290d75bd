//! Rows that are equal, as one node of the graph.
//!
//! A node is linked with the nearest others. Among a thousand copies of a row these are copies, and no walk leaves them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

/// No row.
const NONE: u32 = u32::MAX;

/// Which rows are which node. Keys of nodes are small numbers, and are used again where all rows of a node are gone.
#[derive(Default)]
pub(super) struct EqualRows {
    /// The node of every row.
    keys: Vec<u32>,
    /// The next row of the same node.
    next: Vec<u32>,
    /// The first and the last row of every node.
    ends: Vec<(u32, u32)>,
    /// Keys that may be given to new nodes.
    free: Vec<u32>,
    /// Nodes by the hashes of their rows, or by the first number behind that is not taken; made when it is needed.
    by_hash: Option<HashMap<u64, u32>>,
}

impl EqualRows {
    /// From the node of every row, of `nodes` nodes.
    pub(super) fn of_keys(keys: Vec<u32>, nodes: usize) -> Self {
        let mut rows = Self {
            ends: vec![(NONE, NONE); nodes],
            ..Self::default()
        };
        for key in keys {
            rows.push(key);
        }
        rows
    }

    /// The node of every row.
    pub(super) fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// The rows of a node, ascending.
    pub(super) fn rows_of(&self, key: u64) -> impl Iterator<Item = u32> {
        let ends = usize::try_from(key).ok().and_then(|key| self.ends.get(key));
        let first = ends.map_or(NONE, |ends| ends.0);
        let some = |row: u32| (row != NONE).then_some(row);
        std::iter::successors(some(first), move |row| some(self.next[*row as usize]))
    }

    /// Every node that has rows, with the first of them.
    pub(super) fn first_rows(&self) -> Vec<(u32, u32)> {
        let nodes = (0..).zip(self.ends.iter().map(|ends| ends.0));
        nodes.filter(|(_, row)| *row != NONE).collect()
    }

    /// Appends a row, whose place `row_at` knows as that of every row before it. Returns its node's key if that is a new one.
    pub(super) fn add<'a>(&mut self, row_at: impl Fn(u32) -> &'a [f32]) -> Option<u32> {
        let row = row_at(self.keys.len() as u32);
        let mut by_hash = self.by_hash.take().unwrap_or_else(|| self.hashed(&row_at));
        let found = place(&by_hash, row, |key| row_at(self.ends[key as usize].0));
        let (key, is_new) = match found {
            Ok(key) => (key, false),
            Err(place) => {
                let key = self.free.pop().unwrap_or(self.ends.len() as u32);
                if key as usize == self.ends.len() {
                    self.ends.push((NONE, NONE));
                }
                by_hash.insert(place, key);
                (key, true)
            }
        };
        self.by_hash = Some(by_hash);
        self.push(key);
        is_new.then_some(key)
    }

    fn push(&mut self, key: u32) {
        let row = self.keys.len() as u32;
        self.keys.push(key);
        self.next.push(NONE);
        let ends = &mut self.ends[key as usize];
        if ends.0 == NONE {
            ends.0 = row;
        } else {
            self.next[ends.1 as usize] = row;
        }
        ends.1 = row;
    }

    /// Keeps the rows that `keep` says. Returns the nodes that have no row any more; their keys are given again once
    /// [`free`](Self::free) has them.
    pub(super) fn retain(&mut self, keep: &[bool]) -> Vec<u32> {
        let keys = std::mem::take(&mut self.keys);
        let had = self.ends.iter().map(|ends| ends.0 != NONE);
        let had: Vec<bool> = had.collect();
        let free = std::mem::take(&mut self.free);
        let kept = keys.into_iter().zip(keep).filter(|(_, keep)| **keep);
        *self = Self::of_keys(kept.map(|(key, _)| key).collect(), had.len());
        self.free = free;
        let gone = had.iter().zip(&self.ends).enumerate();
        gone.filter(|(_, (had, ends))| **had && ends.0 == NONE)
            .map(|(key, _)| key as u32)
            .collect()
    }

    /// A key that no node of the graph has any more.
    pub(super) fn free(&mut self, key: u32) {
        self.free.push(key);
    }

    fn hashed<'a>(&self, row_at: impl Fn(u32) -> &'a [f32]) -> HashMap<u64, u32> {
        let mut by_hash = HashMap::with_capacity(self.ends.len());
        for (key, ends) in (0..).zip(&self.ends).filter(|(_, ends)| ends.0 != NONE) {
            let first = |key: u32| row_at(self.ends[key as usize].0);
            if let Err(place) = place(&by_hash, row_at(ends.0), first) {
                by_hash.insert(place, key);
            }
        }
        by_hash
    }
}

/// The node of a row that is equal, or the place where a new one belongs.
fn place<'a>(
    by_hash: &HashMap<u64, u32>,
    row: &[f32],
    first_of: impl Fn(u32) -> &'a [f32],
) -> Result<u32, u64> {
    let mut hasher = DefaultHasher::new();
    for x in row {
        // Adding 0 turns −0 into 0: they are equal.
        hasher.write_u32((x + 0.0).to_bits());
    }
    let mut place = hasher.finish();
    while let Some(key) = by_hash.get(&place) {
        if first_of(*key) == row {
            return Ok(*key);
        }
        place = place.wrapping_add(1);
    }
    Err(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_share_a_node_and_keys_are_given_again() {
        let mut places = vec![[1f32], [2.], [1.], [0.], [1.], [-0.0]];
        let mut rows = EqualRows::default();
        for new in [Some(0), Some(1), None, Some(2), None, None] {
            assert_eq!(rows.add(|row| &places[row as usize]), new);
        }
        let of = |rows: &EqualRows, key| rows.rows_of(key).collect::<Vec<u32>>();
        assert_eq!((of(&rows, 0), of(&rows, 2)), (vec![0, 2, 4], vec![3, 5]));
        assert_eq!(rows.rows_of(9).count(), 0);
        // One of the ones goes, and the two.
        assert_eq!(rows.retain(&[true, false, false, true, true, true]), [1]);
        places = vec![[1f32], [0.], [1.], [-0.0], [5.], [1.], [6.]];
        assert_eq!((of(&rows, 0), of(&rows, 2)), (vec![0, 2], vec![1, 3]));
        rows.free(1);
        for new in [Some(1), None, Some(3)] {
            assert_eq!(rows.add(|row| &places[row as usize]), new);
        }
        assert_eq!(rows.keys(), [0, 2, 0, 2, 1, 0, 3]);
    }
}
