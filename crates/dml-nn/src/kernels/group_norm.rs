//! Group normalisation of `[batch, channels, area]`, forward and backward.
//!
//! ```text
//! y  = x̂ γ + β,   x̂ = (x − μ) r,   r = 1 / √(σ² + ε)      μ, σ² over the channels of a group, γ, β by channel
//! ∂x = r (g γ − mean(g γ) − x̂ mean(g γ x̂))
//! ```
//!
//! A group of an image is a contiguous run of numbers, which stays in the cache while it is worked on.

use dml_core::kernels::{Real, lengths, vectorized, written};

use crate::kernels::moments::{deviation, moments, sums};
use crate::kernels::normalization::{Gradients, Normalization};

/// Sizes of the groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Groups {
    /// Number of groups of an image.
    pub(crate) groups: usize,
    /// Number of channels of a group.
    pub(crate) channels: usize,
    /// Number of pixels of a plane; at least 1.
    pub(crate) area: usize,
    /// ε.
    pub(crate) eps: f64,
}

impl Groups {
    fn size(&self) -> usize {
        self.channels * self.area
    }

    /// Groups of one piece of work.
    fn run(&self) -> usize {
        (4_096 / self.size()).max(1)
    }

    /// The channels of the group with that number, counted through all images.
    fn of(&self, group: usize) -> std::ops::Range<usize> {
        let first = group % self.groups * self.channels;
        first..first + self.channels
    }

    #[inline(always)]
    fn mean_and_scale<T: Real>(&self, x: &[T]) -> [f64; 2] {
        let shift = x[0].to_f64();
        let sums = sums(
            x,
            x,
            #[inline(always)]
            |x, _| deviation(x, shift),
        );
        let [mean, variance] = moments(shift, sums, x.len());
        [mean, 1.0 / (variance + self.eps).sqrt()]
    }

    #[inline(always)]
    fn backward_group<T: Real>(
        self,
        x: &[T],
        gradient: &[T],
        weight: &[T],
        out: &mut [T],
        parts: &mut Vec<[f64; 2]>,
    ) {
        let [mean, scale] = self.mean_and_scale(x);
        let (mut gradients, mut products) = (0.0, 0.0);
        let planes = x.chunks_exact(self.area);
        let planes = planes.zip(gradient.chunks_exact(self.area));
        for ((x, g), weight) in planes.clone().zip(weight) {
            let [sum, product] = sums(
                x,
                g,
                #[inline(always)]
                |x, g| {
                    let g = g.to_f64();
                    [g, g * (x.to_f64() - mean)]
                },
            );
            parts.push([product * scale, sum]);
            gradients += weight.to_f64() * sum;
            products += weight.to_f64() * product;
        }
        let n = x.len() as f64;
        let constant = gradients / n;
        let linear = products * scale * scale / n;
        let [mean, scale, constant, linear] = [mean, scale, constant, linear].map(T::from_f64);
        let planes = planes.zip(out.chunks_exact_mut(self.area));
        for (((x, g), out), weight) in planes.zip(weight) {
            for ((out, x), g) in out.iter_mut().zip(x).zip(g) {
                *out = scale * (*g * *weight - constant - (*x - mean) * linear);
            }
        }
    }
}

impl Normalization for Groups {
    fn forward<T: Real>(self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let (size, run) = (self.size(), self.run());
        lengths::rows("x", x.len(), size);
        lengths::length("bias", bias.len(), weight.len());
        let (y, _) = written(x.len(), run * size, |i, piece: &mut [T]| {
            vectorized!({
                let x = x[i * run * size..].chunks_exact(size);
                for (j, (y, x)) in piece.chunks_exact_mut(size).zip(x).enumerate() {
                    let [mean, scale] = self.mean_and_scale(x);
                    let mean = T::from_f64(mean);
                    let planes = y.chunks_exact_mut(self.area);
                    let planes = planes.zip(x.chunks_exact(self.area));
                    for (channel, (y, x)) in self.of(i * run + j).zip(planes) {
                        let factor = T::from_f64(scale * weight[channel].to_f64());
                        let bias = bias[channel];
                        for (y, x) in y.iter_mut().zip(x) {
                            *y = (*x - mean) * factor + bias;
                        }
                    }
                }
            });
        });
        y
    }

    fn backward<T: Real>(self, x: &[T], gradient: &[T], weight: &[T]) -> Gradients<T> {
        let (size, run) = (self.size(), self.run());
        lengths::rows("x", x.len(), size);
        lengths::length("gradient", gradient.len(), x.len());
        let (input, parts) = written(x.len(), run * size, |i, piece: &mut [T]| {
            // Gradients of γ and β from each channel of each group.
            let mut parts = Vec::with_capacity(piece.len() / self.area);
            vectorized!({
                let at = i * run * size;
                let groups = x[at..].chunks_exact(size);
                let groups = groups.zip(gradient[at..].chunks_exact(size));
                for (j, (out, (x, g))) in piece.chunks_exact_mut(size).zip(groups).enumerate() {
                    let channels = &weight[self.of(i * run + j)];
                    self.backward_group(x, g, channels, out, &mut parts);
                }
            });
            parts
        });
        // The pieces lie in the order of images and channels.
        Gradients::of_parts(input, weight.len(), parts.into_iter().flatten())
    }
}
