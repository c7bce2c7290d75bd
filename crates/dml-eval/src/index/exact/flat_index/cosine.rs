//! Cosines in [−1, 1], however the rows' lengths were rounded.
//!
//! The product of two rows of length 1 may be 1 + 10⁻⁷. It is a cosine of 1 then, and so are all products above 1: they are
//! ties, which go to the lower row. The same holds at −1.

use candle_core::Tensor;
use dml_core::Result;

use super::FlatIndex;
use crate::index::{Neighbors, NeighborsWithin};

/// Where the ties of a ranking at either end begin and end: `..head` are 1, `tail..` are −1.
fn ends(products: &[f64]) -> (usize, usize) {
    (
        products.partition_point(|product| *product >= 1.0),
        products.partition_point(|product| *product > -1.0),
    )
}

/// Puts the ends of a ranking, closest first, into [−1, 1] and the order of their rows.
fn clamp(products: &mut [f64], rows: &mut [u32]) {
    let (head, tail) = ends(products);
    rows[..head].sort_unstable();
    products[..head].fill(1.0);
    rows[tail..].sort_unstable();
    products[tail..].fill(-1.0);
}

impl FlatIndex {
    /// The `k` nearest by cosine of prepared queries, from searches by product.
    ///
    /// `search(k)` gives the `k` nearest of each query; `findable(q)` is the number of rows that query `q` may find, and
    /// `ties(query, q)` are the rows that query `q` may find and whose product with another query is at least 1.
    pub(super) fn search_cosine(
        &self,
        queries: &Tensor,
        k: usize,
        search: impl FnOnce(usize) -> Result<Neighbors>,
        findable: impl Fn(usize) -> usize,
        ties: impl Fn(&Tensor, usize) -> Result<Vec<u32>>,
    ) -> Result<Neighbors> {
        let count = queries.dims()[0];
        let fewest = (0..count).map(&findable).min().unwrap_or(k);
        // One more shows whether a tie goes on behind the last one.
        let found = search((k + 1).min(fewest))?;
        let mut nearest = Neighbors::with_capacity(count, k);
        for (q, (rows, products)) in found.iter().enumerate() {
            let is_all = findable(q) == k;
            let last = products.get(k).copied().unwrap_or(products[k - 1]);
            let (mut products, mut rows) = (products[..k].to_vec(), rows[..k].to_vec());
            let (head, tail) = ends(&products);
            if !is_all && (last >= 1.0 || tail < k) {
                let sign = if last >= 1.0 { 1.0 } else { -1.0 };
                let query = (queries.narrow(0, q, 1)? * sign)?;
                let mut ties = ties(&query, q)?;
                ties.sort_unstable();
                let place = if sign > 0.0 { 0..head } else { tail..k };
                let count = place.len();
                rows[place].copy_from_slice(&ties[..count]);
            }
            clamp(&mut products, &mut rows);
            nearest.extend(products.into_iter().zip(rows));
        }
        Ok(nearest)
    }

    /// All of prepared queries with a cosine of at least `threshold`.
    pub(super) fn within_cosine(
        &self,
        queries: &Tensor,
        threshold: f64,
        self_matches: impl Fn(usize) -> Option<u32> + Sync,
    ) -> Result<NeighborsWithin> {
        // No cosine is above 1, and none below −1.
        let threshold = match threshold {
            above if above > 1.0 => f64::INFINITY,
            below if below <= -1.0 => f64::NEG_INFINITY,
            threshold => threshold,
        };
        let mut within = self.within_prepared(queries, threshold, self_matches)?;
        for ends in within.offsets.windows(2) {
            let range = ends[0]..ends[1];
            clamp(
                &mut within.distances[range.clone()],
                &mut within.indices[range],
            );
        }
        Ok(within)
    }
}

#[cfg(test)]
mod tests;
