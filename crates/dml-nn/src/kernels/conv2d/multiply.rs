//! Windows of an image times a packed matrix: the product that the forward pass and the input's gradient are.
//!
//! A tile of M windows by V registers of columns stays in registers while the rows of the panel go by: each row costs
//! V loads, M broadcasts and M·V multiplications with addition.

use pulp::{Simd, WithSimd};

use super::panels::{Panel, PanelLayout};
use super::windows::{Segment, Windows};
use dml_core::kernels::SimdReal;

/// What is added to the product and what is done to the sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epilogue<'a, T> {
    /// One number per column, padded to whole registers; nothing if empty.
    pub(super) bias: &'a [T],
    /// Whether negative sums become 0.
    pub(super) relu: bool,
}

/// `result[targets[q] + column] = epilogue(Σ image[sources[q] + offset] · matrix[row, column])`.
#[inline(always)]
pub(super) fn multiply<T: SimdReal, S: Simd>(
    simd: S,
    image: &[T],
    windows: &Windows,
    layout: &PanelLayout,
    packed: &[T],
    epilogue: Epilogue<'_, T>,
    result: &mut [T],
) {
    for panel in &layout.panels {
        let job = Job {
            image,
            windows,
            panel,
            packed: &packed[panel.offset..][..layout.rows * panel.vectors * layout.lanes],
            epilogue,
        };
        if S::REGISTER_COUNT >= 32 {
            match panel.vectors {
                1 => simd.vectorize(Run::<T, 12, 1> { job, result }),
                2 => simd.vectorize(Run::<T, 12, 2> { job, result }),
                3 => simd.vectorize(Run::<T, 8, 3> { job, result }),
                _ => simd.vectorize(Run::<T, 6, 4> { job, result }),
            }
        } else {
            match panel.vectors {
                1 => simd.vectorize(Run::<T, 6, 1> { job, result }),
                _ => simd.vectorize(Run::<T, 6, 2> { job, result }),
            }
        }
    }
}

/// A panel by tiles of M × V: a function of its own, so that the optimiser sees one loop and not all of them.
struct Run<'a, 'r, T, const M: usize, const V: usize> {
    job: Job<'a, T>,
    result: &'r mut [T],
}

impl<T: SimdReal, const M: usize, const V: usize> WithSimd for Run<'_, '_, T, M, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { job, result } = self;
        let count = job.windows.sources.len();
        if count < M {
            for q in 0..count {
                job.tile::<S, 1, V>(simd, q, result);
            }
            return;
        }
        let mut q = 0;
        while q < count {
            // The last tile reaches back over windows already done, and writes the same numbers again.
            job.tile::<S, M, V>(simd, q.min(count - M), result);
            q += M;
        }
    }
}

struct Job<'a, T> {
    image: &'a [T],
    windows: &'a Windows,
    panel: &'a Panel,
    packed: &'a [T],
    epilogue: Epilogue<'a, T>,
}

impl<T: SimdReal> Job<'_, T> {
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(&self, simd: S, q: usize, result: &mut [T]) {
        let zero = T::splat(simd, T::ZERO);
        let mut sums = [[zero; V]; M];
        if !self.epilogue.bias.is_empty() {
            let (bias, _) = T::as_lanes::<S>(&self.epilogue.bias[self.panel.start..]);
            for sums in &mut sums {
                sums.copy_from_slice(&bias[..V]);
            }
        }
        let (packed, _) = T::as_lanes::<S>(self.packed);
        let (mut rows, _) = packed.as_chunks::<V>();
        let sources = &self.windows.sources[q..q + M];
        for &Segment { offset, len } in &self.windows.segments {
            let mut inputs: [&[T]; M] = [&[]; M];
            for (input, source) in inputs.iter_mut().zip(sources) {
                *input = &self.image[*source as usize + offset..][..len];
            }
            let (now, later) = rows.split_at(len);
            rows = later;
            for (k, row) in now.iter().enumerate() {
                for r in 0..M {
                    let x = T::splat(simd, inputs[r][k]);
                    for v in 0..V {
                        sums[r][v] = T::mul_add(simd, x, row[v], sums[r][v]);
                    }
                }
            }
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            if self.epilogue.relu {
                for sum in sums.iter_mut() {
                    *sum = T::larger(simd, zero, *sum);
                }
            }
            let target = self.windows.targets[q + r] as usize + self.panel.start;
            let lanes = T::lanes::<S>();
            let out = &mut result[target..][..self.panel.columns];
            for (out, sum) in out.chunks_mut(lanes).zip(sums.iter()) {
                store::<T, S>(*sum, out);
            }
        }
    }
}

/// A register, or as many of its first lanes as `out` holds.
#[inline(always)]
pub(super) fn store<T: SimdReal, S: Simd>(register: T::Lanes<S>, out: &mut [T]) {
    let len = out.len();
    if let Some(whole) = T::as_lanes_mut::<S>(out).0.first_mut() {
        *whole = register;
        return;
    }
    // The widest register holds 16 elements.
    let mut spill = [T::ZERO; 16];
    if let Some(whole) = T::as_lanes_mut::<S>(&mut spill).0.first_mut() {
        *whole = register;
    }
    out.copy_from_slice(&spill[..len]);
}
