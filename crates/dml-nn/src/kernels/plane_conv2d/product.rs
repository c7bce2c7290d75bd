//! The forward pass as a product of matrices: weights `[outputs, window]` times columns `[window, pixels]`.
//!
//! The columns are made a block at a time, in the layout in which register tiles read them, and stay in the second-level cache
//! while all weights pass by.

use pulp::{Simd, WithSimd};

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

use super::columns::{Panel, Piece, copy, panels};
use super::phase_planes::PhasePlanes;
use super::{Finish, InParts, Part, Problem, Weights, parts, run};
use crate::kernels::register_tile::{
    MAX_WIDTH, PackedRows, ROWS, Sink, detect_width, multiply, store, store_sum, width,
};

/// Rows of the columns that a tile multiplies at once: a panel of them takes half of the first-level cache.
pub(super) const DEPTH: usize = 256;
/// Elements of a block of columns: half of a small second-level cache.
const BLOCK: usize = 32 * 1024;
/// Most columns of a block.
const COLUMNS: usize = 512;

/// What all tasks share.
struct Pass<'a, T> {
    problem: &'a Problem,
    input: &'a [T],
    bias: &'a [T],
    planes: PhasePlanes,
    /// For each group.
    weights: Vec<PackedRows<T>>,
    /// Channels whose columns are multiplied at once.
    channels: usize,
    run: usize,
    /// For whole runs, and for the last one.
    panels: [Vec<Panel>; 2],
}

pub(super) fn forward<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weights: &Weights<'_, T>,
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
    out: &mut [T],
) {
    let conv = &problem.conv;
    let places = conv.kernel[0] * conv.kernel[1];
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let run = run(problem, DEPTH);
    let width = detect_width::<T>();
    let panels_of = |images| panels(images, problem.output, width, &planes);
    let channels = (DEPTH / places)
        .min(planes.affordable())
        .clamp(1, conv.group_inputs());
    // Blocks of equal size.
    let blocks = conv.group_inputs().div_ceil(channels);
    let pass = Pass {
        problem,
        input,
        bias,
        weights: (0..conv.groups)
            .map(|group| {
                PackedRows::new(conv.group_outputs(), conv.window(), |output, k| {
                    weights.at(group, output, k / places, k % places)
                })
            })
            .collect(),
        channels: conv.group_inputs().div_ceil(blocks),
        run,
        panels: [panels_of(run), panels_of(problem.batch % run)],
        planes,
    };
    let (outputs, area) = (conv.group_outputs(), problem.output_area());
    let parts = parts(out, conv.groups, outputs, area, run, ROWS);
    pass.run_finished(parts, problem, finish);
}

pub(super) struct Scratch<T> {
    /// `[images, channels, plane]`.
    pub(super) planes: Aligned<T>,
    /// `[panels, depth, width]`.
    pub(super) columns: Aligned<T>,
}

impl<T: SimdReal> Scratch<T> {
    /// For so many numbers of planes, and blocks of columns of this depth.
    pub(super) fn new(planes: usize, depth: usize, width: usize) -> Self {
        Self {
            planes: Aligned::zeros(planes),
            columns: Aligned::zeros(block_panels(depth, width) * depth * width),
        }
    }
}

fn places(problem: &Problem) -> usize {
    problem.conv.kernel[0] * problem.conv.kernel[1]
}

/// Panels of a block of columns of this depth.
pub(super) fn block_panels(depth: usize, width: usize) -> usize {
    (BLOCK / depth.max(1)).clamp(width, COLUMNS) / width
}

impl<T: SimdReal> InParts<T> for Pass<'_, T> {
    type Scratch = Scratch<T>;

    fn scratch(&self) -> Scratch<T> {
        let planes = match self.planes.is_plain() {
            true => 0,
            false => self.run * self.channels * self.planes.len(),
        };
        let depth = self.channels * places(self.problem);
        Scratch::new(planes, depth, detect_width::<T>())
    }

    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, part: Part<'_, T>, scratch: &mut Scratch<T>) {
        let (problem, conv) = (self.problem, &self.problem.conv);
        let width = width::<T, S>();
        let places = places(problem);
        let area = problem.output_area();
        let panels = &self.panels[usize::from(part.images != self.run)];
        let weights = &self.weights[part.group];
        let bias: &[T] = match self.bias {
            [] => &[],
            bias => &bias[part.group * conv.group_outputs() + part.first..],
        };
        for channel in (0..conv.group_inputs()).step_by(self.channels) {
            let channels = self.channels.min(conv.group_inputs() - channel);
            let depth = channels * places;
            let first = part.group * conv.group_inputs() + channel;
            let (source, image_stride, plane_stride) = if self.planes.is_plain() {
                let source =
                    &self.input[(part.image * conv.in_channels + first) * problem.image_area()..];
                (
                    source,
                    conv.in_channels * problem.image_area(),
                    problem.image_area(),
                )
            } else {
                let len = self.planes.len();
                for image in 0..part.images {
                    let at =
                        ((part.image + image) * conv.in_channels + first) * problem.image_area();
                    let planes = self.input[at..].chunks_exact(problem.image_area());
                    let out = scratch.planes[image * channels * len..].chunks_exact_mut(len);
                    for (plane, out) in planes.zip(out).take(channels) {
                        self.planes.fill(plane, out);
                    }
                }
                (&scratch.planes[..], channels * len, len)
            };
            let offsets: Vec<usize> =
                window_offsets(&self.planes, conv.kernel, channels, plane_stride);
            for panels in panels.chunks(block_panels(self.channels * places, width)) {
                simd.vectorize(Pack {
                    source,
                    image_stride,
                    offsets: &offsets,
                    panels,
                    out: &mut scratch.columns,
                });
                for (panel, columns) in panels
                    .iter()
                    .zip(scratch.columns.chunks_exact(depth * width))
                {
                    for row in (0..part.channels).step_by(ROWS) {
                        let (from, to) = (channel * places, (channel + channels) * places);
                        let (rows, left) = weights.tile(part.first + row, from, to);
                        let mut sink = ToPlanes {
                            targets: &panel.targets,
                            image_stride: conv.out_channels * area,
                            out: &mut part.out[row * area..],
                            area,
                            bias: bias.get(row..).unwrap_or(&[]),
                            add: channel > 0,
                        };
                        multiply(simd, rows, left, columns, &mut sink);
                    }
                }
            }
        }
    }
}

/// For each row of the columns, where it begins in the planes of some channels.
pub(super) fn window_offsets(
    planes: &PhasePlanes,
    kernel: [usize; 2],
    channels: usize,
    plane_stride: usize,
) -> Vec<usize> {
    let places = (0..kernel[0]).flat_map(|a| (0..kernel[1]).map(move |b| planes.place(a, b)));
    (0..channels)
        .flat_map(|channel| {
            places
                .clone()
                .map(move |place| channel * plane_stride + place)
        })
        .collect()
}

/// Writes columns as panels `[panels, depth, width]`.
pub(super) struct Pack<'a, T> {
    pub(super) source: &'a [T],
    pub(super) image_stride: usize,
    pub(super) offsets: &'a [usize],
    pub(super) panels: &'a [Panel],
    pub(super) out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = width::<T, S>();
        let out = self.out.chunks_exact_mut(self.offsets.len() * width);
        for (panel, out) in self.panels.iter().zip(out) {
            if let [piece] = panel.sources[..]
                && piece.len == width
            {
                let source = &self.source[piece.image * self.image_stride + piece.at..];
                for (offset, out) in self.offsets.iter().zip(out.chunks_exact_mut(width)) {
                    let (from, _) = T::as_lanes::<S>(&source[*offset..][..width]);
                    T::as_lanes_mut::<S>(out).0.copy_from_slice(from);
                }
                continue;
            }
            for piece in &panel.sources {
                let source = &self.source[piece.image * self.image_stride + piece.at..];
                let out = out.chunks_exact_mut(width);
                for (offset, out) in self.offsets.iter().zip(out) {
                    copy(&source[*offset..], &mut out[piece.lane..][..piece.len]);
                }
            }
        }
    }
}

/// Writes sums to planes of the output.
struct ToPlanes<'a, T> {
    targets: &'a [Piece],
    image_stride: usize,
    area: usize,
    out: &'a mut [T],
    /// Of the rows of the tile, or empty.
    bias: &'a [T],
    /// Whether the sums are added to what is there.
    add: bool,
}

impl<T: SimdReal> Sink<T> for ToPlanes<'_, T> {
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, simd: S, row: usize, mut sums: [T::Lanes<S>; V]) {
        let width = width::<T, S>();
        if let Some(bias) = self.bias.get(row)
            && !self.add
        {
            let bias = T::splat(simd, *bias);
            for sum in &mut sums {
                *sum = T::plus(simd, *sum, bias);
            }
        }
        if let [piece] = self.targets
            && piece.len == width
        {
            let at = piece.image * self.image_stride + row * self.area + piece.at;
            let out = &mut self.out[at..][..width];
            if self.add {
                store_sum::<T, S, V>(simd, sums, out);
            } else {
                store::<T, S, V>(sums, out);
            }
            return;
        }
        let mut spill = [T::ZERO; MAX_WIDTH];
        store::<T, S, V>(sums, &mut spill);
        for piece in self.targets {
            let at = piece.image * self.image_stride + row * self.area + piece.at;
            let out = &mut self.out[at..][..piece.len];
            let values = &spill[piece.lane..][..piece.len];
            for (out, value) in out.iter_mut().zip(values) {
                *out = if self.add { *out + *value } else { *value };
            }
        }
    }
}
