//! Layer normalisation over the channels of each pixel of `[batch, channels, area]`, forward and backward.
//!
//! ```text
//! y  = x̂ γ + β,   x̂ = (x − μ) r,   r = 1 / √(σ² + ε)      μ, σ² over the channels of a pixel
//! ∂x = r (g γ − mean(g γ) − x̂ mean(g γ x̂))
//! ```
//!
//! The numbers of a pixel are far apart, so a block of pixels is worked on at once: all of its channels stay in the
//! second-level cache, and nothing is transposed.

use dml_core::kernels::{Real, lengths, vectorized, written};

use crate::kernels::moments::{moments, sums};
use crate::kernels::normalization::{Gradients, Normalization};

/// Pixels of a block.
const BLOCK: usize = 128;

/// Most pieces that a batch is cut into.
const PIECES: usize = 64;

/// Sums over the channels for each pixel of a block.
type Sums = [f64; BLOCK];

/// Sizes of the images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pixels {
    /// Number of channels; at least 1.
    pub(crate) channels: usize,
    /// Number of pixels of an image; at least 1.
    pub(crate) area: usize,
    /// ε.
    pub(crate) eps: f64,
}

impl Pixels {
    fn size(&self) -> usize {
        self.channels * self.area
    }

    /// Blocks of neighbouring pixels: the first one and how many.
    fn blocks(self) -> impl Iterator<Item = [usize; 2]> {
        let starts = (0..self.area).step_by(BLOCK);
        starts.map(move |start| [start, BLOCK.min(self.area - start)])
    }

    /// The pixels of a block in one channel.
    fn range(&self, channel: usize, [start, count]: [usize; 2]) -> std::ops::Range<usize> {
        let at = channel * self.area + start;
        at..at + count
    }

    /// Mean and scale of each pixel, given the sums of differences from the first channel and of their squares.
    #[inline(always)]
    fn mean_and_scale(&self, shift: &Sums, sums: &Sums, squares: &Sums) -> [Sums; 2] {
        let (mut mean, mut scale) = ([0.0; BLOCK], [0.0; BLOCK]);
        for i in 0..BLOCK {
            let [m, variance] = moments(shift[i], [sums[i], squares[i]], self.channels);
            mean[i] = m;
            scale[i] = 1.0 / (variance + self.eps).sqrt();
        }
        [mean, scale]
    }

    /// The first channel of a block.
    #[inline(always)]
    fn shift<T: Real>(&self, x: &[T], block: [usize; 2]) -> Sums {
        let mut shift = [0.0; BLOCK];
        for (shift, x) in shift.iter_mut().zip(&x[self.range(0, block)]) {
            *shift = x.to_f64();
        }
        shift
    }

    #[inline(always)]
    fn forward_block<T: Real>(
        self,
        x: &[T],
        weight: &[T],
        bias: &[T],
        y: &mut [T],
        block: [usize; 2],
    ) {
        let shift = self.shift(x, block);
        let (mut first, mut squares) = ([0.0; BLOCK], [0.0; BLOCK]);
        for channel in 0..self.channels {
            let x = &x[self.range(channel, block)];
            let both = first.iter_mut().zip(&mut squares);
            for ((x, shift), (sum, square)) in x.iter().zip(&shift).zip(both) {
                let d = x.to_f64() - shift;
                *sum += d;
                *square += d * d;
            }
        }
        let statistics = self.mean_and_scale(&shift, &first, &squares);
        let [mean, scale] = statistics.map(|row| row.map(T::from_f64));
        for (channel, (weight, bias)) in weight.iter().zip(bias).enumerate() {
            let range = self.range(channel, block);
            let pixels = y[range.clone()].iter_mut().zip(&x[range]);
            for ((y, x), (mean, scale)) in pixels.zip(mean.iter().zip(&scale)) {
                *y = (*x - *mean) * *scale * *weight + *bias;
            }
        }
    }

    #[inline(always)]
    fn backward_block<T: Real>(
        self,
        x: &[T],
        gradient: &[T],
        weight: &[T],
        out: &mut [T],
        block: [usize; 2],
        totals: &mut [[f64; 2]],
    ) {
        let shift = self.shift(x, block);
        let (mut first, mut squares) = ([0.0; BLOCK], [0.0; BLOCK]);
        let (mut gradients, mut products) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (channel, weight) in weight.iter().enumerate() {
            let range = self.range(channel, block);
            let pixels = x[range.clone()].iter().zip(&gradient[range]).zip(&shift);
            let one = first.iter_mut().zip(&mut squares);
            let two = gradients.iter_mut().zip(&mut products);
            for (((x, g), shift), ((sum, square), (gradient, product))) in pixels.zip(one.zip(two))
            {
                let d = x.to_f64() - shift;
                let g = (*g * *weight).to_f64();
                *sum += d;
                *square += d * d;
                *gradient += g;
                *product += g * d;
            }
        }
        let [mean, scale] = self.mean_and_scale(&shift, &first, &squares);
        let n = self.channels as f64;
        for i in 0..BLOCK {
            // Σ g γ x̂ from Σ g γ (x − shift).
            products[i] = (products[i] - (mean[i] - shift[i]) * gradients[i]) * scale[i] / n;
            gradients[i] /= n;
        }
        let rows = [mean, scale, gradients, products];
        let [mean, scale, constant, linear] = rows.map(|row| row.map(T::from_f64));
        for (channel, weight) in weight.iter().enumerate() {
            let range = self.range(channel, block);
            let pixels = out[range.clone()].iter_mut().zip(&x[range.clone()]);
            let pixels = pixels.zip(&gradient[range.clone()]);
            let statistics = (mean.iter().zip(&scale), constant.iter().zip(&linear));
            let mut units = [T::ZERO; BLOCK];
            for (((out, x), g), ((unit, (mean, scale)), (constant, linear))) in
                pixels.zip(units.iter_mut().zip(statistics.0).zip(statistics.1))
            {
                *unit = (*x - *mean) * *scale;
                *out = *scale * (*g * *weight - *constant - *unit * *linear);
            }
            let parts = sums(
                &gradient[range],
                &units,
                #[inline(always)]
                |g, unit| [(g * unit).to_f64(), g.to_f64()],
            );
            totals[channel][0] += parts[0];
            totals[channel][1] += parts[1];
        }
    }
}

impl Normalization for Pixels {
    fn forward<T: Real>(self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let size = self.size();
        lengths::rows("x", x.len(), size);
        let (y, _) = written(x.len(), size, |i, y: &mut [T]| {
            vectorized!({
                let x = &x[i * size..][..size];
                for block in self.blocks() {
                    self.forward_block(x, weight, bias, y, block);
                }
            });
        });
        y
    }

    fn backward<T: Real>(self, x: &[T], gradient: &[T], weight: &[T]) -> Gradients<T> {
        let size = self.size();
        let images = lengths::rows("x", x.len(), size);
        lengths::length("gradient", gradient.len(), x.len());
        let run = images.div_ceil(PIECES).max(1);
        let (input, parts) = written(x.len(), run * size, |i, piece: &mut [T]| {
            let mut totals = vec![[0.0; 2]; self.channels];
            vectorized!({
                let at = i * run * size;
                let images = piece.chunks_exact_mut(size).zip(x[at..].chunks_exact(size));
                for ((out, x), g) in images.zip(gradient[at..].chunks_exact(size)) {
                    for block in self.blocks() {
                        self.backward_block(x, g, weight, out, block, &mut totals);
                    }
                }
            });
            totals
        });
        Gradients::of_parts(input, self.channels, parts.into_iter().flatten())
    }
}
