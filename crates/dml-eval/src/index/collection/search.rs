//! What to search a collection for, and what is found.

use super::filter::Filter;
use super::id::IdRef;
use crate::index::RowSet;

/// An item that was found.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items};
///
/// let rows = Tensor::new(&[[0f32], [3.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new(["a", "b"], &rows)?.with_column("size", vec![Some(40), None])?)?;
/// let found = collection.search(&Tensor::new(&[[2f32]], &Device::Cpu)?, 1)?;
/// assert_eq!((found[0][0].id, found[0][0].distance), ("b".into(), 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit<'a> {
    /// The id of the item.
    pub id: IdRef<'a>,
    /// Its distance from the query, or its similarity, in the unit of the index.
    pub distance: f64,
    /// Its row in the index, until the next change of the collection.
    pub row: u32,
}

/// Items of a collection, as a filter or a closure has chosen them. It can be searched among until the collection changes.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, FlatIndex, Items, Search};
///
/// let rows = Tensor::new(&[[0f32], [1.], [2.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// collection.add(Items::new([10, 20, 30], &rows)?.with_column("size", vec![40, 41, 42])?)?;
/// let large = collection.select(&"size > 40".parse()?)?;
/// assert_eq!(large.count(), 2);
/// let query = Tensor::new(&[[0f32]], &Device::Cpu)?;
/// let found = collection.search_with(&query, &Search::nearest(1).with_selection(&large))?;
/// assert_eq!(found[0][0].id, 20u64.into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Selection {
    pub(super) rows: RowSet,
    /// The state of the collection that it is of.
    pub(super) state: u64,
}

impl Selection {
    /// Number of items.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.count()
    }

    /// The rows of the items in the index.
    #[must_use]
    pub fn rows(&self) -> &RowSet {
        &self.rows
    }
}

/// What a search returns: how many neighbours, how far away, and among which items.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Collection, Filter, FlatIndex, Items, Search};
///
/// let rows = Tensor::new(&[[0f32], [1.], [2.], [9.]], &Device::Cpu)?;
/// let mut collection = Collection::new(FlatIndex::default());
/// let colors = vec!["red", "blue", "red", "red"];
/// collection.add(Items::new(["a", "b", "c", "d"], &rows)?.with_column("color", colors)?)?;
/// let query = Tensor::new(&[[1f32]], &Device::Cpu)?;
/// let red = Filter::eq("color", "red");
/// // At a squared distance of 4 at most.
/// let search = Search::nearest(10).closer_than(4.0).with_filter(&red);
/// let found = collection.search_with(&query, &search)?;
/// let ids: Vec<String> = found[0].iter().map(|hit| hit.id.to_string()).collect();
/// assert_eq!(ids, ["a", "c"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    pub(super) k: Option<usize>,
    pub(super) threshold: Option<f64>,
    pub(super) among: Among<'a>,
}

/// The items that a search may find.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among<'a> {
    All,
    Filter(&'a Filter),
    Selection(&'a Selection),
}

impl<'a> Search<'a> {
    /// The `k` nearest items of each query, or all if there are fewer; `k` must be at least 1.
    #[must_use]
    pub fn nearest(k: usize) -> Self {
        Self {
            k: Some(k),
            threshold: None,
            among: Among::All,
        }
    }

    /// All items at most that far from a query, or at least that similar.
    #[must_use]
    pub fn within(threshold: f64) -> Self {
        Self {
            k: None,
            threshold: Some(threshold),
            among: Among::All,
        }
    }

    /// Returns the `k` nearest of them; `k` must be at least 1.
    #[must_use]
    pub fn at_most(mut self, k: usize) -> Self {
        self.k = Some(k);
        self
    }

    /// Returns those that are at most that far, or at least that similar.
    #[must_use]
    pub fn closer_than(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// Searches among the items that a filter holds for. It is evaluated once for all queries.
    #[must_use]
    pub fn with_filter(mut self, filter: &'a Filter) -> Self {
        self.among = Among::Filter(filter);
        self
    }

    /// Searches among the items of a selection.
    #[must_use]
    pub fn with_selection(mut self, selection: &'a Selection) -> Self {
        self.among = Among::Selection(selection);
        self
    }
}
