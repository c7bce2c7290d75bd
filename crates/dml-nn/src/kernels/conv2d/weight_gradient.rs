//! The gradient of the weights: for every place of the window and every output channel, the sum over all windows of
//! the input there times the gradient of the output.

use pulp::{Simd, WithSimd};

use super::panels::{Panel, PanelLayout};
use super::windows::Windows;
use dml_core::kernels::SimdReal;

/// How many bytes of the output's gradient are gone through for one tile after the other before the next lot is
/// fetched: about half of the first-level cache.
const BAND: usize = 24 * 1024;

/// How many elements have to follow the pixels of the gradient, because whole registers are read.
pub(super) const SLACK: usize = 64;

/// Adds `Σ_q image[sources[q] + offset] · gradient[targets[q] + column]` to the packed `[rows, columns]` of `sums`.
///
/// After the last pixel, `gradient` has [`SLACK`] more elements.
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
                    1 => simd.vectorize(Run::<T, 12, 1> { job, sums }),
                    2 => simd.vectorize(Run::<T, 12, 2> { job, sums }),
                    3 => simd.vectorize(Run::<T, 6, 3> { job, sums }),
                    _ => simd.vectorize(Run::<T, 6, 4> { job, sums }),
                }
            } else {
                match panel.vectors {
                    1 => simd.vectorize(Run::<T, 6, 1> { job, sums }),
                    _ => simd.vectorize(Run::<T, 6, 2> { job, sums }),
                }
            }
        }
    }
}

/// A panel by tiles of M × V, as a function of its own.
struct Run<'a, 's, T, const M: usize, const V: usize> {
    job: Job<'a, T>,
    sums: &'s mut [T],
}

impl<T: SimdReal, const M: usize, const V: usize> WithSimd for Run<'_, '_, T, M, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (job, (sums, _)) = (self.job, T::as_lanes_mut::<S>(self.sums));
        let (rows, _) = sums.as_chunks_mut::<V>();
        let mut k = 0;
        while k + M <= rows.len() {
            job.tile::<S, M, V>(simd, k, rows);
            k += M;
        }
        while k + 3 <= rows.len() {
            job.tile::<S, 3, V>(simd, k, rows);
            k += 3;
        }
        while k < rows.len() {
            job.tile::<S, 1, V>(simd, k, rows);
            k += 1;
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
    fn tile<S: Simd, const M: usize, const V: usize>(
        &self,
        simd: S,
        k: usize,
        rows: &mut [[T::Lanes<S>; V]],
    ) {
        let zero = T::splat(simd, T::ZERO);
        let mut sums = [[zero; V]; M];
        let mut inputs: [&[T]; M] = [&[]; M];
        for (input, offset) in inputs.iter_mut().zip(&self.offsets[k..]) {
            *input = &self.image[*offset..];
        }
        for (source, target) in self.sources.iter().zip(self.targets) {
            // The last register may reach into the next pixel: those columns are nobody's.
            let (row, _) = T::as_lanes::<S>(&self.gradient[*target as usize + self.panel.start..]);
            let row = &row[..V];
            for r in 0..M {
                let x = T::splat(simd, inputs[r][*source as usize]);
                for v in 0..V {
                    sums[r][v] = T::mul_add(simd, x, row[v], sums[r][v]);
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
