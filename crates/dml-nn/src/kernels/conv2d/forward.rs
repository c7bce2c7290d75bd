//! The forward pass, one image of one group at a time.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::panels::Tiling;
use super::pixel_grid::PixelGrid;
use super::planes::{to_pixels, to_planes};
use super::pool::PoolWindows;
use super::stage::Stage;
use super::{Block, Operands, Pooling};
use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

/// The result of a [`Block`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forward<T> {
    /// `[batch, out_channels, height, width]`.
    pub(crate) output: Vec<T>,
    /// With pooling: for each value, the place of its window that it came from, which the backward pass reads.
    pub(crate) places: Vec<u8>,
}

/// What the backward pass reads of the result of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a, T> {
    /// [`Forward::output`].
    pub(crate) output: &'a [T],
    /// [`Forward::places`].
    pub(crate) places: &'a [u8],
}

/// How many jobs there are per thread: few, since each has memory of its own to set up, but enough to keep all threads
/// busy to the end.
const JOBS: usize = 8;

/// Computes a block.
///
/// # Panics
/// If a size does not fit the others.
#[must_use]
pub(crate) fn forward<T: SimdReal>(block: &Block, operands: &Operands<'_, T>) -> Forward<T> {
    block.check(operands);
    let mut forward = Forward {
        output: Vec::new(),
        places: Vec::new(),
    };
    let Some(pass) = Pass::new(block, operands) else {
        return forward;
    };
    let (input_size, output_size) = (pass.input_size(), pass.output_size());
    if input_size == 0 || output_size == 0 {
        return forward;
    }
    let units = operands.input.len() / input_size;
    let len = units * output_size;
    let pools = !matches!(pass.pool, Pool::None);
    forward.output = vec![T::ZERO; len];
    forward.places = vec![0; if pools { len } else { 0 }];
    let arch = Arch::new();
    let each = units.div_ceil(JOBS * rayon::current_num_threads());
    let run = each * output_size;
    let jobs = forward.output.par_chunks_mut(run);
    let job = |number: usize, output, places| Job {
        pass: &pass,
        first: number * each,
        output,
        places,
    };
    if pools {
        jobs.zip(forward.places.par_chunks_mut(run))
            .enumerate()
            .for_each(|(number, (output, places))| arch.dispatch(job(number, output, places)));
    } else {
        jobs.enumerate()
            .for_each(|(number, output)| arch.dispatch(job(number, output, &mut [])));
    }
    forward
}

/// How results are pooled.
enum Pool {
    None,
    /// As they are computed, a tile being a window.
    Tiles,
    /// When all of an image are there.
    Windows(PoolWindows),
}

/// What all images share.
struct Pass<'a, T> {
    block: &'a Block,
    operands: &'a Operands<'a, T>,
    /// Height and width of the result, before and after pooling.
    full: [usize; 2],
    output: [usize; 2],
    first: Option<Stage<T>>,
    stage: Stage<T>,
    /// The result before pooling, as pixels whose channels fill whole registers.
    result: PixelGrid,
    pool: Pool,
}

impl<'a, T: SimdReal> Pass<'a, T> {
    fn new(block: &'a Block, operands: &'a Operands<'a, T>) -> Option<Self> {
        let (inner, full) = block.sizes(operands.image)?;
        let output = block.output(operands.image)?;
        let conv = &block.convolution;
        let width = conv
            .group_outputs()
            .next_multiple_of(Tiling::detect::<T>().lanes);
        let result = PixelGrid::padded(full, [0, 0], width);
        let stage = Stage::new(conv, inner, full, &operands.filter, &result);
        let first = match (&block.first, &operands.first) {
            (Some(conv), Some(filter)) => {
                Some(Stage::new(conv, operands.image, inner, filter, &stage.grid))
            }
            _ => None,
        };
        let pool = match &block.pooling {
            None => Pool::None,
            Some(pooling) if stage.pools() && side_by_side(pooling) => Pool::Tiles,
            Some(pooling) => Pool::Windows(PoolWindows::new(pooling, full)),
        };
        Some(Self {
            block,
            operands,
            full,
            output,
            first,
            stage,
            result,
            pool,
        })
    }

    /// Elements of the input of one group of one image.
    fn input_size(&self) -> usize {
        let conv = self.first.as_ref().unwrap_or(&self.stage).conv;
        conv.group_inputs() * self.operands.image[0] * self.operands.image[1]
    }

    /// Elements of the result of one group of one image.
    fn output_size(&self) -> usize {
        self.stage.conv.group_outputs() * self.output[0] * self.output[1]
    }
}

/// Whether the windows are 2 × 2 pixels, each in one of them.
fn side_by_side(pooling: &Pooling) -> bool {
    pooling.kernel == [2, 2]
        && pooling.stride == [2, 2]
        && pooling.padding == [0, 0]
        && pooling.dilation == [1, 1]
}

/// Some images, one group of channels after the other.
struct Job<'a, T> {
    pass: &'a Pass<'a, T>,
    /// The first unit: images times groups, counted through.
    first: usize,
    output: &'a mut [T],
    places: &'a mut [u8],
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pass = self.pass;
        let Pass { stage, result, .. } = pass;
        let (input_size, output_size) = (pass.input_size(), pass.output_size());
        let (groups, outputs) = (stage.conv.groups, stage.conv.group_outputs());
        let relu = pass.block.relu;
        let mut input = Aligned::<T>::zeros(pass.first.as_ref().map_or(0, |first| first.grid.len));
        let mut pixels = Aligned::<T>::zeros(stage.grid.len);
        let mut scratch = stage.scratch();
        let mut first_scratch = pass.first.as_ref().and_then(Stage::scratch);
        let pooled = PixelGrid::padded(pass.output, [0, 0], result.channels);
        let lens = match pass.pool {
            Pool::None => [result.len, 0],
            Pool::Tiles => [0, pooled.len],
            Pool::Windows(_) => [result.len, pooled.len],
        };
        let mut full = Aligned::<T>::zeros(lens[0]);
        let [mut values, mut places] = [lens[1]; 2].map(Aligned::<T>::zeros);
        for (i, output) in self.output.chunks_exact_mut(output_size).enumerate() {
            let unit = self.first + i;
            let group = unit % groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            if let Some(first) = &pass.first {
                to_pixels(planes, pass.operands.image, &first.grid, &mut input);
                first.run(
                    simd,
                    0,
                    true,
                    &input,
                    &mut first_scratch,
                    &stage.grid,
                    &mut pixels,
                );
            } else {
                to_pixels(planes, pass.operands.image, &stage.grid, &mut pixels);
            }
            let (values, places) = (&mut values[..], &mut places[..]);
            match &pass.pool {
                Pool::None => {
                    stage.run(simd, group, relu, &pixels, &mut scratch, result, &mut full);
                }
                Pool::Tiles => {
                    stage.run_pooled(simd, group, relu, &pixels, &mut scratch, values, places);
                }
                Pool::Windows(windows) => {
                    stage.run(simd, group, false, &pixels, &mut scratch, result, &mut full);
                    windows.maxima(simd, &full, result.channels, relu, values, places);
                }
            }
            if matches!(pass.pool, Pool::None) {
                to_planes(&full, pass.full, result, output, |x| x);
            } else {
                to_planes(values, pass.output, &pooled, output, |x| x);
                let out = &mut self.places[i * output_size..][..output_size];
                to_planes(places, pass.output, &pooled, out, SimdReal::to_byte);
            }
            if !pass.operands.scale.is_empty() {
                let scale = &pass.operands.scale[unit * outputs..][..outputs];
                let area = pass.output[0] * pass.output[1];
                for (plane, scale) in output.chunks_exact_mut(area).zip(scale) {
                    for value in plane {
                        *value = *value * *scale;
                    }
                }
            }
        }
    }
}
