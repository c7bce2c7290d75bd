//! Pairs of images, each image once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PairTable;
use crate::{DataError, Entry, Manifest, Result};

/// Two images, and whether they show the same class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImagePair {
    /// A line of the manifest.
    pub first: usize,
    /// Another one.
    pub second: usize,
    /// Whether both are of one class.
    pub same: bool,
}

/// Pairs of images, fold by fold. Every fold has equally many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairList {
    /// The pairs; those of the first fold come first. `fold_accuracies` of the crate `dml-eval` takes them in this order.
    pub pairs: Vec<ImagePair>,
    /// Number of folds; at least 1.
    pub folds: usize,
}

impl PairTable {
    /// The images of the pairs, each once and of no class, and the pairs of them: an embedding of each image is enough.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn images(&self) -> Result<(Manifest, PairList)> {
        let mut rows = HashMap::new();
        let mut entries = Vec::new();
        for pair in self.pairs() {
            for side in [&pair.first, &pair.second] {
                let path = self.path_of(side);
                if !rows.contains_key(&path) {
                    rows.insert(path.clone(), entries.len());
                    entries.push(Entry::new(path, ""));
                }
            }
        }
        let manifest = Manifest::new(self.source(), entries)?;
        let list = self.list(|path| rows.get(path).copied())?;
        Ok((manifest, list))
    }

    /// The pairs as lines of a manifest that has their images, sorted by fold.
    ///
    /// # Errors
    /// [`DataError::Table`] for an image that the manifest doesn't have, or a pair that says neither that it is of one
    /// class nor that it isn't; [`DataError::NoSuchLines`] for folds of different sizes, or if some pairs have none.
    pub fn rows(&self, manifest: &Manifest) -> Result<PairList> {
        let entries = manifest.entries().iter().enumerate();
        let rows: HashMap<&Path, usize> = entries.map(|(row, own)| (&*own.path, row)).collect();
        self.list(|path| rows.get(path).copied())
    }

    fn path_of(&self, side: &str) -> PathBuf {
        self.source().parent().unwrap_or(Path::new("")).join(side)
    }

    fn list(&self, row: impl Fn(&Path) -> Option<usize>) -> Result<PairList> {
        let mut folds: Vec<&str> = self
            .pairs()
            .iter()
            .filter_map(|own| own.fold.as_deref())
            .collect();
        let named = folds.len();
        folds.sort_by(|a, b| crate::ClassOrder::Number.compare(a, b));
        folds.dedup();
        let count = self.pairs().len();
        if named != 0 && named != count {
            return Err(self.fault("in each line, or in none", format!("{named} of {count}")));
        }
        let mut numbered = Vec::with_capacity(count);
        for (line, pair) in (1..).zip(self.pairs()) {
            let fault = |column, expected, found: String| {
                DataError::table(self.source(), line, column, expected, found)
            };
            let find = |column, side: &str| {
                let found = row(&self.path_of(side));
                let expected = "an image that the manifest has";
                found.ok_or_else(|| {
                    fault(
                        column,
                        expected,
                        format!("{:?}", crate::error::shortened(side)),
                    )
                })
            };
            let same = pair
                .same
                .ok_or_else(|| fault("same", "1 or 0", "nothing".to_owned()))?;
            let own = ImagePair {
                first: find("first", &pair.first)?,
                second: find("second", &pair.second)?,
                same,
            };
            let fold = pair.fold.as_deref().map_or(0, |fold| {
                let order = |own: &&str| crate::ClassOrder::Number.compare(own, fold);
                folds.binary_search_by(order).unwrap_or(0)
            });
            numbered.push((fold, own));
        }
        numbered.sort_by_key(|(fold, _)| *fold);
        let folds = folds.len().max(1);
        let each = count / folds;
        let mut places = numbered.iter().enumerate();
        if !count.is_multiple_of(folds) || places.any(|(place, (fold, _))| place / each != *fold) {
            return Err(self.fault(
                "of folds of one size",
                format!("{count} lines in {folds} folds"),
            ));
        }
        let pairs = numbered.into_iter().map(|(_, pair)| pair).collect();
        Ok(PairList { pairs, folds })
    }

    fn fault(&self, wanted: &str, found: String) -> DataError {
        DataError::NoSuchLines {
            file: self.source().to_path_buf(),
            column: "fold",
            wanted: wanted.to_owned(),
            found,
        }
    }
}
