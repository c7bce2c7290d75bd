//! The gradient of the input, scattered: transposed weights times the gradient of the output are the gradients of the
//! windows, which are added to the planes that the windows read.

use pulp::Simd;

use dml_core::kernels::SimdReal;

use super::columns::{Panel, Piece, add, panels};
use super::phase_planes::PhasePlanes;
use super::product::{DEPTH, Pack, Scratch, block_panels, window_offsets};
use super::{InParts, Part, Problem, parts, run};
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
    let (inputs, area) = (conv.group_inputs(), problem.image_area());
    pass.run(parts(out, conv.groups, inputs, area, run, ROWS));
}

impl<T: SimdReal> InParts<T> for Pass<'_, T> {
    type Scratch = Scratch<T>;

    fn scratch(&self) -> Scratch<T> {
        let conv = &self.problem.conv;
        let planes = self.run * self.channels.min(conv.group_inputs()) * self.planes.len();
        Scratch::new(planes, conv.group_outputs(), detect_width::<T>())
    }

    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, part: Part<'_, T>, scratch: &mut Scratch<T>) {
        let (problem, conv) = (self.problem, &self.problem.conv);
        let width = width::<T, S>();
        let (area, image_area) = (problem.output_area(), problem.image_area());
        let places = conv.kernel[0] * conv.kernel[1];
        let depth = conv.group_outputs();
        let panels = &self.panels[usize::from(part.images != self.run)];
        let weights = &self.weights[part.group];
        let len = self.planes.len();
        let first = part.image * conv.out_channels + part.group * depth;
        let gradient = &self.gradient[first * area..];
        let gradient_offsets: Vec<usize> = (0..depth).map(|output| output * area).collect();
        for channel in (0..part.channels).step_by(self.channels) {
            let channels = self.channels.min(part.channels - channel);
            let offsets = window_offsets(&self.planes, conv.kernel, channels, len);
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
                    self.planes.restore(padded, out);
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
