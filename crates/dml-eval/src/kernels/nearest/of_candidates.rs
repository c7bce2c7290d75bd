//! The nearest of some references that somebody else has chosen by their numbers, and whether they are the nearest of all.

use dml_core::kernels::Real;
use dml_core::kernels::exact::dot;
use dml_core::kernels::lengths;
use rayon::prelude::*;

use super::best::Best;
use super::{Affinity, Neighbors, References, number_error};

/// References chosen by the number `‖r‖² − 2q·r`, or `−q·r` for inner products, in the precision of the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    /// Reference rows `[queries, candidates]`; a negative one is none.
    pub(crate) rows: &'a [i64],
    /// For each query, a number that no reference beside its candidates is below; infinite if there is no other.
    pub(crate) others: &'a [f64],
}

impl<T: Real> References<T> {
    /// The `k` nearest candidates of each query, and the queries for which it is not certain that these are the `k`
    /// nearest of all: there, rounding may have hidden one. They get what their candidates give.
    ///
    /// # Panics
    /// If a length does not fit the shapes, or a candidate is no reference.
    pub(crate) fn nearest_of_candidates(
        &self,
        queries: &[T],
        candidates: Candidates<'_>,
        k: usize,
        affinity: Affinity,
    ) -> (Neighbors, Vec<usize>) {
        let count = candidates.others.len();
        lengths::rows("candidates", candidates.rows.len(), count);
        lengths::length(
            "queries",
            queries.len(),
            lengths::area("queries", count, self.dim),
        );
        let width = candidates.rows.len().checked_div(count).unwrap_or(0);
        let largest = self.squared_norms.iter().map(|x| x.to_f64());
        let largest = largest.fold(0.0, f64::max);
        let found: Vec<(Vec<(f64, u32)>, bool)> = (0..count)
            .into_par_iter()
            .map(|q| {
                let query = &queries[q * self.dim..][..self.dim];
                let mut best = Best::new(k);
                for &row in &candidates.rows[q * width..][..width] {
                    if let Ok(row) = u32::try_from(row) {
                        best.push(affinity.key(query, self.row(row as usize)), row);
                    }
                }
                let best = best.into_sorted();
                let own = dot(query, query);
                let offset = match affinity {
                    Affinity::SquaredEuclidean => own,
                    Affinity::InnerProduct => 0.0,
                };
                // No other reference is nearer than this.
                let reach =
                    candidates.others[q] + offset - number_error::<T>(self.dim, own + largest);
                let is_certain =
                    best.len() == k && best.last().is_some_and(|(key, _)| *key < reach);
                (best, is_certain)
            })
            .collect();
        let mut nearest = Neighbors::with_capacity(count, k);
        let mut uncertain = Vec::new();
        for (q, (best, is_certain)) in found.into_iter().enumerate() {
            if !is_certain {
                uncertain.push(q);
            }
            let missing = std::iter::repeat((f64::INFINITY, 0));
            let found = best.into_iter().chain(missing).take(k);
            nearest.extend(found.map(|(key, row)| (affinity.value(key), row)));
        }
        (nearest, uncertain)
    }

    /// ‖r‖² of each row, in the precision of the rows.
    pub(crate) fn squared_norms(&self) -> &[T] {
        &self.squared_norms
    }
}
