//! A linear map of rows and its gradients, as products with packed panels.
//!
//! ```text
//! Y = X Wᵀ + b        ∂X = ∂Y W        ∂W = ∂Yᵀ X        ∂b = Σᵢ ∂Yᵢ
//! ```
//!
//! X is `[rows, inputs]`, W `[outputs, inputs]`. The bias is written where the product is then added, while the place is
//! in the cache. ∂W and ∂b are summed over chunks of rows. No matrix is transposed as a whole.

use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{SimdReal, vectorized, written_chunks, zeros};
use rayon::prelude::*;

use super::product::{Existing, Left, Panels, TILE_ROWS, multiply};

/// Rows that a task computes at a time.
pub(crate) const ROWS: usize = 8 * TILE_ROWS;
/// Rows of the weight's gradient that a task computes at a time.
const GRADIENT_ROWS: usize = 8 * TILE_ROWS;
/// Rows of the input that are packed for the weight's gradient at a time.
const CHUNK: usize = 384;
/// Most steps of a product at a time: rows and the panel that they are multiplied with stay in the second-level cache, and the
/// output is read and written seldom.
const DEPTH: usize = 384;
/// Multiplications that outweigh waking a thread.
const WORTH_A_THREAD: usize = 2_000_000;

/// From how many rows on packing the weight pays.
pub(crate) const FEW_ROWS: usize = 16;

/// The right side of a product, packed.
pub(crate) struct Packed<T> {
    panels: Panels,
    numbers: Aligned<T>,
}

impl<T: SimdReal> Packed<T> {
    /// The matrix `[depth, columns]` whose rows are those of `matrix`.
    pub(crate) fn rows(matrix: &[T], columns: usize) -> Self {
        let panels = Panels::new::<T>(matrix.len() / columns.max(1), columns);
        let mut numbers = Aligned::zeros(panels.len());
        panels.par_pack_rows(matrix, columns, &mut numbers);
        Self { panels, numbers }
    }

    /// The matrix `[depth, columns]` whose columns are the rows of `matrix`.
    pub(crate) fn columns(matrix: &[T], depth: usize) -> Self {
        let panels = Panels::new::<T>(depth, matrix.len() / depth.max(1));
        let mut numbers = Aligned::zeros(panels.len());
        panels.par_pack_columns(matrix, depth, &mut numbers);
        Self { panels, numbers }
    }

    /// Adds `left · self` to `out` `[rows, columns]`, for a left side `[rows, depth]`.
    pub(crate) fn add_product(&self, left: &[T], out: &mut [T]) {
        let (depth, columns) = (self.panels.depth, self.panels.columns);
        let rows = out.len() / columns.max(1);
        let pieces = depth.div_ceil(DEPTH).max(1);
        for piece in 0..pieces {
            let steps = piece * depth / pieces..(piece + 1) * depth / pieces;
            let left = Left::Rows {
                data: &left[steps.start..],
                stride: depth,
            };
            let right = (&self.panels, &self.numbers[..]);
            multiply(left, rows, right, steps, (out, columns), Existing::AddTo);
        }
    }

    /// How many tasks of [`ROWS`] rows are worth a thread.
    pub(crate) fn least(&self) -> usize {
        WORTH_A_THREAD / (ROWS * self.panels.depth * self.panels.columns).max(1)
    }

    /// The product of `left` and the matrix, plus `bias` unless that is empty.
    fn product(&self, left: &[T], bias: &[T]) -> Vec<T> {
        let (depth, columns) = (self.panels.depth, self.panels.columns);
        let (lens, chunks) = ([left.len() / depth * columns], [ROWS * columns]);
        let chunk = |(): &mut (), i: usize, [out]: [&mut [T]; 1]| {
            if !bias.is_empty() {
                for row in out.chunks_exact_mut(columns) {
                    row.copy_from_slice(bias);
                }
            }
            self.add_product(&left[i * ROWS * depth..], out);
        };
        let [product] = written_chunks(lens, chunks, self.least(), || (), chunk);
        product
    }
}

/// `X Wᵀ + b`.
pub(crate) fn forward<T: SimdReal>(x: &[T], inputs: usize, weight: &[T], bias: &[T]) -> Vec<T> {
    Packed::columns(weight, inputs).product(x, bias)
}

/// `∂Y W`.
pub(crate) fn input_gradient<T: SimdReal>(gradient: &[T], weight: &[T], inputs: usize) -> Vec<T> {
    Packed::rows(weight, inputs).product(gradient, &[])
}

/// `∂Yᵀ X` and `Σᵢ ∂Yᵢ`.
pub(crate) fn weight_gradient<T: SimdReal>(
    gradient: &[T],
    outputs: usize,
    x: &[T],
    inputs: usize,
) -> (Vec<T>, Vec<T>) {
    let mut sums = OuterSums::new(outputs, inputs);
    for (gradient, x) in gradient
        .chunks(CHUNK * outputs)
        .zip(x.chunks(CHUNK * inputs))
    {
        sums.add(gradient, x);
    }
    sums.finish()
}

/// `∂Yᵀ X` and `Σᵢ ∂Yᵢ`, summed over chunks of rows.
pub(crate) struct OuterSums<T> {
    outputs: usize,
    inputs: usize,
    weight: Vec<T>,
    bias: Vec<f64>,
    packed: Aligned<T>,
}

impl<T: SimdReal> OuterSums<T> {
    pub(crate) fn new(outputs: usize, inputs: usize) -> Self {
        Self {
            outputs,
            inputs,
            weight: zeros(outputs * inputs),
            bias: vec![0.0; outputs],
            packed: Aligned::zeros(0),
        }
    }

    /// Adds the rows of a chunk: `gradient` `[rows, outputs]`, `x` `[rows, inputs]`.
    pub(crate) fn add(&mut self, gradient: &[T], x: &[T]) {
        let (outputs, inputs) = (self.outputs, self.inputs);
        let rows = x.len() / inputs;
        let panels = Panels::new::<T>(rows, inputs);
        if self.packed.len() < panels.len() {
            self.packed = Aligned::zeros(panels.len());
        }
        panels.par_pack_rows(x, inputs, &mut self.packed);
        let right = (&panels, &self.packed[..]);
        let task = GRADIENT_ROWS * inputs * rows;
        self.weight
            .par_chunks_mut(GRADIENT_ROWS * inputs)
            .zip(self.bias.par_chunks_mut(GRADIENT_ROWS))
            .enumerate()
            .with_min_len((WORTH_A_THREAD / task.max(1)).max(1))
            .for_each_in_place(|(i, (weight, bias))| {
                let data = &gradient[i * GRADIENT_ROWS..];
                vectorized!(add_columns(data, outputs, bias));
                let left = Left::Steps {
                    data,
                    stride: outputs,
                };
                let out = (weight, inputs);
                multiply(left, bias.len(), right, 0..rows, out, Existing::AddTo);
            });
    }

    pub(crate) fn finish(self) -> (Vec<T>, Vec<T>) {
        let bias = self.bias.into_iter().map(T::from_f64).collect();
        (self.weight, bias)
    }
}

/// Adds the first columns of rows that begin `stride` elements apart, as many as there are sums.
#[inline(always)]
fn add_columns<T: SimdReal>(rows: &[T], stride: usize, sums: &mut [f64]) {
    for row in rows.chunks(stride) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x.to_f64();
        }
    }
}
