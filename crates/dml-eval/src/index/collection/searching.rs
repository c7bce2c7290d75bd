//! Searches of a collection: of the index, among the slots that hold an item and that a filter holds for.

use std::borrow::Cow;

use candle_core::Tensor;
use dml_core::{Error, Order, check};

use super::error::CollectionError;
use super::filter::{self, Filter};
use super::id::Ids;
use super::item::ItemRef;
use super::search::{Among, Hit, Search, Selection};
use super::{Collection, Result};
use crate::index::{RowSet, SelfMatch};

/// A distance or similarity, and a row.
type Found = Vec<Vec<(f64, u32)>>;

impl Collection {
    /// The `k` nearest items of every query `[queries, dim]`, closest first; all, if there are fewer.
    ///
    /// # Errors
    /// [`CollectionError::Index`] if `k` is 0, or the queries are none of the index.
    pub fn search(&self, queries: &Tensor, k: usize) -> Result<Vec<Vec<Hit<'_>>>> {
        self.search_with(queries, &Search::nearest(k))
    }

    /// What a search says of every query `[queries, dim]`, closest first.
    ///
    /// # Errors
    /// [`CollectionError::Index`] if a number is out of range, or the queries are none of the index;
    /// [`CollectionError::UnknownAttribute`] or [`CollectionError::AttributeKind`] for a filter that can't be evaluated;
    /// [`CollectionError::StaleSelection`] for a selection from before the last change.
    pub fn search_with(&self, queries: &Tensor, search: &Search<'_>) -> Result<Vec<Vec<Hit<'_>>>> {
        let among = self.among(search.among)?;
        let found = self.find(queries, search.k, search.threshold, among.as_deref())?;
        Ok(self.hits(found))
    }

    /// The items that are nearest to items, without these themselves.
    ///
    /// ```
    /// use dml_core::candle_core::{Device, Tensor};
    /// use dml_eval::{Collection, FlatIndex, Items, Search};
    ///
    /// let rows = Tensor::new(&[[0f32], [1.], [5.]], &Device::Cpu)?;
    /// let mut collection = Collection::new(FlatIndex::default());
    /// collection.add(Items::new(["a", "b", "c"], &rows)?)?;
    /// let found = collection.neighbors_of(&["c"].into(), &Search::nearest(1))?;
    /// assert_eq!((found[0][0].id, found[0][0].distance), ("b".into(), 16.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CollectionError::UnknownId`] if there is no such item, else as [`search_with`](Self::search_with).
    pub fn neighbors_of(&self, ids: &Ids, search: &Search<'_>) -> Result<Vec<Vec<Hit<'_>>>> {
        let slots = self.slots_of(ids)?;
        let among = self.among(search.among)?;
        if slots.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(k) = search.k {
            check_k(k)?;
        }
        let rows = self.state.index.rows_at(&slots)?;
        // One more, for the item itself.
        let wide = search.k.map(|k| k.saturating_add(1));
        let mut found = self.find(&rows, wide, search.threshold, among.as_deref())?;
        for (found, own) in found.iter_mut().zip(slots) {
            found.retain(|(_, slot)| *slot != own);
            found.truncate(search.k.unwrap_or(usize::MAX));
        }
        Ok(self.hits(found))
    }

    /// The items that a filter holds for.
    ///
    /// # Errors
    /// [`CollectionError::UnknownAttribute`] for an attribute that no item has ever had, [`CollectionError::AttributeKind`]
    /// for a value of another kind.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        Ok(Selection {
            rows: self.evaluate(filter)?,
            state: self.version,
        })
    }

    /// The items that a closure chooses.
    pub fn select_where(&self, mut keep: impl FnMut(ItemRef<'_>) -> bool) -> Selection {
        let live = self.state.slots.live();
        let mut keep = |slot| {
            let collection = self;
            live.contains(slot) && keep(ItemRef { collection, slot })
        };
        Selection {
            rows: RowSet::from_fn(live.rows(), &mut keep),
            state: self.version,
        }
    }

    fn evaluate(&self, filter: &Filter) -> Result<RowSet> {
        let mut rows = filter::evaluate(filter, &self.state.slots, &self.state.table)?;
        rows.intersect_with(self.state.slots.live())?;
        Ok(rows)
    }

    /// The slots that may be found; `None` if all of them.
    fn among<'a>(&'a self, among: Among<'a>) -> Result<Option<Cow<'a, RowSet>>> {
        match among {
            Among::All if self.state.slots.len() == self.state.slots.slots() => Ok(None),
            Among::All => Ok(Some(Cow::Borrowed(self.state.slots.live()))),
            Among::Filter(filter) => Ok(Some(Cow::Owned(self.evaluate(filter)?))),
            Among::Selection(selection) if selection.state != self.version => {
                Err(CollectionError::StaleSelection)
            }
            Among::Selection(selection) => Ok(Some(Cow::Borrowed(&selection.rows))),
        }
    }

    fn find(
        &self,
        queries: &Tensor,
        k: Option<usize>,
        threshold: Option<f64>,
        among: Option<&RowSet>,
    ) -> Result<Found> {
        let index = &self.state.index;
        check::shape(queries.rank() == 2, "queries", queries, "[queries, dim]")?;
        let count = queries.dims()[0];
        let Some(k) = k else {
            let threshold = threshold.unwrap_or(f64::NAN);
            let found = index.search_within(queries, threshold, SelfMatch::None)?;
            let may_find = |row: u32| among.is_none_or(|among| among.contains(row as usize));
            let found = found.iter().map(|(rows, distances)| {
                let found = distances.iter().copied().zip(rows.iter().copied());
                found.filter(|(_, row)| may_find(*row)).collect()
            });
            return Ok(found.collect());
        };
        check_k(k)?;
        let threshold = threshold
            .map(|threshold| self.reach(threshold))
            .transpose()?;
        if index.is_empty() {
            return Ok(vec![Vec::new(); count]);
        }
        let found = match among {
            None => index.search(queries, k.min(index.len()))?,
            Some(rows) => index.search_among(queries, k, rows)?,
        };
        if found.k == 0 {
            return Ok(vec![Vec::new(); count]);
        }
        let found = found.iter().map(|(rows, distances)| {
            let found = distances.iter().copied().zip(rows.iter().copied());
            found
                .take_while(|(distance, _)| threshold.is_none_or(|reach| reach.holds(*distance)))
                .collect()
        });
        Ok(found.collect())
    }

    /// How far a search reaches.
    fn reach(&self, threshold: f64) -> Result<Reach> {
        check::parameter(!threshold.is_nan(), "threshold", threshold, "a number")?;
        let order = self.state.index.order().ok_or(Error::unsupported(
            "the index",
            "it does not say whether its values are distances: implement `KnnIndex::order`",
        ))?;
        Ok(Reach { threshold, order })
    }

    fn hits(&self, found: Found) -> Vec<Vec<Hit<'_>>> {
        let hit = |(distance, row): (f64, u32)| Hit {
            id: self.state.slots.id(row as usize),
            distance,
            row,
        };
        let found = found.into_iter();
        found
            .map(|found| found.into_iter().map(hit).collect())
            .collect()
    }
}

fn check_k(k: usize) -> Result<()> {
    check::parameter(k >= 1, "k", k as f64, "a number of at least 1")?;
    Ok(())
}

/// A threshold, and which values are on the near side of it.
#[derive(Clone, Copy)]
struct Reach {
    threshold: f64,
    order: Order,
}

impl Reach {
    fn holds(self, value: f64) -> bool {
        match self.order {
            Order::LargerIsCloser => value >= self.threshold,
            Order::SmallerIsCloser => value <= self.threshold,
        }
    }
}
