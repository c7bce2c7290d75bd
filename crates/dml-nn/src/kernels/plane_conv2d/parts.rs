//! The parts of the output that tasks compute independently of each other.

use dml_core::kernels::SimdReal;
use dml_core::kernels::in_place::InPlace;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Finish, Problem};

/// A part of the output that one task writes: some images, or some channels of one.
pub(super) struct Part<'a, T> {
    /// First image.
    pub(super) image: usize,
    /// Number of images.
    pub(super) images: usize,
    pub(super) group: usize,
    /// First channel within the group.
    pub(super) first: usize,
    /// Number of channels.
    pub(super) channels: usize,
    pub(super) out: &'a mut [T],
}

impl<T> Part<'_, T> {
    fn reborrow(&mut self) -> Part<'_, T> {
        Part {
            out: self.out,
            ..*self
        }
    }

    /// Finishes every plane.
    fn finish(self, problem: &Problem, finish: Option<&Finish<'_, T>>) {
        let Some(finish) = finish else { return };
        let (conv, area) = (&problem.conv, problem.output_area());
        let first = self.group * conv.group_outputs() + self.first;
        for (i, plane) in self.out.chunks_exact_mut(area).enumerate() {
            let (image, channel) = (self.image + i / self.channels, first + i % self.channels);
            finish((image * conv.out_channels + channel) * area, channel, plane);
        }
    }
}

/// A pass whose output is computed in parts.
pub(super) trait InParts<T: SimdReal>: Sync + Sized {
    /// Memory that a task uses again for its next part.
    type Scratch;

    fn scratch(&self) -> Self::Scratch;

    fn compute<S: Simd>(&self, simd: S, part: Part<'_, T>, scratch: &mut Self::Scratch);

    /// Computes all parts.
    fn run(&self, parts: Vec<Part<'_, T>>) {
        self.each(parts, |_| {});
    }

    /// Computes all parts, and finishes every plane of the output of a problem.
    fn run_finished(
        &self,
        parts: Vec<Part<'_, T>>,
        problem: &Problem,
        finish: Option<&Finish<'_, T>>,
    ) {
        self.each(parts, |part| part.finish(problem, finish));
    }

    fn each(&self, parts: Vec<Part<'_, T>>, after: impl Fn(Part<'_, T>) + Sync) {
        let arch = Arch::new();
        parts.into_par_iter().for_each_init_in_place(
            || self.scratch(),
            |scratch, mut part| {
                arch.dispatch(Job {
                    pass: self,
                    part: part.reborrow(),
                    scratch,
                });
                after(part);
            },
        );
    }
}

struct Job<'a, 'p, T: SimdReal, P: InParts<T>> {
    pass: &'a P,
    part: Part<'p, T>,
    scratch: &'a mut P::Scratch,
}

impl<T: SimdReal, P: InParts<T>> WithSimd for Job<'_, '_, T, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.pass.compute(simd, self.part, self.scratch);
    }
}

/// Number of parts that a small batch is cut into.
const PARTS: usize = 16;

/// Cuts planes `[batch, groups, channels, area]` into runs of `run` images, or channels of one image: so many that they are
/// whole multiples of `grain` channels, where there would be few parts otherwise. `run` is 1 if there are groups.
pub(super) fn parts<T>(
    out: &mut [T],
    groups: usize,
    channels: usize,
    area: usize,
    run: usize,
    grain: usize,
) -> Vec<Part<'_, T>> {
    let image_len = groups * channels * area;
    let batch = out.len() / image_len;
    let mut parts = Vec::new();
    let mut rest = out;
    if groups == 1 && run > 1 {
        for image in (0..batch).step_by(run) {
            let images = run.min(batch - image);
            let (out, after) = rest.split_at_mut(images * image_len);
            rest = after;
            parts.push(Part {
                image,
                images,
                group: 0,
                first: 0,
                channels,
                out,
            });
        }
        return parts;
    }
    let splits = PARTS.div_ceil(batch * groups);
    let step = channels.div_ceil(splits).next_multiple_of(grain);
    for (image, group) in (0..batch).flat_map(|n| (0..groups).map(move |g| (n, g))) {
        for first in (0..channels).step_by(step) {
            let count = step.min(channels - first);
            let (out, after) = rest.split_at_mut(count * area);
            rest = after;
            parts.push(Part {
                image,
                images: 1,
                group,
                first,
                channels: count,
                out,
            });
        }
    }
    parts
}
