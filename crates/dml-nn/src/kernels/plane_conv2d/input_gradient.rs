//! The gradient of the input, scattered: transposed weights times the gradient of the output are the gradients of the
//! windows, which are added to the planes that the windows read.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;

use super::columns::{Panel, Piece, add, panels};
use super::phase_planes::PhasePlanes;
use super::product::{DEPTH, Pack, block_panels, window_offsets};
use super::{Part, Problem, parts, run};
use crate::kernels::register_tile::{
    MAX_WIDTH, PackedRows, ROWS, Sink, detect_width, multiply, store, width,
};

/// What all tasks share.
struct Pass<'a, T> {
    problem: &'a Problem,
    gradient: &'a [T],
    planes: PhasePlanes,
    /// For each group, the weights `[channels · places, outputs]`.
    weights: Vec<PackedRows<T>>,
    /// Channels whose windows are computed at once: whole tiles.
    channels: usize,
    run: usize,
    /// For whole runs, and for the last one.
    panels: [Vec<Panel>; 2],
}

pub(super) fn scatter<T: SimdReal>(problem: &Problem, weight: &[T], gradient: &[T], out: &mut [T]) {
    let conv = &problem.conv;
    if out.is_empty() || gradient.is_empty() {
        return;
    }
    let planes = PhasePlanes::new(conv, problem.image, problem.output);
    let run = run(problem, DEPTH);
    let width = detect_width::<T>();
    let panels_of = |images| {
        let mut panels = panels(images, problem.output, width, &planes);
        // Values go the other way: from the planes of the output to the windows.
        for panel in &mut panels {
            std::mem::swap(&mut panel.sources, &mut panel.targets);
        }
        panels
    };
    let window = conv.window();
    let pass = Pass {
        problem,
        gradient,
        weights: (0..conv.groups)
            .map(|group| {
                PackedRows::new(window, conv.group_outputs(), |row, output| {
                    weight[(group * conv.group_outputs() + output) * window + row]
                })
            })
            .collect(),
        channels: (DEPTH / (conv.kernel[0] * conv.kernel[1]))
            .min(planes.affordable())
            .next_multiple_of(ROWS)
            .max(ROWS),
        run,
        panels: [panels_of(run), panels_of(problem.batch % run)],
        planes,
    };
    let arch = Arch::new();
    parts(
        out,
        conv.groups,
        conv.group_inputs(),
        problem.image_area(),
        run,
        ROWS,
    )
    .into_par_iter()
    .for_each_init_in_place(
        || Scratch::new(&pass, width),
        |scratch, part| {
            arch.dispatch(Job {
                pass: &pass,
                part,
                scratch,
            });
        },
    );
}

struct Scratch<T> {
    /// `[images, channels, plane]`.
    planes: Aligned<T>,
    /// `[panels, outputs, width]` of the gradient.
    columns: Aligned<T>,
}

impl<T: SimdReal> Scratch<T> {
    fn new(pass: &Pass<'_, T>, width: usize) -> Self {
        let conv = &pass.problem.conv;
        let channels = pass.channels.min(conv.group_inputs());
        let depth = conv.group_outputs();
        Self {
            planes: Aligned::zeros(pass.run * channels * pass.planes.len()),
            columns: Aligned::zeros(block_panels(depth, width) * depth * width),
        }
    }
}

struct Job<'a, 'p, T> {
    pass: &'a Pass<'a, T>,
    part: Part<'p, T>,
    scratch: &'a mut Scratch<T>,
}

impl<T: SimdReal> WithSimd for Job<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            pass,
            part,
            scratch,
        } = self;
        let (problem, conv) = (pass.problem, &pass.problem.conv);
        let width = width::<T, S>();
        let (area, image_area) = (problem.output_area(), problem.image_area());
        let places = conv.kernel[0] * conv.kernel[1];
        let depth = conv.group_outputs();
        let panels = &pass.panels[usize::from(part.images != pass.run)];
        let weights = &pass.weights[part.group];
        let len = pass.planes.len();
        let first = part.image * conv.out_channels + part.group * depth;
        let gradient = &pass.gradient[first * area..];
        let gradient_offsets: Vec<usize> = (0..depth).map(|output| output * area).collect();
        for channel in (0..part.channels).step_by(pass.channels) {
            let channels = pass.channels.min(part.channels - channel);
            let offsets = window_offsets(&pass.planes, conv.kernel, channels, len);
            let planes = &mut scratch.planes[..part.images * channels * len];
            planes.fill(T::ZERO);
            for panels in panels.chunks(block_panels(depth, width)) {
                simd.vectorize(Pack {
                    source: gradient,
                    image_stride: conv.out_channels * area,
                    offsets: &gradient_offsets,
                    panels,
                    out: &mut scratch.columns,
                });
                for (panel, columns) in panels
                    .iter()
                    .zip(scratch.columns.chunks_exact(depth * width))
                {
                    for row in (0..channels * places).step_by(ROWS) {
                        let at = (part.first + channel) * places + row;
                        let (rows, left) = weights.tile(at, 0, depth);
                        // The rows of the last tile of the weights may belong to the next channels.
                        let offsets = &offsets[row..];
                        let mut sink = ToWindows {
                            targets: &panel.targets,
                            image_stride: channels * len,
                            offsets,
                            out: planes,
                        };
                        multiply(simd, rows, left, columns, &mut sink);
                    }
                }
            }
            for image in 0..part.images {
                let planes = planes[image * channels * len..].chunks_exact(len);
                let out = part.out[(image * part.channels + channel) * image_area..]
                    .chunks_exact_mut(image_area);
                for (padded, out) in planes.zip(out).take(channels) {
                    pass.planes.restore(padded, out);
                }
            }
        }
    }
}

/// Adds sums to the pixels that windows read.
struct ToWindows<'a, T> {
    targets: &'a [Piece],
    image_stride: usize,
    offsets: &'a [usize],
    out: &'a mut [T],
}

impl<T: SimdReal> Sink<T> for ToWindows<'_, T> {
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, simd: S, row: usize, sums: [T::Lanes<S>; V]) {
        let Some(offset) = self.offsets.get(row) else {
            return;
        };
        let mut spill = [T::ZERO; MAX_WIDTH];
        store::<T, S, V>(sums, &mut spill);
        for piece in self.targets {
            let at = piece.image * self.image_stride + offset + piece.at;
            let out = &mut self.out[at..][..piece.len];
            add::<T, S>(simd, &spill[piece.lane..], out);
        }
    }
}
