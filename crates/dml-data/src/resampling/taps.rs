//! Weights of old pixels for new ones.

use dml_core::Interpolation;

use super::{Axis, Span};

/// For each new pixel, the first old pixel that counts, and the weights from there on.
#[derive(Debug)]
pub(super) struct Taps<W> {
    first: Vec<usize>,
    /// `width` weights for each new pixel, zeros at the end.
    weights: Vec<W>,
    /// Numbers of weights that are not padding.
    counts: Vec<usize>,
    width: usize,
}

impl<W> Taps<W> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[W])> {
        let weights = self.weights.chunks_exact(self.width).zip(&self.counts);
        self.first
            .iter()
            .zip(weights)
            .map(|(&first, (weights, &count))| (first, &weights[..count]))
    }

    pub(super) fn map<V>(self, f: impl Fn(W) -> V) -> Taps<V> {
        Taps {
            first: self.first,
            weights: self.weights.into_iter().map(f).collect(),
            counts: self.counts,
            width: self.width,
        }
    }

    /// Number of new pixels.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Old pixels from the first to the last that counts.
    pub(super) fn reach(&self) -> Span {
        let ends = self.first.iter().zip(&self.counts);
        let end = ends.map(|(first, count)| first + count).max();
        let start = self.first.iter().copied().min().unwrap_or(0);
        Span {
            start,
            length: end.map_or(0, |end| end - start),
        }
    }
}

/// Radius of the filter's support, in pixels of the larger of both images.
fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Bicubic => 2.0,
        Interpolation::Lanczos => 3.0,
        _ => 1.0,
    }
}

/// k of the [formula](super).
fn kernel(filter: Interpolation, t: f64) -> f64 {
    let t = t.abs();
    match filter {
        Interpolation::Bicubic if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
        Interpolation::Bicubic if t < 2.0 => ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0,
        Interpolation::Lanczos if t < 3.0 => sinc(t) * sinc(t / 3.0),
        Interpolation::Bicubic | Interpolation::Lanczos => 0.0,
        _ => (1.0 - t).max(0.0),
    }
}

fn sinc(t: f64) -> f64 {
    if t == 0.0 {
        1.0
    } else {
        let x = t * std::f64::consts::PI;
        x.sin() / x
    }
}

/// The scale of an axis.
struct Scale {
    filter: Interpolation,
    /// Number of old pixels.
    old: usize,
    /// Old pixels for each new one.
    ratio: f64,
    /// Radius of the filter in old pixels.
    reach: f64,
}

impl Scale {
    fn new(filter: Interpolation, axis: Axis) -> Self {
        let ratio = axis.part.length as f64 / axis.new as f64;
        Self {
            filter,
            old: axis.part.length,
            ratio,
            reach: support(filter) * ratio.max(1.0),
        }
    }

    /// Most old pixels that a new one is made of.
    fn width(&self) -> usize {
        2 * (self.reach.ceil() as usize) + 1
    }

    /// Centre of a new pixel, c of the [formula](super).
    fn centre(&self, i: usize) -> f64 {
        (i as f64 + 0.5) * self.ratio
    }

    /// The old pixels that a new one is made of, and the one behind them.
    fn range(&self, i: usize) -> (usize, usize) {
        let (centre, reach) = (self.centre(i), self.reach);
        if self.filter == Interpolation::Nearest {
            let nearest = (centre as usize).min(self.old - 1);
            return (nearest, nearest + 1);
        }
        let first = (centre - reach + 0.5).max(0.0) as usize;
        (first, ((centre + reach + 0.5) as usize).min(self.old))
    }
}

/// Weights for the kept pixels of an axis.
pub(super) fn taps(filter: Interpolation, axis: Axis) -> Taps<f64> {
    let Axis { part, kept, .. } = axis;
    let scale = Scale::new(filter, axis);
    let stretch = scale.ratio.max(1.0);
    let width = scale.width();
    let mut taps = Taps {
        first: Vec::with_capacity(kept.length),
        weights: Vec::with_capacity(kept.length * width),
        counts: Vec::with_capacity(kept.length),
        width,
    };
    for i in kept.start..kept.end() {
        let centre = scale.centre(i);
        let (first, last) = scale.range(i);
        let weight = |j: usize| match filter {
            Interpolation::Nearest => 1.0,
            _ => kernel(filter, (j as f64 - centre + 0.5) / stretch),
        };
        let start = taps.weights.len();
        taps.weights.extend((first..last).map(weight));
        let sum: f64 = taps.weights[start..].iter().sum();
        if sum != 0.0 {
            for weight in &mut taps.weights[start..] {
                *weight /= sum;
            }
        }
        taps.weights.resize(start + width, 0.0);
        taps.first.push(part.start + first);
        taps.counts.push(last - first);
    }
    taps
}

/// Bytes that the weights of an axis take, in double precision and in 22 binary places.
#[cfg(feature = "images")]
pub(crate) fn bytes_of_weights(filter: Interpolation, axis: Axis) -> u64 {
    let weights = (axis.kept.length as u64).saturating_mul(Scale::new(filter, axis).width() as u64);
    weights.saturating_mul(12)
}
