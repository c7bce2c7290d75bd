//! Batch normalisation over the channels of `[batch, channels, area]`, forward and backward.
//!
//! ```text
//! y  = f(z),   z = (x − μ) a + β [+ residual],   a = γ / √(σ² + ε)
//! ∂x = a (d − Σd / n − (x − μ) Σd(x − μ) / (n (σ² + ε)))       in training, sums over the n numbers of a channel
//! ∂x = a d                                                     with fixed statistics
//! d  = g f'(z), which is the gradient of the residual, too
//! ```
//!
//! Each way takes two passes over memory: one for sums, one for the result.

use std::ops::Range;

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{Real, lengths, row_chunks, vectorized, written};
use rayon::prelude::*;

use crate::activation::Formula;
use crate::kernels::moments::{deviation, moments, sums};

/// Most jobs that a sum is cut into.
const JOBS: usize = 64;

/// Numbers that are worth a job of their own.
const WORK: usize = 32_768;

/// Numbers of a plane whose gradients are in the first-level cache together.
const RUN: usize = 512;

/// Sizes of a batch of channel planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planes {
    /// Number of images.
    pub(crate) batch: usize,
    /// Number of channels.
    pub(crate) channels: usize,
    /// Number of pixels of a plane.
    pub(crate) area: usize,
}

impl Planes {
    /// Numbers of one channel.
    pub(crate) fn count(&self) -> usize {
        self.batch * self.area
    }

    fn len(&self) -> usize {
        self.batch * self.channels * self.area
    }

    /// Ranges of images and channels that are summed one by one; they depend on the sizes alone.
    fn jobs(&self) -> Vec<[Range<usize>; 2]> {
        let jobs = (self.len() / WORK).clamp(1, JOBS);
        let images = row_chunks(self.batch, jobs);
        let channels = row_chunks(self.channels, jobs.div_ceil(images.len()));
        let pairs = |images: Range<usize>| {
            let pair = move |channels: &Range<usize>| [images.clone(), channels.clone()];
            channels.iter().map(pair)
        };
        images.into_iter().flat_map(pairs).collect()
    }

    /// Two sums over each channel: of `term(parameter of the channel, a, b)`.
    fn sums<T: Real, P: Copy + Sync>(
        &self,
        a: &[T],
        b: &[T],
        parameters: &[P],
        term: impl Fn(P, T, T) -> [f64; 2] + Sync,
    ) -> Vec<[f64; 2]> {
        lengths::length("a", a.len(), self.len());
        lengths::length("b", b.len(), self.len());
        lengths::length("parameters", parameters.len(), self.channels);
        self.plane_sums(
            #[inline(always)]
            |channel, plane| {
                let parameter = parameters[channel];
                sums(
                    &a[plane.clone()],
                    &b[plane],
                    #[inline(always)]
                    |a, b| term(parameter, a, b),
                )
            },
        )
    }

    /// Two sums over each channel, given those of each plane: `sums(channel, plane)` gets the range of the plane.
    fn plane_sums(&self, sums: impl Fn(usize, Range<usize>) -> [f64; 2] + Sync) -> Vec<[f64; 2]> {
        let jobs = self.jobs();
        let parts = jobs.par_iter().map_in_place(|[images, channels]| {
            let mut totals = vec![[0.0; 2]; channels.len()];
            vectorized!({
                for image in images.clone() {
                    for (total, channel) in totals.iter_mut().zip(channels.clone()) {
                        let at = (image * self.channels + channel) * self.area;
                        let [first, second] = sums(channel, at..at + self.area);
                        total[0] += first;
                        total[1] += second;
                    }
                }
            });
            totals
        });
        let mut totals = vec![[0.0; 2]; self.channels];
        for ([_, channels], part) in jobs.iter().zip(parts) {
            for (total, part) in totals[channels.clone()].iter_mut().zip(part) {
                total[0] += part[0];
                total[1] += part[1];
            }
        }
        totals
    }

    /// A result of this size, and what `write(channel, first number of the plane, plane)` returns for each plane, which it
    /// fills; in the order of the planes.
    fn by_plane<T: Real, R: Send>(
        &self,
        write: impl Fn(usize, usize, &mut [T]) -> R + Sync,
    ) -> (Vec<T>, impl Iterator<Item = R>) {
        let area = self.area.max(1);
        let planes = (4_096 / area).max(1);
        let (result, parts) = written(self.len(), planes * area, |i, piece: &mut [T]| {
            let mut results = Vec::with_capacity(planes);
            vectorized!({
                let mut channel = i * planes % self.channels;
                for (j, plane) in piece.chunks_exact_mut(area).enumerate() {
                    results.push(write(channel, (i * planes + j) * area, plane));
                    channel += 1;
                    if channel == self.channels {
                        channel = 0;
                    }
                }
            });
            results
        });
        (result, parts.into_iter().flatten())
    }
}

/// The map of one channel before the activation: `(x − mean) · factor + shift`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel<T> {
    /// μ.
    pub(crate) mean: T,
    /// a = γ / √(σ² + ε).
    pub(crate) factor: T,
    /// β.
    pub(crate) shift: T,
}

impl<T: Real> Channel<T> {
    #[inline(always)]
    fn at(&self, x: T) -> T {
        (x - self.mean) * self.factor + self.shift
    }
}

/// Mean and variance of each channel.
///
/// # Panics
/// Unless `x` has the size of the planes.
pub(crate) fn statistics<T: Real>(x: &[T], planes: &Planes) -> [Vec<f64>; 2] {
    // The first number of each channel is the shift of its sums.
    let shifts: Vec<f64> = (0..planes.channels)
        .map(|channel| x.get(channel * planes.area).map_or(0.0, |x| x.to_f64()))
        .collect();
    let sums = planes.sums(
        x,
        x,
        &shifts,
        #[inline(always)]
        |shift, x, _| deviation(x, shift),
    );
    let both = shifts.iter().zip(sums);
    both.map(|(shift, sums)| moments(*shift, sums, planes.count()).into())
        .unzip::<f64, f64, Vec<f64>, Vec<f64>>()
        .into()
}

/// `f` of the normalised input, to which a residual of the same size is added first, where there is one.
///
/// # Panics
/// If a length does not fit.
pub(crate) fn forward<T: Real>(
    f: impl Formula,
    x: &[T],
    residual: Option<&[T]>,
    planes: &Planes,
    channels: &[Channel<T>],
) -> Vec<T> {
    lengths::length("x", x.len(), planes.len());
    let Some(residual) = residual else {
        return planes
            .by_plane(
                #[inline(always)]
                |channel, at, out: &mut [T]| {
                    let channel = channels[channel];
                    for (out, x) in out.iter_mut().zip(&x[at..]) {
                        *out = f.at(channel.at(*x)).0;
                    }
                },
            )
            .0;
    };
    lengths::length("residual", residual.len(), planes.len());
    planes
        .by_plane(
            #[inline(always)]
            |channel, at, out: &mut [T]| {
                let channel = channels[channel];
                for ((out, x), r) in out.iter_mut().zip(&x[at..]).zip(&residual[at..]) {
                    *out = f.at(channel.at(*x) + *r).0;
                }
            },
        )
        .0
}

/// As [`forward`], of one plane in place; the residual begins where the plane does.
pub(crate) fn forward_plane<T: Real>(
    f: impl Formula,
    channel: Channel<T>,
    residual: Option<&[T]>,
    plane: &mut [T],
) {
    vectorized!({
        match residual {
            None => {
                for x in plane.iter_mut() {
                    *x = f.at(channel.at(*x)).0;
                }
            }
            Some(residual) => {
                for (x, r) in plane.iter_mut().zip(residual) {
                    *x = f.at(channel.at(*x) + *r).0;
                }
            }
        }
    });
}

/// Σ d and Σ d (x − mean) of each channel, where d is the gradient before the activation.
///
/// # Panics
/// If a length does not fit.
pub(crate) fn gradient_sums<T: Real>(
    f: impl Formula,
    x: &[T],
    gradient: &[T],
    planes: &Planes,
    channels: &[Channel<T>],
    mean: &[f64],
) -> Vec<[f64; 2]> {
    lengths::length("x", x.len(), planes.len());
    lengths::length("gradient", gradient.len(), planes.len());
    planes.plane_sums(
        #[inline(always)]
        |channel, plane| {
            let (own, mean) = (channels[channel], mean[channel]);
            // Most formulas have branches, which the compiler makes selections of in a loop that writes, and not in sums.
            let mut products = [T::ZERO; RUN];
            let mut totals = [0.0; 2];
            let runs = x[plane.clone()].chunks(RUN);
            for (x, g) in runs.zip(gradient[plane].chunks(RUN)) {
                let products = &mut products[..x.len()];
                for ((d, x), g) in products.iter_mut().zip(x).zip(g) {
                    *d = f.at(own.at(*x)).1 * *g;
                }
                let [first, second] = sums(
                    products,
                    x,
                    #[inline(always)]
                    |d, x| [d.to_f64(), d.to_f64() * (x.to_f64() - mean)],
                );
                totals[0] += first;
                totals[1] += second;
            }
            totals
        },
    )
}

/// The gradient before the activation, which is that of the residual, and its sums as of [`gradient_sums`].
///
/// # Panics
/// If a length does not fit.
pub(crate) fn residual_gradient<T: Real>(
    f: impl Formula,
    [x, residual, gradient]: [&[T]; 3],
    planes: &Planes,
    channels: &[Channel<T>],
    mean: &[f64],
) -> (Vec<T>, Vec<[f64; 2]>) {
    for (name, slice) in [("x", x), ("residual", residual), ("gradient", gradient)] {
        lengths::length(name, slice.len(), planes.len());
    }
    let (result, parts) = planes.by_plane(
        #[inline(always)]
        |channel, at, out: &mut [T]| {
            let (own, mean) = (channels[channel], mean[channel]);
            let plane = at..at + out.len();
            let inputs = x[plane.clone()].iter().zip(&residual[plane.clone()]);
            for ((out, (x, r)), g) in out.iter_mut().zip(inputs).zip(&gradient[plane.clone()]) {
                *out = f.at(own.at(*x) + *r).1 * *g;
            }
            sums(
                out,
                &x[plane],
                #[inline(always)]
                |d, x| [d.to_f64(), d.to_f64() * (x.to_f64() - mean)],
            )
        },
    );
    let mut totals = vec![[0.0; 2]; planes.channels];
    for (i, part) in parts.enumerate() {
        let total = &mut totals[i % planes.channels];
        total[0] += part[0];
        total[1] += part[1];
    }
    (result, totals)
}

/// What the mean and the variance of the batch take from the gradient of a channel: `constant + linear · (x − mean)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<T> {
    /// Mean of the gradient over the channel.
    pub(crate) constant: T,
    /// Σ d (x − μ) / (n (σ² + ε)).
    pub(crate) linear: T,
}

/// The gradient of the input: `factor · (d − what is taken)`, where d is the gradient before the activation. With fixed
/// statistics nothing is taken.
///
/// # Panics
/// If a length does not fit.
pub(crate) fn input_gradient<T: Real>(
    f: impl Formula,
    x: &[T],
    gradient: &[T],
    planes: &Planes,
    channels: &[Channel<T>],
    taken: Option<&[Taken<T>]>,
) -> Vec<T> {
    lengths::length("x", x.len(), planes.len());
    lengths::length("gradient", gradient.len(), planes.len());
    let Some(taken) = taken else {
        return planes
            .by_plane(
                #[inline(always)]
                |channel, at, out: &mut [T]| {
                    let channel = channels[channel];
                    for ((out, x), g) in out.iter_mut().zip(&x[at..]).zip(&gradient[at..]) {
                        *out = channel.factor * (f.at(channel.at(*x)).1 * *g);
                    }
                },
            )
            .0;
    };
    planes
        .by_plane(
            #[inline(always)]
            |channel, at, out: &mut [T]| {
                let (channel, taken) = (channels[channel], taken[channel]);
                for ((out, x), g) in out.iter_mut().zip(&x[at..]).zip(&gradient[at..]) {
                    let d = f.at(channel.at(*x)).1 * *g;
                    let linear = taken.linear * (*x - channel.mean);
                    *out = channel.factor * (d - taken.constant - linear);
                }
            },
        )
        .0
}
