//! Re-ranking by reciprocal neighbours: what is near each other in both directions is most likely the same.
//!
//! Over the `n` rows of queries and gallery together, `N(p, k)` the k nearest rows of p and p itself, `d(p, g)` the squared
//! Euclidean distance as a share of the largest of p:
//!
//! ```text
//! R(p, k)    the g in N(p, k) with p in N(g, k)
//! R*(p)      R(p, k1) and every R(q, k1/2), q in R(p, k1), that has at least 2/3 of it in R(p, k1)
//! V_p[g]     exp(−d(p, g)) for g in R*(p), else 0;  divided by their sum;  then the mean of V over N(p, k2 − 1)
//! d_J(p, g)  1 − Σ min(V_p, V_g) / Σ max(V_p, V_g)
//! distance   (1 − λ) d_J(p, g) + λ d(p, g)
//! ```
//!
//! Zhong, Zheng, Cao and Li, "Re-ranking Person Re-identification with k-reciprocal Encoding" (2017, arXiv:1701.08398). As in
//! the paper, "at least 2/3" includes exactly 2/3. Memory `O(n k1²)` beside the result, `[queries, gallery]`, and no matrix of
//! all pairs.

use candle_core::{DType, Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::kernels::exact::squared_distance;
use dml_core::{Result, check};
use rayon::prelude::*;

use super::sparse::{SparseRow, columns, mean, shared};
use crate::index::{FlatIndex, KnnIndex, Neighbors, SelfMatch};
use crate::kernels::nearest::closest_of_rows;
use crate::rows::{checked_rows, rows_like};

dml_core::config! {
    /// Configuration of [`KReciprocal`], by the paper's names.
    pub struct KReciprocalConfig {
        /// Neighbours that may be reciprocal; 1 to 4,294,967,295. Default 20.
        pub k1: usize = 20,
        /// Rows, the row itself among them, whose encodings are averaged; 1 to 4,294,967,295. Default 6.
        pub k2: usize = 6,
        /// `λ`, how much the distance itself counts; in `[0, 1]`. Default 0.3.
        pub lambda: f64 = 0.3,
    }
}

/// Distances of queries and a gallery that know of all their neighbours; [formulas](self).
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{KReciprocal, KReciprocalConfig};
///
/// let query = Tensor::new(&[[0f32], [10.]], &Device::Cpu)?;
/// let gallery = Tensor::new(&[[1f32], [2.], [9.]], &Device::Cpu)?;
/// let config = KReciprocalConfig { k1: 1, k2: 1, lambda: 0.0 };
/// let distances = KReciprocal::new(config)?.distances(&query, &gallery)?.to_vec2::<f32>()?;
/// // 10 and 9 are each other's nearest, and of 0, 1 and 2 the first two are.
/// assert!(distances[1][2] < 1.0 && distances[1][0] == 1.0);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct KReciprocal {
    config: KReciprocalConfig,
}

impl KReciprocal {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if an argument is outside of its range.
    pub fn new(config: KReciprocalConfig) -> Result<Self> {
        check::at_least_one("k1", config.k1)?;
        check::at_least_one("k2", config.k2)?;
        let fits = (0.0..=1.0).contains(&config.lambda);
        check::parameter(fits, "lambda", config.lambda, "a number in [0, 1]")?;
        Ok(Self { config })
    }

    /// The distances `[queries, gallery]` of `queries` `[queries, dim]` and `gallery` `[gallery, dim]`, in single precision on
    /// the CPU.
    ///
    /// # Errors
    /// [`Error::Shape`](dml_core::Error::Shape) and [`Error::DType`](dml_core::Error::DType) unless the rows fit each
    /// other, [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is not finite,
    /// [`Error::Unsupported`](dml_core::Error::Unsupported) without queries or gallery.
    pub fn distances(&self, queries: &Tensor, gallery: &Tensor) -> Result<Tensor> {
        let queries = checked_rows("queries", queries, None, None)?;
        let gallery = rows_like("gallery", gallery, &queries)?;
        let dim = queries.dims()[1];
        let (q, g) = (queries.dims()[0], gallery.dims()[0]);
        let reason = "there must be a query and a gallery";
        check::supported(q > 0 && g > 0, "KReciprocal", reason)?;
        // As many distances as one search gives at most.
        SelfMatch::None.check(q, g, g)?;
        let rows = Tensor::cat(&[queries, gallery], 0)?.to_device(&Device::Cpu)?;
        let neighbors = self.neighborhoods(&rows)?;
        let rows = rows.to_dtype(DType::F64)?;
        let distances =
            with_slice::<f64, _>(&rows, |rows| self.combined(rows, dim, &neighbors, q))?;
        Ok(Tensor::from_vec(distances, (q, g), &Device::Cpu)?)
    }

    /// The `k` closest of the gallery by these distances, for every query.
    ///
    /// # Errors
    /// As [`distances`](KReciprocal::distances); [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `k`
    /// is 0 or larger than the gallery.
    pub fn search(&self, queries: &Tensor, gallery: &Tensor, k: usize) -> Result<Neighbors> {
        let distances = self.distances(queries, gallery)?;
        let (q, g) = distances.dims2()?;
        SelfMatch::None.check(q, g, k)?;
        let (nearest, _) = with_slice::<f32, _>(&distances, |distances| {
            closest_of_rows(distances, g, k, false, |_| None)
        })?;
        Ok(nearest)
    }

    /// The rows nearest to each row, itself first: as many as any of the formulas asks for.
    fn neighborhoods(&self, rows: &Tensor) -> Result<Vec<Vec<u32>>> {
        let count = rows.dims()[0];
        let mut index = FlatIndex::default();
        index.add(rows)?;
        let wanted = self.config.k1.max(self.config.k2 - 1).min(count - 1);
        let found = index.search_others(rows, wanted, SelfMatch::Same)?;
        let with_itself = |(row, (others, _)): (u32, (&[u32], &[f64]))| {
            std::iter::once(row).chain(others.iter().copied()).collect()
        };
        Ok((0..).zip(found.iter()).map(with_itself).collect())
    }

    fn combined(&self, rows: &[f64], dim: usize, near: &[Vec<u32>], queries: usize) -> Vec<f32> {
        let count = near.len();
        let row = |r: usize| &rows[r * dim..][..dim];
        let largest: Vec<f64> = (0..count)
            .into_par_iter()
            .map(|p| {
                let distances = rows
                    .chunks_exact(dim)
                    .map(|other| squared_distance(row(p), other));
                distances.fold(0.0, f64::max)
            })
            .collect();
        let share = |p: usize, g: usize| {
            let distance = squared_distance(row(p), row(g));
            // All rows are one point: none is far.
            if largest[p] > 0.0 {
                distance / largest[p]
            } else {
                0.0
            }
        };
        let encodings: Vec<SparseRow> = (0..count)
            .into_par_iter()
            .map(|p| {
                let members = self.expanded(near, p as u32);
                let weight = |g: &u32| (-share(p, *g as usize)).exp();
                let sum: f64 = members.iter().map(weight).sum();
                let entries = members.iter().map(|g| (*g, (weight(g) / sum) as f32));
                entries.collect()
            })
            .collect();
        let averaged: Vec<SparseRow> = near
            .par_iter()
            .map(|near| {
                let near = near.iter().take(self.config.k2);
                mean(&near.map(|r| &encodings[*r as usize]).collect::<Vec<_>>())
            })
            .collect();
        let columns = columns(&averaged[queries..], count);
        let (gallery, lambda) = (count - queries, self.config.lambda);
        (0..queries)
            .into_par_iter()
            .flat_map_iter(|p| {
                let shared = shared(&averaged[p], &columns, gallery).into_iter();
                let share = &share;
                shared.enumerate().map(move |(g, shared)| {
                    // Both sum to 1, so the larger ones sum to 2 less what is shared.
                    let shared = f64::from(shared).min(1.0);
                    let jaccard = 1.0 - shared / (2.0 - shared);
                    ((1.0 - lambda) * jaccard + lambda * share(p, queries + g)) as f32
                })
            })
            .collect()
    }

    /// R*(p), ascending.
    fn expanded(&self, near: &[Vec<u32>], p: u32) -> Vec<u32> {
        let first = reciprocal(near, p, self.config.k1);
        // Half of k1, to the nearest whole number, halves to the even one.
        let half = (self.config.k1 as f64 / 2.0).round_ties_even() as usize;
        let mut all = first.clone();
        for q in &first {
            let theirs = reciprocal(near, *q, half);
            let common = theirs.iter().filter(|g| first.contains(g)).count();
            if 3 * common >= 2 * theirs.len() {
                all.extend(theirs);
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// R(p, k), p itself first.
fn reciprocal(near: &[Vec<u32>], p: u32, k: usize) -> Vec<u32> {
    let of = |row: u32| near[row as usize].iter().take(k + 1);
    of(p)
        .filter(|g| of(**g).any(|back| *back == p))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests;
