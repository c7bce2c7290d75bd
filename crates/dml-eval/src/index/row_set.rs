//! A set of rows of an index, as one bit a row.
//!
//! ```text
//! memory   rows / 8 bytes
//! contains O(1); count, iteration and set operations O(rows / 64)
//! ```

use std::ops::Range;

use dml_core::{Error, Result, check};

/// Rows of a word.
const WORD: usize = 64;

/// Some of the rows of an index: those that a filtered search may find.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{FlatIndex, KnnIndex, RowSet};
///
/// let mut index = FlatIndex::default();
/// index.add(&Tensor::new(&[[0f32], [1.], [2.], [3.]], &Device::Cpu)?)?;
/// let even = RowSet::from_fn(index.len(), |row| row % 2 == 0);
/// let query = Tensor::new(&[[1f32]], &Device::Cpu)?;
/// assert_eq!(index.search_among(&query, 2, &even)?.indices, [0, 2]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RowSet {
    /// One bit a row; bits behind the last row are 0.
    words: Vec<u64>,
    rows: usize,
}

dml_core::debug_fields!(RowSet, |own| { count: own.count(), rows: own.rows });

impl RowSet {
    /// None of the `rows` rows of an index.
    #[must_use]
    pub fn none(rows: usize) -> Self {
        Self {
            words: vec![0; rows.div_ceil(WORD)],
            rows,
        }
    }

    /// All of the `rows` rows of an index.
    #[must_use]
    pub fn all(rows: usize) -> Self {
        let mut all = Self {
            words: vec![u64::MAX; rows.div_ceil(WORD)],
            rows,
        };
        all.clear_rest();
        all
    }

    /// Those of `rows` rows for which `keep(row)` holds.
    ///
    /// ```
    /// use dml_eval::RowSet;
    ///
    /// let even = RowSet::from_fn(5, |row| row % 2 == 0);
    /// assert_eq!(even.iter().collect::<Vec<u32>>(), [0, 2, 4]);
    /// ```
    #[must_use]
    pub fn from_fn(rows: usize, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut set = Self::none(rows);
        for (word, first) in set.words.iter_mut().zip((0..).step_by(WORD)) {
            for bit in 0..WORD.min(rows - first) {
                *word |= u64::from(keep(first + bit)) << bit;
            }
        }
        set
    }

    /// The listed ones of `rows` rows.
    ///
    /// # Errors
    /// [`Error::Index`] if a listed row is not below `rows`.
    pub fn from_rows(rows: usize, listed: impl IntoIterator<Item = u32>) -> Result<Self> {
        let mut set = Self::none(rows);
        for (position, row) in listed.into_iter().enumerate() {
            if !set.put(row as usize) {
                return Err(Error::Index {
                    arg: "rows",
                    position,
                    limit: rows,
                    got: i64::from(row),
                });
            }
        }
        Ok(set)
    }

    /// Number of rows of the index, in the set or not.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of rows in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        let ones = self.words.iter().map(|word| word.count_ones() as usize);
        ones.sum()
    }

    /// Whether the row is in the set; `false` for a row that the index does not have.
    #[must_use]
    #[inline]
    pub fn contains(&self, row: usize) -> bool {
        let word = self.words.get(row / WORD).copied().unwrap_or(0);
        word >> (row % WORD) & 1 == 1
    }

    /// Puts a row into the set.
    ///
    /// # Errors
    /// [`Error::Index`] if the index does not have the row.
    pub fn insert(&mut self, row: u32) -> Result<()> {
        if self.put(row as usize) {
            return Ok(());
        }
        Err(Error::Index {
            arg: "row",
            position: 0,
            limit: self.rows,
            got: i64::from(row),
        })
    }

    /// Takes a row out of the set; returns whether it was there.
    pub fn remove(&mut self, row: u32) -> bool {
        let row = row as usize;
        let is_in = self.contains(row);
        if is_in {
            self.words[row / WORD] &= !(1 << (row % WORD));
        }
        is_in
    }

    /// The rows in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.iter_within(0..self.rows)
    }

    /// Keeps the rows that are in both sets.
    ///
    /// # Errors
    /// [`Error::Length`] if the sets are of indexes of different sizes.
    pub fn intersect_with(&mut self, other: &Self) -> Result<()> {
        check::length("row set", self.rows, other.rows)?;
        let words = self.words.iter_mut().zip(&other.words);
        words.for_each(|(own, other)| *own &= other);
        Ok(())
    }

    /// Adds the rows of the other set.
    ///
    /// # Errors
    /// [`Error::Length`] if the sets are of indexes of different sizes.
    pub fn unite_with(&mut self, other: &Self) -> Result<()> {
        check::length("row set", self.rows, other.rows)?;
        let words = self.words.iter_mut().zip(&other.words);
        words.for_each(|(own, other)| *own |= other);
        Ok(())
    }

    /// Replaces the set by the rows that are not in it.
    pub fn complement(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clear_rest();
    }

    /// Adds a row if the index has it; returns whether it has.
    pub(crate) fn put(&mut self, row: usize) -> bool {
        if row >= self.rows {
            return false;
        }
        self.words[row / WORD] |= 1 << (row % WORD);
        true
    }

    /// Appends rows to the index, all of them in the set or none.
    pub(crate) fn grow(&mut self, more: usize, are_in: bool) {
        let first = self.rows;
        self.rows += more;
        self.words.resize(self.rows.div_ceil(WORD), 0);
        if are_in {
            (first..self.rows).for_each(|row| {
                self.put(row);
            });
        }
    }

    /// The rows in the set that lie in the range, ascending. Words without a row are skipped.
    pub(crate) fn iter_within(&self, range: Range<usize>) -> impl Iterator<Item = u32> {
        let end = range.end.min(self.rows);
        let start = range.start.min(end);
        let words = self.words[start / WORD..end.div_ceil(WORD)].iter();
        let first = start / WORD * WORD;
        let bits = words.zip((first..).step_by(WORD));
        bits.flat_map(move |(word, first)| {
            let mut word = *word;
            if first < start {
                word &= u64::MAX << (start - first);
            }
            if end - first < WORD {
                word &= (1 << (end - first)) - 1;
            }
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros())?;
                word &= word - 1;
                Some(first as u32 + bit)
            })
        })
    }

    /// The bits of 64 rows each.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bits of 64 rows each, to be written by a filter; bits behind the last row must stay 0.
    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    fn clear_rest(&mut self) {
        let used = self.rows % WORD;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(set: &RowSet) -> Vec<u32> {
        set.iter().collect()
    }

    #[test]
    fn sets_at_the_borders_of_words() {
        for rows in [0, 1, 63, 64, 65, 128, 200] {
            let all = RowSet::all(rows);
            assert_eq!((all.count(), all.rows()), (rows, rows));
            assert_eq!(list(&all), (0..rows as u32).collect::<Vec<u32>>());
            let mut none = all.clone();
            none.complement();
            assert_eq!(none, RowSet::none(rows));
            assert!(!all.contains(rows) && !all.contains(usize::MAX));
            let odd = RowSet::from_fn(rows, |row| row % 2 == 1);
            assert_eq!(odd.count(), rows / 2);
            let listed = RowSet::from_rows(rows, odd.iter()).unwrap();
            assert_eq!(listed, odd);
            for start in [0, 1, 60, 64, 70, 300] {
                for end in [0, 1, 63, 64, 66, 200, 300] {
                    let within: Vec<u32> = odd.iter_within(start..end).collect();
                    let want = list(&odd).into_iter();
                    let want = want.filter(|row| (start..end).contains(&(*row as usize)));
                    assert_eq!(within, want.collect::<Vec<u32>>(), "{rows} {start}..{end}");
                }
            }
        }
    }

    #[test]
    fn rows_come_and_go() {
        let mut set = RowSet::none(70);
        set.insert(69).unwrap();
        set.insert(3).unwrap();
        assert!(matches!(
            set.insert(70),
            Err(Error::Index {
                limit: 70,
                got: 70,
                ..
            })
        ));
        assert!(set.remove(3) && !set.remove(3) && !set.remove(1000));
        set.grow(60, true);
        set.grow(1, false);
        assert_eq!((set.count(), set.rows()), (61, 131));
        assert_eq!(list(&set)[..2], [69, 70]);
        assert!(RowSet::from_rows(3, [0, 3]).is_err());
    }

    #[test]
    fn operations_need_sets_of_one_size() {
        let mut low = RowSet::from_fn(100, |row| row < 60);
        let high = RowSet::from_fn(100, |row| row >= 50);
        let mut both = low.clone();
        both.unite_with(&high).unwrap();
        assert_eq!(both, RowSet::all(100));
        low.intersect_with(&high).unwrap();
        assert_eq!(list(&low), (50..60).collect::<Vec<u32>>());
        assert!(low.intersect_with(&RowSet::all(99)).is_err());
        assert!(low.unite_with(&RowSet::all(101)).is_err());
        assert_eq!(format!("{low:?}"), "RowSet { count: 10, rows: 100, .. }");
    }
}
