//! Layer normalisation and its form without a mean over the rows of a matrix, forward and backward.
//!
//! ```text
//! y  = x̂ γ + β,   x̂ = (x − μ) r,   r = 1 / √(σ² + ε)          without a mean: μ = 0, σ² = mean of x²
//! ∂x = r (g γ − mean(g γ) − x̂ mean(g γ x̂))                     without a mean: r (g γ − x̂ mean(g γ x̂))
//! ∂γ = Σ g x̂,   ∂β = Σ g                                        over the rows
//! ```
//!
//! Each way passes over memory once. Mean and scale of a row are computed again in the backward pass, where the row is in
//! the cache anyway.

use dml_core::kernels::{Real, lengths, vectorized, written};

use crate::kernels::moments::{deviation, moments, sums};
use crate::kernels::normalization::{Gradients, Normalization};

/// Most pieces that the sums over rows are cut into.
const PIECES: usize = 64;

/// Rows whose gradients of γ and β are added in the element type before they go to double precision.
const RUN: usize = 16;

/// Which of the two normalisations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowNorm {
    /// Whether the mean is subtracted.
    pub(crate) centred: bool,
    /// ε.
    pub(crate) eps: f64,
}

impl RowNorm {
    /// Where the sums over a row are centred: at one of its numbers, or at 0.
    #[inline(always)]
    fn shift<T: Real>(&self, x: &[T]) -> f64 {
        match x.first() {
            Some(x) if self.centred => x.to_f64(),
            _ => 0.0,
        }
    }

    /// μ and r, given the sums of differences from the shift and of their squares.
    #[inline(always)]
    fn mean_and_scale(&self, shift: f64, sums: [f64; 2], width: usize) -> [f64; 2] {
        let [mean, square] = if self.centred {
            moments(shift, sums, width)
        } else {
            [0.0, sums[1] / width as f64]
        };
        [mean, 1.0 / (square + self.eps).sqrt()]
    }

    #[inline(always)]
    fn forward_row<T: Real>(self, x: &[T], weight: &[T], bias: &[T], y: &mut [T]) {
        let shift = self.shift(x);
        let sums = sums(
            x,
            x,
            #[inline(always)]
            |x, _| deviation(x, shift),
        );
        let [mean, scale] = self.mean_and_scale(shift, sums, x.len()).map(T::from_f64);
        for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
            *y = (*x - mean) * scale * *weight + *bias;
        }
    }

    #[inline(always)]
    fn backward_row<T: Real>(
        self,
        x: &[T],
        gradient: &[T],
        weight: &[T],
        out: &mut [T],
        [weight_sums, bias_sums]: &mut [Vec<T>; 2],
    ) {
        let width = x.len();
        let shift = self.shift(x);
        // g γ, which the second sweep reads again.
        for ((out, g), weight) in out.iter_mut().zip(gradient).zip(weight) {
            *out = *g * *weight;
        }
        let [first, squares, gradients, products] = sums(
            x,
            out,
            #[inline(always)]
            |x, g| {
                let ([d, square], g) = (deviation(x, shift), g.to_f64());
                [d, square, g, g * d]
            },
        );
        let [mean, scale] = self.mean_and_scale(shift, [first, squares], width);
        let n = width as f64;
        // Σ g γ (x − μ) from Σ g γ (x − shift).
        let products = products - (mean - if self.centred { shift } else { 0.0 }) * gradients;
        let constant = if self.centred { gradients / n } else { 0.0 };
        let linear = products * scale / n;
        let [mean, scale, constant, linear] = [mean, scale, constant, linear].map(T::from_f64);
        let sums = weight_sums.iter_mut().zip(bias_sums);
        let rows = out.iter_mut().zip(x).zip(gradient);
        for (((out, x), g), (weight_sum, bias_sum)) in rows.zip(sums) {
            let unit = (*x - mean) * scale;
            *weight_sum += *g * unit;
            *bias_sum += *g;
            *out = scale * (*out - constant - unit * linear);
        }
    }
}

impl Normalization for RowNorm {
    /// The rows of `x`, each as long as γ and β.
    fn forward<T: Real>(self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let width = weight.len();
        lengths::rows("x", x.len(), width);
        lengths::length("bias", bias.len(), width);
        let rows = (4_096 / width.max(1)).max(1);
        let (y, _) = written(x.len(), rows * width, |i, piece: &mut [T]| {
            vectorized!({
                let x = x[i * rows * width..].chunks_exact(width);
                for (y, x) in piece.chunks_exact_mut(width).zip(x) {
                    self.forward_row(x, weight, bias, y);
                }
            });
        });
        y
    }

    fn backward<T: Real>(self, x: &[T], gradient: &[T], weight: &[T]) -> Gradients<T> {
        let width = weight.len();
        let rows = lengths::rows("x", x.len(), width);
        lengths::length("gradient", gradient.len(), x.len());
        // Few pieces, since each has sums of its own; none of them small.
        let rows = rows.div_ceil(PIECES).max(8_192 / width.max(1)).max(1);
        let (input, parts) = written(x.len(), rows * width, |i, piece: &mut [T]| {
            let mut totals = [vec![0f64; width], vec![0f64; width]];
            vectorized!({
                let at = i * rows * width;
                let runs = piece.chunks_mut(RUN * width);
                let runs = runs.zip(x[at..].chunks(RUN * width));
                let mut sums = [vec![T::ZERO; width], vec![T::ZERO; width]];
                for ((out, x), g) in runs.zip(gradient[at..].chunks(RUN * width)) {
                    let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for ((out, x), g) in rows.zip(g.chunks_exact(width)) {
                        self.backward_row(x, g, weight, out, &mut sums);
                    }
                    for (totals, sums) in totals.iter_mut().zip(&mut sums) {
                        for (total, sum) in totals.iter_mut().zip(sums) {
                            *total += sum.to_f64();
                            *sum = T::ZERO;
                        }
                    }
                }
            });
            totals
        });
        let pairs = parts.into_iter().flat_map(|[weight, bias]| {
            let pairs = weight.into_iter().zip(bias);
            pairs.map(|(weight, bias)| [weight, bias])
        });
        Gradients::of_parts(input, width, pairs)
    }
}
