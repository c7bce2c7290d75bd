//! Search among some of the rows, and rows by their numbers.

use candle_core::{Device, Tensor};
use dml_core::autograd::with_slice;
use dml_core::kernels::Real;
use dml_core::{Result, check};

use super::{FlatIndex, FlatMetric, Rows};
use crate::index::knn_index::check_among;
use crate::index::{KnnIndex, Neighbors, RowSet};
use crate::kernels::nearest::Segments;
use crate::rows::selected;

impl FlatIndex {
    pub(super) fn search_among_rows(
        &self,
        queries: &Tensor,
        k: usize,
        among: &RowSet,
    ) -> Result<Neighbors> {
        let given = queries;
        let queries = self.prepare("queries", queries)?;
        let count = queries.dims()[0];
        let k = check_among(count, self.len(), k, among)?;
        if k == 0 {
            return Ok(Neighbors::default());
        }
        if among.count() == self.len() {
            return self.search(given, k);
        }
        let rows: Vec<u32> = among.iter().collect();
        self.check_listed(&rows)?;
        let search = |k| self.nearest_prepared_among(&queries, k, &rows);
        match self.metric {
            FlatMetric::Cosine => {
                let ties = |query: &Tensor, _| {
                    let ties = self.within_prepared(query, 1.0, |_| None)?.indices;
                    let ties = ties.into_iter().filter(|row| among.contains(*row as usize));
                    Ok(ties.collect())
                };
                self.search_cosine(&queries, k, search, |_| rows.len(), ties)
            }
            FlatMetric::SquaredEuclidean | FlatMetric::InnerProduct => {
                Ok(Neighbors { k, ..search(k)? })
            }
        }
    }

    /// The nearest of prepared queries among rows that are ascending, by their keys as they are.
    fn nearest_prepared_among(
        &self,
        queries: &Tensor,
        k: usize,
        among: &[u32],
    ) -> Result<Neighbors> {
        let affinity = self.metric.affinity();
        match &self.rows {
            Rows::None => Ok(Neighbors::default()),
            Rows::F16(rows) => with_slice(queries, |q| rows.nearest_among(q, k, affinity, among)),
            Rows::F32(rows) => with_slice(queries, |q| rows.nearest_among(q, k, affinity, among)),
            Rows::F64(rows) => with_slice(queries, |q| rows.nearest_among(q, k, affinity, among)),
        }
    }

    /// Makes sure that all rows of a mapped file are those that were written.
    pub(super) fn check_file(&self) -> Result<()> {
        match &self.rows {
            Rows::None => Ok(()),
            Rows::F16(rows) => rows.check(0..rows.len()),
            Rows::F32(rows) => rows.check(0..rows.len()),
            Rows::F64(rows) => rows.check(0..rows.len()),
        }
    }

    /// Makes sure that these rows of a mapped file are those that were written.
    fn check_listed(&self, listed: &[u32]) -> Result<()> {
        for row in listed {
            let row = *row as usize;
            match &self.rows {
                Rows::None => {}
                Rows::F16(rows) => rows.check(row..row + 1)?,
                Rows::F32(rows) => rows.check(row..row + 1)?,
                Rows::F64(rows) => rows.check(row..row + 1)?,
            }
        }
        Ok(())
    }

    /// As [`search_again`](Self::search_again), among some of the rows.
    pub(crate) fn search_again_among(
        &self,
        queries: &Tensor,
        some: &[usize],
        among: &RowSet,
        found: &mut Neighbors,
    ) -> Result<()> {
        if some.is_empty() {
            return Ok(());
        }
        let rows: Vec<u32> = some.iter().map(|q| *q as u32).collect();
        let again = self.search_among(&selected(queries, &rows)?, found.k, among)?;
        found.replace(some, &again);
        Ok(())
    }

    /// The listed rows as they are compared, `[rows, dim]`; in single precision where they are kept in half precision.
    pub(super) fn listed_rows(&self, listed: &[u32]) -> Result<Tensor> {
        check::indices("rows", listed.iter().map(|row| *row as usize), self.len())?;
        self.check_listed(listed)?;
        let shape = (listed.len(), self.dim().unwrap_or(0));
        let rows = listed.iter().map(|row| *row as usize);
        Ok(match &self.rows {
            Rows::None => Tensor::from_vec(Vec::<f32>::new(), shape, &Device::Cpu),
            Rows::F16(kept) => {
                let rows: Vec<f32> = rows.flat_map(|row| kept.row(row)).collect();
                Tensor::from_vec(rows, shape, &Device::Cpu)
            }
            Rows::F32(kept) => Tensor::from_vec(listed_of(kept, rows), shape, &Device::Cpu),
            Rows::F64(kept) => Tensor::from_vec(listed_of(kept, rows), shape, &Device::Cpu),
        }?)
    }
}

fn listed_of<T: Real>(kept: &Segments<T>, rows: impl Iterator<Item = usize>) -> Vec<T> {
    rows.flat_map(|row| kept.row(row)).copied().collect()
}
