//! The forward pass of attention.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{SimdReal, zeros};
use rayon::prelude::*;

use super::mask::Mask;
use super::scores::{Place, Running, Tile, exponentials, finite_shift};
use super::{KEYS, Operands, QUERIES, blocks, tile_stride};
use crate::kernels::product::{Existing, Left, Panels, TILE_ROWS, multiply};

/// The result of an attention, and what its backward pass reads.
#[derive(Debug)]
pub(crate) struct Forward<T> {
    /// `[batch, queries, heads, value_width]`.
    pub(crate) output: Vec<T>,
    pub(crate) kept: KeptRows<T>,
}

/// Two numbers per row of scores, `[batch, heads, queries]`. Together they are its log-sum-exp, `maximum − ln inverse`.
#[derive(Debug)]
pub(crate) struct KeptRows<T> {
    /// The maximum; 0 for a query that sees no key.
    pub(super) maximum: Vec<T>,
    /// 1 / l; 0 for a query that sees no key.
    pub(super) inverse: Vec<T>,
}

/// Attention of all heads.
pub(crate) fn forward<T: SimdReal>(operands: &Operands<'_, T>, mask: &Mask<'_, T>) -> Forward<T> {
    let sizes = operands.sizes;
    let (heads, queries) = (sizes.heads, sizes.queries);
    let row = heads * sizes.value_width;
    let mut output = zeros(sizes.batch * queries * row);
    let mut maximum = vec![T::ZERO; sizes.batch * heads * queries];
    let mut inverse = maximum.clone();
    let samples: Vec<_> = output
        .chunks_mut((queries * row).max(1))
        .map(Mutex::new)
        .collect();
    maximum
        .par_chunks_mut(queries.max(1))
        .zip(inverse.par_chunks_mut(queries.max(1)))
        .enumerate()
        .for_each_init_in_place(
            || Scratch::new(operands),
            |scratch, (i, (maximum, inverse))| {
                let (batch, head) = (i / heads, i % heads);
                scratch.pack(operands, mask, batch, head);
                for block in blocks(queries, QUERIES, TILE_ROWS) {
                    scratch.attend(operands, mask, (batch, head), block.clone());
                    let rows = scratch.finish(block.len());
                    for (k, i) in block.clone().enumerate() {
                        (maximum[i], inverse[i]) = rows[k];
                    }
                    let mut sample = samples[batch]
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    let rows = scratch.output.chunks_exact(sizes.value_width.max(1));
                    for (i, values) in block.zip(rows) {
                        let place = i * row + head * sizes.value_width;
                        sample[place..][..sizes.value_width].copy_from_slice(values);
                    }
                }
            },
        );
    drop(samples);
    let kept = KeptRows { maximum, inverse };
    Forward { output, kept }
}

/// Memory of a thread.
struct Scratch<T> {
    /// The tiles of keys that some query sees.
    tiles: Vec<Range<usize>>,
    of_keys: Vec<T>,
    /// Kᵀ, tile by tile.
    keys: Vec<T>,
    /// V, tile by tile.
    values: Vec<T>,
    scores: Vec<T>,
    stride: usize,
    output: Vec<T>,
    maximum: Vec<T>,
    sum: Vec<f64>,
    rows: Vec<(T, T)>,
}

impl<T: SimdReal> Scratch<T> {
    fn new(operands: &Operands<'_, T>) -> Self {
        let sizes = operands.sizes;
        let stride = tile_stride(sizes.keys.min(KEYS));
        Self {
            tiles: Vec::new(),
            of_keys: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            scores: vec![T::ZERO; QUERIES * stride],
            stride,
            output: vec![T::ZERO; QUERIES * sizes.value_width],
            maximum: vec![T::ZERO; QUERIES],
            sum: vec![0.0; QUERIES],
            rows: Vec::new(),
        }
    }

    /// Packs keys and values of a head.
    fn pack(&mut self, operands: &Operands<'_, T>, mask: &Mask<'_, T>, batch: usize, head: usize) {
        let sizes = operands.sizes;
        let seen = mask.of_keys(batch, sizes.keys, &mut self.of_keys);
        self.tiles = blocks(seen, KEYS, 16).collect();
        let (keys, values) = (
            operands.key.head(batch, head),
            operands.value.head(batch, head),
        );
        let (mut at_key, mut at_value) = (0, 0);
        for tile in &self.tiles {
            let panels = Panels::new::<T>(sizes.width, tile.len());
            let keys = &keys[tile.start * operands.key.row..];
            let len = self.keys.len().max(at_key + panels.len());
            self.keys.resize(len, T::ZERO);
            panels.pack_columns(keys, operands.key.row, &mut self.keys[at_key..]);
            at_key += panels.len();
            let panels = Panels::new::<T>(tile.len(), sizes.value_width);
            let values = &values[tile.start * operands.value.row..];
            let len = self.values.len().max(at_value + panels.len());
            self.values.resize(len, T::ZERO);
            panels.pack_rows(values, operands.value.row, &mut self.values[at_value..]);
            at_value += panels.len();
        }
    }

    /// The weighted sums of the values for a block of queries, not yet divided by the sums of the weights.
    fn attend(
        &mut self,
        operands: &Operands<'_, T>,
        mask: &Mask<'_, T>,
        (batch, head): (usize, usize),
        queries: Range<usize>,
    ) {
        let sizes = operands.sizes;
        let rows = queries.len();
        self.maximum.fill(T::from_f64(f64::NEG_INFINITY));
        self.sum.fill(0.0);
        self.output.fill(T::ZERO);
        let query = &operands.query.head(batch, head)[queries.start * operands.query.row..];
        let (mut at_key, mut at_value) = (0, 0);
        for tile in &self.tiles {
            let mut panels = Panels::new::<T>(sizes.width, tile.len());
            let values = Panels::new::<T>(tile.len(), sizes.value_width);
            let packed = (&self.keys[at_key..], &self.values[at_value..]);
            (at_key, at_value) = (at_key + panels.len(), at_value + values.len());
            let mut keys = tile.clone();
            if mask.causal {
                if keys.start >= queries.end {
                    break;
                }
                keys.end = keys.end.min(queries.end);
                panels.columns = keys.len();
            }
            let left = Left::Rows {
                data: query,
                stride: operands.query.row,
            };
            let (scores, stride) = (&mut self.scores[..], self.stride);
            let out = (&mut *scores, stride);
            multiply(
                left,
                rows,
                (&panels, packed.0),
                0..sizes.width,
                out,
                Existing::Overwrite,
            );
            let place = Place {
                batch,
                head,
                queries: queries.clone(),
                keys: keys.clone(),
            };
            let tile = Tile {
                sizes,
                mask,
                of_keys: &self.of_keys,
                place: &place,
                scores,
                stride,
            };
            let running = Running {
                maximum: &mut self.maximum,
                sum: &mut self.sum,
                output: &mut self.output,
                value_width: sizes.value_width,
            };
            exponentials(tile, running);
            let left = Left::Rows {
                data: &self.scores,
                stride,
            };
            let out = (&mut self.output[..], sizes.value_width);
            multiply(
                left,
                rows,
                (&values, packed.1),
                0..keys.len(),
                out,
                Existing::AddTo,
            );
        }
    }

    /// Divides the output by the sums, and returns what is kept of each row.
    fn finish(&mut self, rows: usize) -> &[(T, T)] {
        self.rows.clear();
        let width = self.output.len() / QUERIES;
        for i in 0..rows {
            let sum = self.sum[i];
            let inverse = T::from_f64(if sum == 0.0 { 0.0 } else { 1.0 / sum });
            self.rows.push((finite_shift(self.maximum[i]), inverse));
            for x in &mut self.output[i * width..][..width] {
                *x = *x * inverse;
            }
        }
        &self.rows
    }
}
