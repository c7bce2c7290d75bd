//! The backward pass of attention.

use std::ops::Range;

use dml_core::kernels::SimdReal;
use dml_core::kernels::in_place::InPlace;
use rayon::prelude::*;

use super::forward::KeptRows;
use super::mask::Mask;
use super::scores::{Kept, Place, Tile, gradients};
use super::{KEYS, Operands, QUERIES, Rows, blocks, tile_stride};
use crate::kernels::product::{Existing, Left, Panels, TILE_ROWS, multiply};

/// The gradients of one head: `[queries, width]`, `[keys, width]` and `[keys, value_width]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadGradients<'a, T> {
    pub(crate) query: &'a [T],
    pub(crate) key: &'a [T],
    pub(crate) value: &'a [T],
}

/// Computes the gradients of every head from the output and its gradient, and calls `store(batch, head, gradients)`.
pub(crate) fn backward<T: SimdReal>(
    operands: &Operands<'_, T>,
    mask: &Mask<'_, T>,
    (output, kept): (Rows<'_, T>, &KeptRows<T>),
    gradient: Rows<'_, T>,
    store: impl Fn(usize, usize, HeadGradients<'_, T>) + Sync,
) {
    let sizes = operands.sizes;
    let heads = sizes.heads;
    (0..sizes.batch * heads)
        .into_par_iter()
        .for_each_init_in_place(
            || Scratch::new(operands),
            |scratch, i| {
                let (batch, head) = (i / heads, i % heads);
                let rows = i * sizes.queries..(i + 1) * sizes.queries;
                let job = Job {
                    operands,
                    mask,
                    batch,
                    head,
                    maximum: &kept.maximum[rows.clone()],
                    inverse: &kept.inverse[rows],
                    gradient: gradient.head(batch, head),
                    stride: gradient.row,
                };
                scratch.dots(&job, output.head(batch, head), output.row);
                scratch.run(&job);
                let gradients = HeadGradients {
                    query: &scratch.query,
                    key: &scratch.key,
                    value: &scratch.value,
                };
                store(batch, head, gradients);
            },
        );
}

/// One head.
struct Job<'a, T> {
    operands: &'a Operands<'a, T>,
    mask: &'a Mask<'a, T>,
    batch: usize,
    head: usize,
    maximum: &'a [T],
    inverse: &'a [T],
    /// The gradient of the output, its rows `stride` numbers apart.
    gradient: &'a [T],
    stride: usize,
}

/// Memory of a thread.
struct Scratch<T> {
    of_keys: Vec<T>,
    /// Dᵢ of each query.
    dots: Vec<T>,
    /// Kᵀ, Vᵀ and K of a tile of keys.
    keys_across: Vec<T>,
    values_across: Vec<T>,
    keys: Vec<T>,
    /// Q and ∂O of a block of queries.
    queries: Vec<T>,
    outputs: Vec<T>,
    scores: Vec<T>,
    products: Vec<T>,
    tile_stride: usize,
    query: Vec<T>,
    key: Vec<T>,
    value: Vec<T>,
}

impl<T: SimdReal> Scratch<T> {
    fn new(operands: &Operands<'_, T>) -> Self {
        let sizes = operands.sizes;
        let keys = sizes.keys.min(KEYS);
        let stride = tile_stride(keys);
        let packed = |depth, columns| vec![T::ZERO; Panels::new::<T>(depth, columns).len()];
        Self {
            of_keys: Vec::new(),
            dots: vec![T::ZERO; sizes.queries],
            keys_across: packed(sizes.width, keys),
            values_across: packed(sizes.value_width, keys),
            keys: packed(keys, sizes.width),
            queries: packed(QUERIES, sizes.width),
            outputs: packed(QUERIES, sizes.value_width),
            scores: vec![T::ZERO; QUERIES * stride],
            products: vec![T::ZERO; QUERIES * stride],
            tile_stride: stride,
            query: vec![T::ZERO; sizes.queries * sizes.width],
            key: vec![T::ZERO; sizes.keys * sizes.width],
            value: vec![T::ZERO; sizes.keys * sizes.value_width],
        }
    }

    fn dots(&mut self, job: &Job<'_, T>, output: &[T], stride: usize) {
        let width = job.operands.sizes.value_width;
        for (i, dot) in self.dots.iter_mut().enumerate() {
            let (gradient, output) = (&job.gradient[i * job.stride..], &output[i * stride..]);
            let products = gradient[..width].iter().zip(&output[..width]);
            *dot = T::from_f64(products.map(|(g, o)| g.to_f64() * o.to_f64()).sum());
        }
    }

    fn run(&mut self, job: &Job<'_, T>) {
        let (operands, sizes) = (job.operands, job.operands.sizes);
        for gradient in [&mut self.query, &mut self.key, &mut self.value] {
            gradient.fill(T::ZERO);
        }
        let seen = job.mask.of_keys(job.batch, sizes.keys, &mut self.of_keys);
        let keys = operands.key.head(job.batch, job.head);
        let values = operands.value.head(job.batch, job.head);
        for tile in blocks(seen, KEYS, 16) {
            let keys = &keys[tile.start * operands.key.row..];
            let values = &values[tile.start * operands.value.row..];
            let panels = Panels::new::<T>(sizes.width, tile.len());
            panels.pack_columns(keys, operands.key.row, &mut self.keys_across);
            let panels = Panels::new::<T>(sizes.value_width, tile.len());
            panels.pack_columns(values, operands.value.row, &mut self.values_across);
            let panels = Panels::new::<T>(tile.len(), sizes.width);
            panels.pack_rows(keys, operands.key.row, &mut self.keys);
            for queries in blocks(sizes.queries, QUERIES, TILE_ROWS) {
                let mut keys = tile.clone();
                if job.mask.causal {
                    if keys.start >= queries.end {
                        continue;
                    }
                    keys.end = keys.end.min(queries.end);
                }
                self.block(job, tile.len(), keys, queries);
            }
        }
    }

    /// Adds what a block of queries and the first `keys` of a tile of `packed` keys give.
    fn block(
        &mut self,
        job: &Job<'_, T>,
        packed: usize,
        keys: Range<usize>,
        queries: Range<usize>,
    ) {
        let (operands, sizes) = (job.operands, job.operands.sizes);
        let (width, value_width) = (sizes.width, sizes.value_width);
        let (rows, columns, stride) = (queries.len(), keys.len(), self.tile_stride);
        let query = operands.query.head(job.batch, job.head);
        let query = &query[queries.start * operands.query.row..];
        let gradient = &job.gradient[queries.start * job.stride..];

        // S and ∂O Vᵀ.
        let panels = Panels::new::<T>(width, columns);
        let (left, out) = (
            by_rows(query, operands.query.row),
            (&mut self.scores[..], stride),
        );
        let right = (&panels, &self.keys_across[..]);
        multiply(left, rows, right, 0..width, out, Existing::Overwrite);
        let panels = Panels::new::<T>(value_width, columns);
        let (left, out) = (
            by_rows(gradient, job.stride),
            (&mut self.products[..], stride),
        );
        let right = (&panels, &self.values_across[..]);
        multiply(left, rows, right, 0..value_width, out, Existing::Overwrite);

        // M ∘ P and ∂S.
        let place = Place {
            batch: job.batch,
            head: job.head,
            queries: queries.clone(),
            keys: keys.clone(),
        };
        let tile = Tile {
            sizes,
            mask: job.mask,
            of_keys: &self.of_keys,
            place: &place,
            scores: &mut self.scores,
            stride,
        };
        let kept = Kept {
            maximum: &job.maximum[queries.clone()],
            inverse: &job.inverse[queries.clone()],
            dot: &self.dots[queries.clone()],
        };
        gradients(tile, kept, &mut self.products);

        // ∂V += (M ∘ P)ᵀ ∂O, ∂K += ∂Sᵀ Q, ∂Q += ∂S K.
        let panels = Panels::new::<T>(rows, value_width);
        panels.pack_rows(gradient, job.stride, &mut self.outputs);
        let right = (&panels, &self.outputs[..]);
        let out = (&mut self.value[keys.start * value_width..], value_width);
        let left = by_steps(&self.scores, stride);
        multiply(left, columns, right, 0..rows, out, Existing::AddTo);
        let panels = Panels::new::<T>(rows, width);
        panels.pack_rows(query, operands.query.row, &mut self.queries);
        let right = (&panels, &self.queries[..]);
        let out = (&mut self.key[keys.start * width..], width);
        let left = by_steps(&self.products, stride);
        multiply(left, columns, right, 0..rows, out, Existing::AddTo);
        let panels = Panels::new::<T>(packed, width);
        let right = (&panels, &self.keys[..]);
        let out = (&mut self.query[queries.start * width..], width);
        let left = by_rows(&self.products, stride);
        multiply(left, rows, right, 0..columns, out, Existing::AddTo);
    }
}

fn by_rows<T>(data: &[T], stride: usize) -> Left<'_, T> {
    Left::Rows { data, stride }
}

fn by_steps<T>(data: &[T], stride: usize) -> Left<'_, T> {
    Left::Steps { data, stride }
}
