//! The exact search where the queries are: a tile of a matrix product at a time, of which each query keeps its best.
//!
//! The device orders references by `‖r‖² − 2q·r` in their own precision and keeps some more than asked for. The host
//! measures these from the coordinates, and knows from the first number that was not kept whether rounding can have hidden
//! a nearer one; such a query is searched on the host. The result is that of the host, bit for bit.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use dml_core::Result;
use dml_core::autograd::cuda::{has_kernel, run_for};
use dml_core::autograd::{Element, with_slice};
use dml_core::kernels::cuda::top_k;

use super::{FlatIndex, Rows};
use crate::index::{Neighbors, SelfMatch};
use crate::kernels::nearest::{Affinity, Candidates, References};

/// Queries of a tile.
const QUERIES: usize = 4096;
/// References of a tile: with 4,096 queries, half a gigabyte in single precision.
const REFERENCES: usize = 32_768;

/// The references on a device, from the first search there until they change.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<Option<Copy>>);

#[derive(Clone, Debug)]
struct Copy {
    device: Device,
    /// `[R, dim]`.
    rows: Tensor,
    /// What is added to the product of each, `[R]`.
    norms: Tensor,
}

/// A copy of an index is searched on its own.
impl Clone for Copies {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Copies {
    pub(super) fn forget(&mut self) {
        *self.0.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get<T: Element>(
        &self,
        references: &References<T>,
        affinity: Affinity,
        device: &Device,
    ) -> Result<Copy> {
        let mut copy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = &*copy
            && copy.device.same_device(device)
        {
            return Ok(copy.clone());
        }
        let count = references.len();
        let rows = Tensor::from_slice(references.rows(), (count, references.dim()), device)?;
        let norms = match affinity {
            Affinity::SquaredEuclidean => {
                Tensor::from_slice(references.squared_norms(), count, device)?
            }
            Affinity::InnerProduct => Tensor::zeros(count, T::DTYPE, device)?,
        };
        let device = device.clone();
        Ok(copy
            .insert(Copy {
                device,
                rows,
                norms,
            })
            .clone())
    }
}

impl FlatIndex {
    /// What the device of the `given` queries finds; `None` where it has no kernel for it. `queries` are the same,
    /// prepared and on the host.
    pub(super) fn search_on_device(
        &self,
        given: &Tensor,
        queries: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Option<Neighbors>> {
        let on_device = queries.to_device(given.device())?;
        if k > top_k::LIMIT || !has_kernel(&on_device) {
            return Ok(None);
        }
        // Rows of a mapped file may be more than a device holds.
        let found = match &self.rows {
            Rows::F32(rows) => rows
                .in_memory()
                .map(|rows| self.nearest(rows, queries, &on_device, k, self_matches)),
            Rows::F64(rows) => rows
                .in_memory()
                .map(|rows| self.nearest(rows, queries, &on_device, k, self_matches)),
            Rows::None | Rows::F16(_) => None,
        };
        found.transpose()
    }

    fn nearest<T: Element>(
        &self,
        references: &References<T>,
        queries: &Tensor,
        on_device: &Tensor,
        k: usize,
        self_matches: SelfMatch<'_>,
    ) -> Result<Neighbors> {
        let affinity = self.metric.affinity();
        let copy = self
            .on_device
            .get(references, affinity, on_device.device())?;
        // Half as many more as asked for rarely leave a query uncertain, even where many references are alike.
        let width = (k + (k / 2).max(16)).min(top_k::LIMIT);
        let (rows, others) = candidates(on_device, &copy, affinity, width, self_matches)?;
        let candidates = Candidates {
            rows: &rows,
            others: &others,
        };
        with_slice(queries, |queries: &[T]| {
            let (mut nearest, uncertain) =
                references.nearest_of_candidates(queries, candidates, k, affinity);
            let dim = references.dim();
            let rows = |q: usize| &queries[q * dim..(q + 1) * dim];
            let again: Vec<T> = uncertain
                .iter()
                .flat_map(|&q| rows(q).iter().copied())
                .collect();
            let found = references.nearest(&again, k, affinity, |i| self_matches.of(uncertain[i]));
            nearest.replace(&uncertain, &found);
            nearest
        })
    }
}

/// `width` candidates of each query, and the number that no other reference is below.
fn candidates(
    queries: &Tensor,
    copy: &Copy,
    affinity: Affinity,
    width: usize,
    self_matches: SelfMatch<'_>,
) -> Result<(Vec<i64>, Vec<f64>)> {
    let (count, references) = (queries.dims()[0], copy.rows.dims()[0]);
    let scale = match affinity {
        Affinity::SquaredEuclidean => -2.0,
        Affinity::InnerProduct => -1.0,
    };
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(QUERIES) {
        let block = QUERIES.min(count - first);
        let of_block = queries.narrow(0, first, block)?;
        let itself: Vec<i64> = (first..first + block)
            .map(|q| self_matches.of(q).map_or(-1, i64::from))
            .collect();
        let itself = Tensor::from_vec(itself, block, queries.device())?;
        let shape = (block, width);
        let mut keys =
            Tensor::full(f32::INFINITY, shape, queries.device())?.to_dtype(queries.dtype())?;
        let none = vec![-1i64; block * width];
        let mut best = Tensor::from_vec(none, shape, queries.device())?;
        for start in (0..references).step_by(REFERENCES) {
            let tile = REFERENCES.min(references - start);
            let products = of_block.matmul(&copy.rows.narrow(0, start, tile)?.t()?)?;
            let norms = copy.norms.narrow(0, start, tile)?;
            let launch = top_k::take(block, tile, start, width, scale);
            [keys, best] = run_for(&launch, &[&products, &norms, &itself, &keys, &best])?;
        }
        rows.extend(best.flatten_all()?.to_vec1::<i64>()?);
        let last = keys
            .reshape(shape)?
            .narrow(1, width - 1, 1)?
            .flatten_all()?;
        others.extend(last.to_dtype(DType::F64)?.to_vec1::<f64>()?);
    }
    Ok((rows, others))
}
