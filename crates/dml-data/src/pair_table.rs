//! Tables of pairs: of images for verification, of texts to learn from.
//!
//! ```text
//! first,second,same,fold            anchor,positive,negative
//! a/1.jpg,a/2.jpg,1,0               a bird of prey,an owl,a carp
//! a/1.jpg,b/1.jpg,0,0
//! ```
//!
//! | column | contents |
//! |---|---|
//! | `first`, `second` | two paths of images, relative to the folder of the table, or two texts |
//! | `negatives` | texts or paths that are of neither, separated by `\|`, or a list; may be empty |
//! | `same` | whether both are of one class: 1, 0, `true` or `false`; may be empty |
//! | `score` | how close they are: a real number; may be empty |
//! | `fold` | the name or number of the fold; may be empty |
//! | `split` | the split that the pair belongs to; may be empty |
//!
//! `first` and `second` must be there; further columns are passed over. Where neither `same` nor `score` is a column, every
//! pair is one of the same class, as an anchor and its positive are. Other names are set in [`PairColumns`]. The formats are
//! those of a [`Manifest`](crate::manifest).

mod images;
mod lines;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::reading;
use crate::{DataError, Manifest, Result};

pub use self::images::{ImagePair, PairList};

dml_core::config! {
    /// Names of the columns of a table of pairs.
    #[derive(Eq)]
    pub struct PairColumns {
        /// One side. Default `first`.
        pub first: String = "first".to_owned(),
        /// The other side. Default `second`.
        pub second: String = "second".to_owned(),
        /// What is of neither. Default `negatives`.
        pub negatives: String = "negatives".to_owned(),
        /// Whether both sides are of one class. Default `same`.
        pub same: String = "same".to_owned(),
        /// How close both sides are. Default `score`.
        pub score: String = "score".to_owned(),
        /// Name of the fold. Default `fold`.
        pub fold: String = "fold".to_owned(),
        /// Name of the split. Default `split`.
        pub split: String = "split".to_owned(),
    }
}

dml_core::config! {
    /// How a table of pairs is read.
    #[derive(Eq)]
    pub struct PairTableConfig {
        /// Names of the columns.
        pub columns: PairColumns = PairColumns::default(),
        /// Between the negatives of a cell of text. Default `|`.
        pub separator: char = '|',
        /// Most bytes of memory that the table may take. Default [`Manifest::MEMORY_LIMIT`].
        pub memory_limit: u64 = Manifest::MEMORY_LIMIT,
    }
}

impl PairColumns {
    /// The columns `anchor`, `positive` and `negative`, as many data sets of sentence-transformers have them.
    #[must_use]
    pub fn anchors() -> Self {
        Self {
            first: "anchor".to_owned(),
            second: "positive".to_owned(),
            negatives: "negative".to_owned(),
            ..Self::default()
        }
    }

    /// The columns `sentence1`, `sentence2` and `score`, as data sets of semantic similarity have them.
    #[must_use]
    pub fn sentences() -> Self {
        Self {
            first: "sentence1".to_owned(),
            second: "sentence2".to_owned(),
            ..Self::default()
        }
    }
}

/// One line of a [`PairTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// One side: a path, as the table has it, or a text.
    pub first: String,
    /// The other side.
    pub second: String,
    /// What is of neither.
    pub negatives: Vec<String>,
    /// Whether both sides are of one class.
    pub same: Option<bool>,
    /// How close both sides are.
    pub score: Option<f64>,
    /// The name of its fold.
    pub fold: Option<String>,
    /// The split that it belongs to.
    pub split: Option<String>,
}

/// A table of pairs ([format](self)), or a part of one. Cloning is cheap.
///
/// ```
/// use dml_data::{PairColumns, PairTable, PairTableConfig};
///
/// let config = PairTableConfig { columns: PairColumns::anchors(), ..PairTableConfig::default() };
/// let pairs = PairTable::parse_with("t.csv", b"anchor,positive\na bird of prey,an owl\n", &config)?;
/// assert_eq!(pairs.pairs()[0].second, "an owl");
/// assert_eq!(pairs.pairs()[0].same, Some(true));
/// # Ok::<(), dml_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PairTable {
    path: Arc<Path>,
    pairs: Arc<[Pair]>,
}

impl PairTable {
    /// Reads a table, by the ending of its name.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::read_with(path, &PairTableConfig::default())
    }

    /// Reads a table with columns of other names.
    ///
    /// # Errors
    /// As [`Manifest::read_with`].
    pub fn read_with(path: impl AsRef<Path>, config: &PairTableConfig) -> Result<Self> {
        let path = path.as_ref();
        let mut lines = lines::PairLines::new(path, config)?;
        reading::read_file(path, &mut lines)?;
        lines.finish()
    }

    /// Reads the bytes of a table. `name` is its path, whose ending says what kind of table it is.
    ///
    /// # Errors
    /// As [`Manifest::read_with`].
    pub fn parse_with(
        name: impl AsRef<Path>,
        bytes: &[u8],
        config: &PairTableConfig,
    ) -> Result<Self> {
        let name = name.as_ref();
        let mut lines = lines::PairLines::new(name, config)?;
        reading::read_bytes(name, bytes, &mut lines)?;
        lines.finish()
    }

    /// The table.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.path
    }

    /// The lines in order.
    #[must_use]
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The names of the splits, sorted.
    #[must_use]
    pub fn splits(&self) -> Vec<&str> {
        let splits = self.pairs.iter().filter_map(|own| own.split.as_deref());
        splits.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The pairs of a split.
    ///
    /// # Errors
    /// [`DataError::NoSuchLines`] if there is none.
    pub fn split(&self, name: &str) -> Result<Self> {
        let own = self
            .pairs
            .iter()
            .filter(|own| own.split.as_deref() == Some(name));
        let pairs: Arc<[Pair]> = own.cloned().collect();
        if pairs.is_empty() {
            let found = self.splits().join(", ");
            return Err(DataError::NoSuchLines {
                file: self.path.to_path_buf(),
                column: "split",
                wanted: format!("{name:?}"),
                found: if found.is_empty() {
                    "none".to_owned()
                } else {
                    found
                },
            });
        }
        let path = Arc::clone(&self.path);
        Ok(Self { path, pairs })
    }
}

#[cfg(test)]
mod tests;
