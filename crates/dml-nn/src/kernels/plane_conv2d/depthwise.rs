//! Depthwise convolution: every plane by its own window.
//!
//! A plane is copied into a border of zeros, its columns sorted by the phase of the stride ([`PhasePlanes`]). There every place
//! of the window is an offset, and a few registers of neighbouring pixels sum all places before they are written.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;

use super::phase_planes::PhasePlanes;
use super::{Finish, Problem};

/// Pixels that are worth a thread.
const WORK: usize = 16 * 1024;
/// Elements after a plane, because whole registers are read: four of sixteen.
const SLACK: usize = 64;
/// Pixels whose products are summed in single precision before they join a double.
const RUN: usize = 1024;
/// Places of the window whose gradients are summed in one pass over the plane.
const PLACES: usize = 9;

/// Offsets of the places of the window from its first pixel.
fn offsets(problem: &Problem, planes: &PhasePlanes) -> Vec<usize> {
    let [height, width] = problem.conv.kernel;
    let places = (0..height).flat_map(|a| (0..width).map(move |b| (a, b)));
    places.map(|(a, b)| planes.place(a, b)).collect()
}

/// The smallest number of planes that are worth a thread.
fn least(problem: &Problem) -> usize {
    WORK.div_ceil(problem.image_area().max(problem.output_area()).max(1))
}

pub(super) fn forward<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weight: &[T],
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
    out: &mut [T],
) {
    let places = problem.conv.kernel[0] * problem.conv.kernel[1];
    let weight = |output: usize, place: usize| weight[output * places + place];
    convolve(problem, input, weight, bias, finish, out);
}

/// The output, given the weight of an output channel and a place of the window.
pub(super) fn convolve<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weight: impl Fn(usize, usize) -> T + Sync,
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
    out: &mut [T],
) {
    let conv = &problem.conv;
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let offsets = offsets(problem, &planes);
    let arch = Arch::new();
    out.par_chunks_mut(problem.output_area())
        .enumerate()
        .with_min_len(least(problem))
        .for_each_init_in_place(
            || {
                let taps: Vec<(usize, T)> = offsets.iter().map(|at| (*at, T::ZERO)).collect();
                (Aligned::<T>::zeros(planes.len() + SLACK), taps)
            },
            |(padded, taps), (number, out)| {
                let (image, output) = (number / conv.out_channels, number % conv.out_channels);
                let plane = image * conv.in_channels + output / conv.group_outputs();
                let plane = &input[plane * problem.image_area()..][..problem.image_area()];
                for (place, tap) in taps.iter_mut().enumerate() {
                    tap.1 = weight(output, place);
                }
                arch.dispatch(Plane {
                    planes: &planes,
                    plane,
                    padded,
                    taps,
                    bias: bias.get(output).copied().unwrap_or(T::ZERO),
                    width: problem.output[1],
                    out: &mut *out,
                });
                if let Some(finish) = finish {
                    finish(number * problem.output_area(), output, out);
                }
            },
        );
}

/// The output of one plane.
struct Plane<'a, T> {
    planes: &'a PhasePlanes,
    plane: &'a [T],
    padded: &'a mut [T],
    /// Offsets and weights.
    taps: &'a [(usize, T)],
    bias: T,
    /// Width of the output.
    width: usize,
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Plane<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            planes,
            plane,
            padded,
            taps,
            bias,
            width,
            out,
        } = self;
        planes.fill(plane, padded);
        let lanes = T::lanes::<S>();
        let step = planes.window(1, 0);
        let rows = out.len() / width;
        let mut y = 0;
        // Four registers at a time, in one row or below each other.
        while y < rows {
            let padded = &padded[y * step..];
            let out = &mut out[y * width..];
            if width <= lanes && rows - y >= 4 {
                block::<T, S, 4, 1>(simd, padded, step, taps, bias, width, out);
                y += 4;
            } else if width <= 2 * lanes && rows - y >= 2 {
                block::<T, S, 2, 2>(simd, padded, step, taps, bias, width, out);
                y += 2;
            } else if width <= lanes {
                block::<T, S, 1, 1>(simd, padded, step, taps, bias, width, out);
                y += 1;
            } else if width <= 2 * lanes {
                block::<T, S, 1, 2>(simd, padded, step, taps, bias, width, out);
                y += 1;
            } else {
                block::<T, S, 1, 4>(simd, padded, step, taps, bias, width, out);
                y += 1;
            }
        }
    }
}

/// R rows of the output, V registers at a time.
#[inline(always)]
fn block<T: SimdReal, S: Simd, const R: usize, const V: usize>(
    simd: S,
    padded: &[T],
    step: usize,
    taps: &[(usize, T)],
    bias: T,
    width: usize,
    out: &mut [T],
) {
    let lanes = T::lanes::<S>();
    for x in (0..width).step_by(V * lanes) {
        let mut sums = [[T::splat(simd, bias); V]; R];
        for (offset, weight) in taps {
            let weight = T::splat(simd, *weight);
            for r in 0..R {
                let (line, _) = T::as_lanes::<S>(&padded[r * step + x + offset..][..V * lanes]);
                for v in 0..V {
                    sums[r][v] = T::mul_add(simd, weight, line[v], sums[r][v]);
                }
            }
        }
        let columns = (width - x).min(V * lanes);
        for r in 0..R {
            let out = &mut out[r * width + x..][..columns];
            if columns == V * lanes {
                T::as_lanes_mut::<S>(out).0.copy_from_slice(&sums[r]);
            } else {
                let mut spill = [T::ZERO; SLACK];
                T::as_lanes_mut::<S>(&mut spill).0[..V].copy_from_slice(&sums[r]);
                super::columns::copy(&spill, out);
            }
        }
    }
}

pub(super) fn input_gradient<T: SimdReal>(
    problem: &Problem,
    weight: impl Fn(usize, usize) -> T + Sync,
    gradient: &[T],
    out: &mut [T],
) {
    let conv = &problem.conv;
    if out.is_empty() || gradient.is_empty() {
        return;
    }
    let places = conv.kernel[0] * conv.kernel[1];
    let (area, outputs) = (problem.output_area(), conv.group_outputs());
    if let Some(mirrored) = problem.mirrored()
        && outputs == 1
    {
        let weight = |output: usize, place: usize| weight(output, places - 1 - place);
        convolve(&mirrored, gradient, weight, &[], None, out);
        return;
    }
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let offsets = offsets(problem, &planes);
    let arch = Arch::new();
    out.par_chunks_mut(problem.image_area())
        .enumerate()
        .with_min_len(least(problem))
        .for_each_init_in_place(
            || {
                let weights = vec![T::ZERO; outputs * places];
                (Aligned::<T>::zeros(planes.len() + SLACK), weights)
            },
            |(padded, weights), (number, out)| {
                let (image, group) = (number / conv.in_channels, number % conv.in_channels);
                let first = group * outputs;
                for (i, own) in weights.iter_mut().enumerate() {
                    *own = weight(first + i / places, i % places);
                }
                let at = (image * conv.out_channels + first) * area;
                arch.dispatch(Scatter {
                    planes: &planes,
                    offsets: &offsets,
                    gradient: &gradient[at..][..outputs * area],
                    weight: weights,
                    output: problem.output,
                    padded,
                    out,
                });
            },
        );
}

/// The gradient of one plane of the input.
struct Scatter<'a, T> {
    planes: &'a PhasePlanes,
    offsets: &'a [usize],
    /// `[outputs, height, width]`.
    gradient: &'a [T],
    /// `[outputs, places]`.
    weight: &'a [T],
    output: [usize; 2],
    padded: &'a mut [T],
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [height, width] = self.output;
        self.padded.fill(T::ZERO);
        let step = self.planes.window(1, 0);
        let weights = self.weight.chunks_exact(self.offsets.len());
        for (plane, weights) in self.gradient.chunks_exact(height * width).zip(weights) {
            for (y, line) in plane.chunks_exact(width).enumerate() {
                let padded = &mut self.padded[y * step..];
                let (head, tail) = T::as_lanes::<S>(line);
                for (offset, weight) in self.offsets.iter().zip(weights) {
                    let (out, rest) = T::as_lanes_mut::<S>(&mut padded[*offset..][..width]);
                    let factor = T::splat(simd, *weight);
                    for (out, value) in out.iter_mut().zip(head) {
                        *out = T::mul_add(simd, factor, *value, *out);
                    }
                    for (out, value) in rest.iter_mut().zip(tail) {
                        *out += *weight * *value;
                    }
                }
            }
        }
        self.planes.restore(self.padded, self.out);
    }
}

pub(super) fn weight_gradient<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    gradient: &[T],
    out: &mut [T],
) {
    let conv = &problem.conv;
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let mut offsets = offsets(problem, &planes);
    let places = offsets.len();
    // Places to fill up the last pass, which nobody reads.
    offsets.resize(places.next_multiple_of(PLACES), 0);
    let arch = Arch::new();
    out.par_chunks_mut(places)
        .enumerate()
        .with_min_len(WORK.div_ceil((problem.batch * problem.image_area()).max(1)))
        .for_each_init_in_place(
            || Aligned::<T>::zeros(planes.len() + SLACK),
            |padded, (output, out)| {
                arch.dispatch(Window {
                    problem,
                    planes: &planes,
                    offsets: &offsets,
                    input,
                    gradient,
                    output,
                    padded,
                    out,
                });
            },
        );
}

/// The gradient of the window of one output channel.
struct Window<'a, T> {
    problem: &'a Problem,
    planes: &'a PhasePlanes,
    offsets: &'a [usize],
    input: &'a [T],
    gradient: &'a [T],
    output: usize,
    padded: &'a mut [T],
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Window<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (problem, conv) = (self.problem, &self.problem.conv);
        let lanes = T::lanes::<S>();
        let [height, width] = problem.output;
        let (area, image_area) = (height * width, problem.image_area());
        let pitch = width.next_multiple_of(lanes);
        // The rows of the gradient, filled up to whole registers with zeros.
        let mut rows = Aligned::<T>::zeros(height * pitch);
        let mut sums = Aligned::<T>::zeros(self.offsets.len() * lanes);
        let mut totals = vec![0.0; self.offsets.len()];
        let step = self.planes.window(1, 0);
        let mut pending = 0;
        for image in 0..problem.batch {
            let plane = image * conv.in_channels + self.output / conv.group_outputs();
            let plane = &self.input[plane * image_area..][..image_area];
            self.planes.fill(plane, self.padded);
            let gradient =
                &self.gradient[(image * conv.out_channels + self.output) * area..][..area];
            let lines = gradient.chunks_exact(width);
            for (line, row) in lines.zip(rows.chunks_exact_mut(pitch)) {
                super::columns::copy(line, &mut row[..width]);
            }
            let (offsets, _) = self.offsets.as_chunks::<PLACES>();
            let chunks = sums.chunks_exact_mut(PLACES * lanes);
            for (offsets, sums) in offsets.iter().zip(chunks) {
                simd.vectorize(Dots {
                    padded: self.padded,
                    step,
                    rows: &rows,
                    pitch,
                    offsets,
                    sums,
                });
            }
            pending += area;
            if pending >= RUN || image + 1 == problem.batch {
                for (sums, total) in sums.chunks_exact_mut(lanes).zip(&mut totals) {
                    *total += sums.iter().map(|x| x.to_f64()).sum::<f64>();
                    sums.fill(T::ZERO);
                }
                pending = 0;
            }
        }
        for (out, total) in self.out.iter_mut().zip(totals) {
            *out = T::from_f64(total);
        }
    }
}

/// Adds the products of the gradient and the pixels at some places to the sums, a register per place.
struct Dots<'a, T> {
    padded: &'a [T],
    step: usize,
    rows: &'a [T],
    pitch: usize,
    offsets: &'a [usize; PLACES],
    sums: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (sums, _) = T::as_lanes_mut::<S>(self.sums);
        let mut totals = [T::splat(simd, T::ZERO); PLACES];
        for (y, row) in self.rows.chunks_exact(self.pitch).enumerate() {
            let (row, _) = T::as_lanes::<S>(row);
            let padded = &self.padded[y * self.step..];
            let mut lines: [&[T::Lanes<S>]; PLACES] = [&[]; PLACES];
            for i in 0..PLACES {
                let line = &padded[self.offsets[i]..][..self.pitch];
                lines[i] = &T::as_lanes::<S>(line).0[..row.len()];
            }
            for (x, value) in row.iter().enumerate() {
                for i in 0..PLACES {
                    totals[i] = T::mul_add(simd, *value, lines[i][x], totals[i]);
                }
            }
        }
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = T::plus(simd, *sum, total);
        }
    }
}
