//! The maximum of each pooling window over channels-last pixels, and where it was found.

use pulp::{Simd, WithSimd};

use super::shape::Pooling;
use dml_core::kernels::{Real, SimdReal};

/// The place that stands for "none": no place of the window has a gradient.
pub(super) const NOWHERE: u8 = u8::MAX;

/// The pixels of every pooling window, precomputed.
#[derive(Clone, Debug)]
pub(super) struct PoolWindows {
    /// Per window, the pixels inside the image: place in the window, and pixel.
    windows: Vec<Vec<(u8, u32)>>,
    /// Per window and place, the pixel; 0 for places outside, which are never chosen.
    pixels: Vec<u32>,
    places: usize,
}

impl PoolWindows {
    pub(super) fn new(pooling: &Pooling, image: [usize; 2]) -> Self {
        let windows = pooling.windows(image);
        let places = pooling.kernel[0] * pooling.kernel[1];
        let mut pixels = vec![0; windows.len() * places];
        for (window, inside) in windows.iter().enumerate() {
            for (place, pixel) in inside {
                pixels[window * places + *place as usize] = *pixel;
            }
        }
        Self {
            windows,
            pixels,
            places,
        }
    }

    /// The pixel at a place of a window that was chosen.
    #[inline(always)]
    pub(super) fn pixel(&self, window: usize, place: u8) -> usize {
        self.pixels[window * self.places + place as usize] as usize
    }

    /// The largest value of each window, the first of equals, and its place, `[windows, channels]`, where the channels
    /// fill whole registers. With `relu`, a maximum of at most 0 is a 0 from nowhere. NaN is larger than anything.
    #[inline(always)]
    pub(super) fn maxima<T: SimdReal, S: Simd>(
        &self,
        simd: S,
        pixels: &[T],
        channels: usize,
        relu: bool,
        values: &mut [T],
        places: &mut [T],
    ) {
        simd.vectorize(Maxima {
            windows: &self.windows,
            pixels,
            channels,
            relu,
            values,
            places,
        });
    }
}

struct Maxima<'a, T> {
    windows: &'a [Vec<(u8, u32)>],
    pixels: &'a [T],
    channels: usize,
    relu: bool,
    values: &'a mut [T],
    places: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Maxima<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.channels / T::lanes::<S>();
        let (pixels, _) = T::as_lanes::<S>(self.pixels);
        let (values, _) = T::as_lanes_mut::<S>(self.values);
        let (places, _) = T::as_lanes_mut::<S>(self.places);
        let lowest = T::splat(simd, T::from_f64(f64::NEG_INFINITY));
        for (window, inside) in self.windows.iter().enumerate() {
            // Where nothing is larger than −∞, the first pixel is the maximum.
            let first = inside.first().map_or(NOWHERE, |(place, _)| *place);
            let first = T::splat(simd, T::from_f64(f64::from(first)));
            for c in 0..vectors {
                let mut best = (lowest, first);
                for (place, pixel) in inside {
                    let value = pixels[*pixel as usize * vectors + c];
                    let place = T::splat(simd, T::from_f64(f64::from(*place)));
                    best = better::<T, S>(simd, best, (value, place));
                }
                if self.relu {
                    best = rectified::<T, S>(simd, best.0, best.1);
                }
                (values[window * vectors + c], places[window * vectors + c]) = best;
            }
        }
    }
}

/// The larger of two values with its place, the first of equals; NaN is larger than anything.
#[inline(always)]
pub(crate) fn better<T: SimdReal, S: Simd>(
    simd: S,
    best: (T::Lanes<S>, T::Lanes<S>),
    next: (T::Lanes<S>, T::Lanes<S>),
) -> (T::Lanes<S>, T::Lanes<S>) {
    // Not "if the next is larger", which is false for NaN.
    let stays = T::at_most(simd, next.0, best.0);
    let number = T::equal(simd, best.0, best.0);
    let value = T::select(simd, stays, best.0, next.0);
    let place = T::select(simd, stays, best.1, next.1);
    (
        T::select(simd, number, value, best.0),
        T::select(simd, number, place, best.1),
    )
}

/// The value and its place after ReLU.
#[inline(always)]
pub(super) fn rectified<T: SimdReal, S: Simd>(
    simd: S,
    value: T::Lanes<S>,
    place: T::Lanes<S>,
) -> (T::Lanes<S>, T::Lanes<S>) {
    let zero = T::splat(simd, T::ZERO);
    let nowhere = T::splat(simd, <T as Real>::from_f64(f64::from(NOWHERE)));
    let cut = T::at_most(simd, value, zero);
    (
        T::select(simd, cut, zero, value),
        T::select(simd, cut, nowhere, place),
    )
}
