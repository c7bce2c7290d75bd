//! The maximum of each pooling window over channels-last pixels, and where it was found.

use super::shape::Pooling;
use crate::Real;

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

    pub(super) fn count(&self) -> usize {
        self.windows.len()
    }

    /// The pixel at a place of a window that was chosen.
    #[inline(always)]
    pub(super) fn pixel(&self, window: usize, place: u8) -> usize {
        self.pixels[window * self.places + place as usize] as usize
    }

    /// The largest value of each window, the first of equals, and its place. With `relu`, a maximum of 0 came from
    /// nowhere. NaN counts as larger than anything, as in PyTorch.
    #[inline(always)]
    pub(super) fn maxima<T: Real>(
        &self,
        pixels: &[T],
        channels: usize,
        relu: bool,
        out: &mut [T],
        places: &mut [u8],
    ) {
        const LANES: usize = 16;
        for (window, (out, places)) in self.windows.iter().zip(
            out.chunks_exact_mut(channels)
                .zip(places.chunks_exact_mut(channels)),
        ) {
            // Where nothing is larger than −∞, the first pixel is the maximum.
            let first = window.first().map_or(NOWHERE, |(place, _)| *place);
            let mut c = 0;
            while c + LANES <= channels {
                let mut best = [T::from_f64(f64::NEG_INFINITY); LANES];
                let mut chosen = [u32::from(first); LANES];
                for (place, pixel) in window {
                    let at = *pixels[*pixel as usize * channels + c..]
                        .first_chunk::<LANES>()
                        .unwrap_or(&best);
                    for i in 0..LANES {
                        // No short circuit: a branch per lane would cost more than both comparisons.
                        let wins = (at[i] > best[i]) | at[i].is_nan();
                        best[i] = if wins { at[i] } else { best[i] };
                        chosen[i] = if wins { u32::from(*place) } else { chosen[i] };
                    }
                }
                for i in 0..LANES {
                    out[c + i] = best[i];
                    places[c + i] = if relu && best[i] == T::ZERO {
                        NOWHERE
                    } else {
                        chosen[i] as u8
                    };
                }
                c += LANES;
            }
            for c in c..channels {
                let mut best = T::from_f64(f64::NEG_INFINITY);
                let mut chosen = first;
                for (place, pixel) in window {
                    let value = pixels[*pixel as usize * channels + c];
                    if value > best || value.is_nan() {
                        (best, chosen) = (value, *place);
                    }
                }
                out[c] = best;
                places[c] = if relu && best == T::ZERO {
                    NOWHERE
                } else {
                    chosen
                };
            }
        }
    }
}
