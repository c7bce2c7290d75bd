//! Two linear maps with an activation between them, block of rows by block of rows.
//!
//! ```text
//! H = X W₁ᵀ + b₁        A = f(H)        Y = A W₂ᵀ + b₂
//! ∂H = (∂Y W₂) f'(H)    ∂X = ∂H W₁      ∂W₁ = ∂Hᵀ X      ∂W₂ = ∂Yᵀ A
//! ```
//!
//! H is kept for the backward pass. A exists for a block of rows at a time, in both passes, and so does ∂H.

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{SimdReal, vectorized, written_chunks, zeros};
use rayon::prelude::*;

use super::linear::{OuterSums, Packed, ROWS};

/// Rows of a chunk of the backward pass.
const CHUNK: usize = 8 * ROWS;

/// A function of a number and its derivative.
pub(crate) trait Activation<T>: Fn(T) -> (T, T) + Copy + Sync {}
impl<T, F: Fn(T) -> (T, T) + Copy + Sync> Activation<T> for F {}

/// Weight `[outputs, inputs]` and bias, which may be empty, of a linear map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map<'a, T> {
    pub(crate) weight: &'a [T],
    pub(crate) bias: &'a [T],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl<T: SimdReal> Map<'_, T> {
    fn prefill(&self, out: &mut [T]) {
        if !self.bias.is_empty() {
            for row in out.chunks_exact_mut(self.outputs) {
                row.copy_from_slice(self.bias);
            }
        }
    }
}

/// Y, and H if it is to be kept.
pub(crate) fn forward<T: SimdReal>(
    x: &[T],
    [first, second]: [Map<'_, T>; 2],
    activation: impl Activation<T>,
    keep: bool,
) -> (Vec<T>, Vec<T>) {
    let packed = [first, second].map(|map| Packed::columns(map.weight, map.inputs));
    let rows = x.len() / first.inputs;
    let hidden = first.outputs;
    let block = |activated: &mut [T], i: usize, h: Option<&mut [T]>, y: &mut [T]| {
        let activated = &mut activated[..y.len() / second.outputs * hidden];
        let x = &x[i * ROWS * first.inputs..];
        if let Some(h) = h {
            first.prefill(h);
            packed[0].add_product(x, h);
            activated.copy_from_slice(h);
        } else {
            activated.fill(T::ZERO);
            first.prefill(activated);
            packed[0].add_product(x, activated);
        }
        vectorized!({
            for x in activated.iter_mut() {
                *x = activation(*x).0;
            }
        });
        second.prefill(y);
        packed[1].add_product(activated, y);
    };
    let scratch = || vec![T::ZERO; ROWS * hidden];
    let least = packed[0].least();
    let (len, chunk) = (rows * second.outputs, ROWS * second.outputs);
    if keep {
        let (lens, chunks) = ([len, rows * hidden], [chunk, ROWS * hidden]);
        let [y, h] = written_chunks(lens, chunks, least, scratch, |activated, i, [y, h]| {
            block(activated, i, Some(h), y);
        });
        return (y, h);
    }
    let [y] = written_chunks([len], [chunk], least, scratch, |activated, i, [y]| {
        block(activated, i, None, y);
    });
    (y, Vec::new())
}

/// The gradients of a [`Map`].
#[derive(Debug)]
pub(crate) struct MapGradients<T> {
    pub(crate) weight: Vec<T>,
    pub(crate) bias: Vec<T>,
}

/// The gradients of X, which is empty unless it is needed, and of both maps.
pub(crate) fn backward<T: SimdReal>(
    x: &[T],
    h: &[T],
    gradient: &[T],
    [first, second]: [Map<'_, T>; 2],
    activation: impl Activation<T>,
    needs_input: bool,
) -> (Vec<T>, [MapGradients<T>; 2]) {
    let (inputs, hidden, outputs) = (first.inputs, first.outputs, second.outputs);
    let across = Packed::rows(second.weight, hidden);
    let back = needs_input.then(|| Packed::rows(first.weight, inputs));
    let rows = x.len() / inputs;
    let mut of_input = zeros(if needs_input { rows * inputs } else { 0 });
    let mut sums = [
        OuterSums::new(hidden, inputs),
        OuterSums::new(outputs, hidden),
    ];
    let most = CHUNK.min(rows);
    let (mut of_hidden, mut activated) = (zeros(most * hidden), zeros(most * hidden));
    for start in (0..rows).step_by(CHUNK) {
        let rows = CHUNK.min(rows - start);
        let (x, h) = (
            &x[start * inputs..][..rows * inputs],
            &h[start * hidden..][..rows * hidden],
        );
        let gradient = &gradient[start * outputs..][..rows * outputs];
        let (of_hidden, activated) = (
            &mut of_hidden[..rows * hidden],
            &mut activated[..rows * hidden],
        );
        of_hidden
            .par_chunks_mut(ROWS * hidden)
            .zip(activated.par_chunks_mut(ROWS * hidden))
            .enumerate()
            .for_each_in_place(|(i, (of_hidden, activated))| {
                of_hidden.fill(T::ZERO);
                across.add_product(&gradient[i * ROWS * outputs..], of_hidden);
                let h = &h[i * ROWS * hidden..];
                vectorized!({
                    for ((g, a), h) in of_hidden.iter_mut().zip(activated.iter_mut()).zip(h) {
                        let (value, derivative) = activation(*h);
                        *a = value;
                        *g = *g * derivative;
                    }
                });
            });
        if let Some(back) = &back {
            of_input[start * inputs..][..rows * inputs]
                .par_chunks_mut(ROWS * inputs)
                .enumerate()
                .for_each_in_place(|(i, of_input)| {
                    back.add_product(&of_hidden[i * ROWS * hidden..], of_input);
                });
        }
        sums[0].add(of_hidden, x);
        sums[1].add(gradient, activated);
    }
    let gradients = sums.map(|sums| {
        let (weight, bias) = sums.finish();
        MapGradients { weight, bias }
    });
    (of_input, gradients)
}
