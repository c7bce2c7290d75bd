//! The gradient of the weights as a product of matrices: gradient of the output `[outputs, pixels]` times columns
//! `[window, pixels]`, summed over pixels.
//!
//! Both are copied to rows of a block of pixels. The factor with fewer rows is then transposed to panels, so that registers hold
//! neighbouring rows of it.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;

use super::columns::{Panel, Piece, copy, panels};
use super::phase_planes::PhasePlanes;
use super::product::{DEPTH, window_offsets};
use super::{Problem, run};
use crate::kernels::register_tile::{
    ROWS, Sink, Strided, detect_width, multiply, store_sum, width,
};

/// Number of tasks that the work is cut into, if the sums of all of them fit in [`SUMS_BYTES`].
pub(super) const TASKS: usize = 32;
/// Bytes that sums over parts of the batch may take together.
pub(super) const SUMS_BYTES: usize = 32 << 20;
/// Elements of a block of rows.
const BLOCK: usize = 64 * 1024;
/// Most columns of a block.
const COLUMNS: usize = 256;

/// What all tasks share.
struct Pass<'a, T> {
    problem: &'a Problem,
    input: &'a [T],
    gradient: &'a [T],
    planes: PhasePlanes,
    /// Channels of a task.
    channels: usize,
    run: usize,
    panels: [Vec<Panel>; 2],
    /// Panels of a block.
    block: usize,
    /// Whether the columns are transposed rather than the gradient.
    swapped: bool,
}

pub(super) fn by_columns<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    gradient: &[T],
    out: &mut [T],
) {
    let conv = &problem.conv;
    let (inputs, outputs, window) = (conv.group_inputs(), conv.group_outputs(), conv.window());
    let places = conv.kernel[0] * conv.kernel[1];
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let run = run(problem, COLUMNS);
    let width = detect_width::<T>();
    let panels_of = |images| panels(images, problem.output, width, &planes);
    let blocks = inputs.div_ceil((DEPTH / places).min(planes.affordable()).clamp(1, inputs));
    let channels = inputs.div_ceil(blocks);
    let blocks = inputs.div_ceil(channels);
    let rows = (channels * places).max(outputs);
    let pass = Pass {
        problem,
        input,
        gradient,
        channels,
        run,
        panels: [panels_of(run), panels_of(problem.batch % run)],
        block: (BLOCK / rows).clamp(width, COLUMNS) / width,
        swapped: window < outputs,
        planes,
    };
    let runs = problem.batch.div_ceil(run);
    let parts = part_count(runs, conv.groups * blocks, size_of_val(out));
    let arch = Arch::new();
    let tasks = conv.groups * blocks * parts;
    let sums: Vec<Aligned<T>> = (0..tasks).into_par_iter().map_in_place(|task| {
        let (part, block) = (task % parts, task / parts);
        arch.dispatch(Job {
            pass: &pass,
            group: block / blocks,
            channel: block % blocks * channels,
            runs: part * runs / parts..(part + 1) * runs / parts,
        })
    });
    out.par_chunks_mut(window)
        .enumerate()
        .for_each_in_place(|(output, out)| {
            let (group, output) = (output / outputs, output % outputs);
            for (block, out) in out.chunks_mut(channels * places).enumerate() {
                let parts = &sums[(group * blocks + block) * parts..][..parts];
                let rows = out.len();
                for (k, out) in out.iter_mut().enumerate() {
                    let at = if pass.swapped {
                        (k / width * outputs + output) * width + k % width
                    } else {
                        (output / width * rows + k) * width + output % width
                    };
                    for sums in parts {
                        *out += sums[at];
                    }
                }
            }
        });
}

/// Parts of the batch that are summed apart, given the number of runs of images, of other divisions of the work, and the bytes
/// of the weights. It does not depend on the number of threads.
pub(super) fn part_count(runs: usize, divisions: usize, bytes: usize) -> usize {
    let affordable = (SUMS_BYTES / bytes.max(1)).max(1);
    TASKS.div_ceil(divisions).min(runs).min(affordable).max(1)
}

/// The sums of some channels over some images: `[panels of the transposed factor, rows of the other, width]`.
struct Job<'a, T> {
    pass: &'a Pass<'a, T>,
    group: usize,
    /// First channel within the group.
    channel: usize,
    runs: std::ops::Range<usize>,
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = Aligned<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Aligned<T> {
        let Self { pass, group, .. } = self;
        let (problem, conv) = (pass.problem, &pass.problem.conv);
        let width = width::<T, S>();
        let places = conv.kernel[0] * conv.kernel[1];
        let (area, image_area) = (problem.output_area(), problem.image_area());
        let channels = pass.channels.min(conv.group_inputs() - self.channel);
        let outputs = conv.group_outputs();
        let (left, right) = if pass.swapped {
            (outputs, channels * places)
        } else {
            (channels * places, outputs)
        };
        let right_panels = right.div_ceil(width);
        // Rows a power of two apart would compete for a few places in the first-level cache.
        let stride = pass.block * width + 16;
        let mut columns = Aligned::<T>::zeros((channels * places).next_multiple_of(width) * stride);
        let mut gradients = Aligned::<T>::zeros(outputs.next_multiple_of(width) * stride);
        let mut transposed = Aligned::<T>::zeros(right_panels * width * pass.block * width);
        let mut sums = Aligned::<T>::zeros(right_panels * left * width);
        let len = pass.planes.len();
        let plain = pass.planes.is_plain();
        let mut padded = Aligned::<T>::zeros(if plain { 0 } else { pass.run * channels * len });
        let plane_stride = if plain { image_area } else { len };
        let offsets = window_offsets(&pass.planes, conv.kernel, channels, plane_stride);
        let gradient_offsets: Vec<usize> = (0..outputs).map(|output| output * area).collect();
        for number in self.runs {
            let first = number * pass.run;
            let images = pass.run.min(problem.batch - first);
            let channel = group * conv.group_inputs() + self.channel;
            let input = &pass.input[(first * conv.in_channels + channel) * image_area..];
            let gradient = &pass.gradient[(first * conv.out_channels + group * outputs) * area..];
            if !plain {
                for image in 0..images {
                    let planes =
                        input[image * conv.in_channels * image_area..].chunks_exact(image_area);
                    let out = padded[image * channels * len..].chunks_exact_mut(len);
                    for (plane, out) in planes.zip(out).take(channels) {
                        pass.planes.fill(plane, out);
                    }
                }
            }
            let (source, image_stride) = if plain {
                (input, conv.in_channels * image_area)
            } else {
                (&padded[..], channels * len)
            };
            for panels in pass.panels[usize::from(images != pass.run)].chunks(pass.block) {
                simd.vectorize(Rows {
                    source,
                    image_stride,
                    offsets: &offsets,
                    panels,
                    pieces: |panel| &panel.sources[..],
                    stride,
                    out: &mut columns,
                });
                simd.vectorize(Rows {
                    source: gradient,
                    image_stride: conv.out_channels * area,
                    offsets: &gradient_offsets,
                    panels,
                    pieces: |panel| &panel.targets[..],
                    stride,
                    out: &mut gradients,
                });
                let (left_rows, right_rows) = if pass.swapped {
                    (&gradients, &columns)
                } else {
                    (&columns, &gradients)
                };
                let depth = panels.len() * width;
                let product = OuterProduct {
                    left: (&left_rows[..], left),
                    right: right_rows,
                    stride,
                    panels: right_panels,
                    depth,
                };
                product.add_to(simd, &mut sums, &mut transposed);
            }
        }
        sums
    }
}

/// Writes columns as rows, `[offsets, stride]`; columns that a last panel lacks are 0.
struct Rows<'a, T> {
    source: &'a [T],
    image_stride: usize,
    offsets: &'a [usize],
    panels: &'a [Panel],
    pieces: fn(&Panel) -> &[Piece],
    stride: usize,
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = width::<T, S>();
        for (number, panel) in self.panels.iter().enumerate() {
            let pieces = (self.pieces)(panel);
            let lines = || self.offsets.iter().enumerate();
            let place = |row: usize| row * self.stride + number * width;
            if let [piece] = pieces
                && piece.len == width
            {
                let source = &self.source[piece.image * self.image_stride + piece.at..];
                for (row, offset) in lines() {
                    let (from, _) = T::as_lanes::<S>(&source[*offset..][..width]);
                    let out = &mut self.out[place(row)..][..width];
                    T::as_lanes_mut::<S>(out).0.copy_from_slice(from);
                }
                continue;
            }
            if pieces.iter().map(|piece| piece.len).sum::<usize>() < width {
                for (row, _) in lines() {
                    self.out[place(row)..][..width].fill(T::ZERO);
                }
            }
            for piece in pieces {
                let source = &self.source[piece.image * self.image_stride + piece.at..];
                for (row, offset) in lines() {
                    let out = &mut self.out[place(row) + piece.lane..][..piece.len];
                    copy(&source[*offset..], out);
                }
            }
        }
    }
}

/// The product of rows of `depth` numbers, `stride` apart, with other rows.
pub(super) struct OuterProduct<'a, T> {
    /// The rows and their number.
    pub(super) left: (&'a [T], usize),
    /// As many rows as fill the panels.
    pub(super) right: &'a [T],
    pub(super) stride: usize,
    pub(super) panels: usize,
    pub(super) depth: usize,
}

impl<T: SimdReal> OuterProduct<'_, T> {
    /// Adds the product to `sums` `[panels, left, width]`. `transposed` has room for the right side.
    #[inline(always)]
    pub(super) fn add_to<S: Simd>(&self, simd: S, sums: &mut [T], transposed: &mut [T]) {
        let Self { stride, depth, .. } = *self;
        let width = width::<T, S>();
        let (rows, count) = self.left;
        simd.vectorize(Transpose {
            rows: self.right,
            stride,
            panels: self.panels,
            depth,
            out: &mut *transposed,
        });
        let panels = transposed.chunks_exact(depth * width);
        for (panel, sums) in panels.zip(sums.chunks_exact_mut(count * width)) {
            for row in (0..count).step_by(ROWS) {
                let data = &rows[row * stride..];
                let mut sink = AddRows(&mut sums[row * width..]);
                let rows = Strided { data, stride };
                multiply(simd, ROWS.min(count - row), rows, panel, &mut sink);
            }
        }
    }
}

/// `[panels · width, stride]` → `[panels, depth, width]`.
struct Transpose<'a, T> {
    rows: &'a [T],
    stride: usize,
    panels: usize,
    depth: usize,
    out: &'a mut [T],
}

/// Rows and columns that are transposed at a time.
const SIDE: usize = 8;

impl<T: SimdReal> WithSimd for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = width::<T, S>();
        let Self { stride, depth, .. } = self;
        for panel in 0..self.panels {
            let rows = &self.rows[panel * width * stride..];
            let out = &mut self.out[panel * depth * width..][..depth * width];
            if !width.is_multiple_of(SIDE) || !depth.is_multiple_of(SIDE) {
                for (k, out) in out.chunks_exact_mut(width).enumerate() {
                    for (lane, out) in out.iter_mut().enumerate() {
                        *out = rows[lane * stride + k];
                    }
                }
                continue;
            }
            for lane in (0..width).step_by(SIDE) {
                for k in (0..depth).step_by(SIDE) {
                    let mut block = [[T::ZERO; SIDE]; SIDE];
                    for (i, line) in block.iter_mut().enumerate() {
                        line.copy_from_slice(&rows[(lane + i) * stride + k..][..SIDE]);
                    }
                    for j in 0..SIDE {
                        let out = &mut out[(k + j) * width + lane..][..SIDE];
                        let mut line = [T::ZERO; SIDE];
                        for i in 0..SIDE {
                            line[i] = block[i][j];
                        }
                        out.copy_from_slice(&line);
                    }
                }
            }
        }
    }
}

/// Adds sums to rows of a panel.
struct AddRows<'a, T>(&'a mut [T]);

impl<T: SimdReal> Sink<T> for AddRows<'_, T> {
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, simd: S, row: usize, sums: [T::Lanes<S>; V]) {
        let width = width::<T, S>();
        store_sum::<T, S, V>(simd, sums, &mut self.0[row * width..][..width]);
    }
}
