//! The gradient of the weights: for every place of the window and every output channel, the sum over all windows of
//! the input there times the gradient of the output.

use pulp::Simd;

use super::panels::{Panel, PanelLayout};
use super::windows::Windows;
use crate::SimdReal;

/// How many bytes of the output's gradient are gone through for one tile after the other before the next lot is
/// fetched: about half of the first-level cache.
const BAND: usize = 24 * 1024;

/// Adds `Σ_q image[sources[q] + offset] · gradient[targets[q] + column]` to the packed `[rows, columns]` of `sums`.
#[inline(always)]
pub(super) fn accumulate<T: SimdReal, S: Simd>(
    simd: S,
    image: &[T],
    windows: &Windows,
    offsets: &[usize],
    gradient: &[T],
    layout: &PanelLayout,
    sums: &mut [T],
) {
    let count = windows.sources.len();
    for panel in &layout.panels {
        let width = panel.vectors * layout.lanes;
        let band = (BAND / (width * size_of::<T>())).max(16);
        for start in (0..count).step_by(band) {
            let end = (start + band).min(count);
            let job = Job {
                image,
                sources: &windows.sources[start..end],
                targets: &windows.targets[start..end],
                offsets,
                gradient,
                panel,
            };
            let sums = &mut sums[panel.offset..][..layout.rows * width];
            if S::REGISTER_COUNT >= 32 {
                match panel.vectors {
                    1 => job.run::<S, 12, 1>(simd, sums),
                    2 => job.run::<S, 12, 2>(simd, sums),
                    3 => job.run::<S, 6, 3>(simd, sums),
                    _ => job.run::<S, 6, 4>(simd, sums),
                }
            } else {
                match panel.vectors {
                    1 => job.run::<S, 6, 1>(simd, sums),
                    _ => job.run::<S, 6, 2>(simd, sums),
                }
            }
        }
    }
}

struct Job<'a, T> {
    image: &'a [T],
    sources: &'a [u32],
    targets: &'a [u32],
    offsets: &'a [usize],
    gradient: &'a [T],
    panel: &'a Panel,
}

impl<T: SimdReal> Job<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const M: usize, const V: usize>(&self, simd: S, sums: &mut [T]) {
        let (sums, _) = T::as_lanes_mut::<S>(sums);
        let (rows, _) = sums.as_chunks_mut::<V>();
        let mut k = 0;
        while k + M <= rows.len() {
            self.tile::<S, M, V>(simd, k, rows);
            k += M;
        }
        while k + 3 <= rows.len() {
            self.tile::<S, 3, V>(simd, k, rows);
            k += 3;
        }
        while k < rows.len() {
            self.tile::<S, 1, V>(simd, k, rows);
            k += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &self,
        simd: S,
        k: usize,
        rows: &mut [[T::Lanes<S>; V]],
    ) {
        let zero = T::splat(simd, T::ZERO);
        let mut sums = [[zero; V]; M];
        let inputs: [&[T]; M] = std::array::from_fn(|r| &self.image[self.offsets[k + r]..]);
        let lanes = T::lanes::<S>();
        // A register that the panel fills only in part would reach into the next pixel, or past the end.
        let part = self.panel.columns < V * lanes;
        for (source, target) in self.sources.iter().zip(self.targets) {
            let gradient = &self.gradient[*target as usize + self.panel.start..];
            let gradient: [T::Lanes<S>; V] = if part {
                load_part(simd, &gradient[..self.panel.columns])
            } else {
                let (whole, _) = T::as_lanes::<S>(&gradient[..V * lanes]);
                std::array::from_fn(|v| whole[v])
            };
            for r in 0..M {
                let x = T::splat(simd, inputs[r][*source as usize]);
                for v in 0..V {
                    sums[r][v] = T::mul_add(simd, x, gradient[v], sums[r][v]);
                }
            }
        }
        let one = T::splat(simd, T::ONE);
        for r in 0..M {
            for v in 0..V {
                rows[k + r][v] = T::mul_add(simd, one, sums[r][v], rows[k + r][v]);
            }
        }
    }
}

/// Registers whose last lanes, where `values` ends, are zero.
#[inline(always)]
fn load_part<T: SimdReal, S: Simd, const V: usize>(simd: S, values: &[T]) -> [T::Lanes<S>; V] {
    let lanes = T::lanes::<S>();
    // The widest register holds 16 elements.
    let mut spill = [T::ZERO; 16];
    std::array::from_fn(|v| {
        let rest = &values[(v * lanes).min(values.len())..];
        let (whole, _) = T::as_lanes::<S>(rest);
        match whole.first() {
            Some(register) => *register,
            None => {
                spill.fill(T::ZERO);
                spill[..rest.len()].copy_from_slice(rest);
                let (whole, _) = T::as_lanes::<S>(&spill);
                let _ = simd;
                whole[0]
            }
        }
    })
}
