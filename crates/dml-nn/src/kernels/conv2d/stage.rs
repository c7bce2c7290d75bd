//! A convolution made ready: where its windows lie, which way it is computed, and its weights packed for that.

use pulp::Simd;

use super::multiply::{Epilogue, multiply};
use super::panels::{PanelLayout, Tiling};
use super::pixel_grid::PixelGrid;
use super::windows::Windows;
use super::winograd::{self, Sink, Winograd};
use super::{Convolution, Filter};
use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

/// A convolution from the pixels of one grid to those of another.
pub(super) struct Stage<T> {
    pub(super) conv: Convolution,
    pub(super) output: [usize; 2],
    /// The pixels that it reads, with their border.
    pub(super) grid: PixelGrid,
    engine: Engine,
    /// Per group.
    weights: Vec<Aligned<T>>,
    /// Per group, padded to whole registers; empty for none.
    bias: Vec<Vec<T>>,
}

enum Engine {
    Direct {
        windows: Windows,
        layout: PanelLayout,
    },
    Winograd(Winograd),
}

impl<T: SimdReal> Stage<T> {
    /// A convolution of an image of this size, which writes to the pixels of `result`.
    pub(super) fn new(
        conv: &Convolution,
        image: [usize; 2],
        output: [usize; 2],
        filter: &Filter<'_, T>,
        result: &PixelGrid,
    ) -> Self {
        let tiling = Tiling::detect::<T>();
        let by_tiles = winograd::fits::<T>(conv, output, tiling);
        let mut grid = PixelGrid::padded(image, conv.padding, conv.group_inputs());
        if by_tiles {
            let [height, width] = winograd::room(output);
            grid = PixelGrid::with_room(image, conv.padding, conv.group_inputs(), [height, width]);
        }
        let engine = if by_tiles {
            Engine::Winograd(Winograd::new(conv, output, &grid, 0, tiling))
        } else {
            Engine::Direct {
                windows: Windows::of_outputs(conv, output, &grid, result),
                layout: PanelLayout::new(conv.window(), conv.group_outputs(), tiling),
            }
        };
        let inputs = conv.group_inputs();
        let weights = (0..conv.groups)
            .map(|group| match &engine {
                Engine::Direct { layout, .. } => layout
                    .pack(|row, column| filter.at(conv, group, column, row % inputs, row / inputs)),
                Engine::Winograd(tiles) => tiles
                    .pack(conv.group_outputs(), |output, input, y, x| {
                        filter.at(conv, group, output, input, y * 3 + x)
                    }),
            })
            .collect();
        let bias = (0..conv.groups)
            .map(|group| {
                let outputs = conv.group_outputs();
                let mut padded = match filter.bias {
                    [] => Vec::new(),
                    bias => bias[group * outputs..][..outputs].to_vec(),
                };
                padded.resize(padded.len().next_multiple_of(tiling.lanes), T::ZERO);
                padded
            })
            .collect();
        Self {
            conv: *conv,
            output,
            grid,
            engine,
            weights,
            bias,
        }
    }

    /// The memory that computing needs besides the pixels.
    pub(super) fn scratch(&self) -> Option<winograd::Scratch<T>> {
        match &self.engine {
            Engine::Direct { .. } => None,
            Engine::Winograd(tiles) => Some(tiles.scratch()),
        }
    }

    /// Whether [`run_pooled`](Stage::run_pooled) can be used for a pooling by 2 × 2 windows side by side.
    pub(super) fn pools(&self) -> bool {
        matches!(self.engine, Engine::Winograd(_)) && self.output.iter().all(|size| size % 2 == 0)
    }

    #[inline(always)]
    fn epilogue(&self, group: usize, relu: bool) -> Epilogue<'_, T> {
        Epilogue {
            bias: &self.bias[group],
            relu,
        }
    }

    /// Computes one group of one image. `result` is the grid that the stage was made for.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run<S: Simd>(
        &self,
        simd: S,
        group: usize,
        relu: bool,
        pixels: &[T],
        scratch: &mut Option<winograd::Scratch<T>>,
        result: &PixelGrid,
        out: &mut [T],
    ) {
        let (weights, epilogue) = (&self.weights[group], self.epilogue(group, relu));
        match (&self.engine, scratch) {
            (Engine::Direct { windows, layout }, _) => {
                multiply(simd, pixels, windows, layout, weights, epilogue, out);
            }
            (Engine::Winograd(tiles), Some(scratch)) => {
                let mut sink = Sink::Pixels {
                    grid: result,
                    pixels: out,
                };
                tiles.run(simd, pixels, weights, epilogue, scratch, &mut sink);
            }
            (Engine::Winograd(_), None) => {}
        }
    }

    /// Computes one group of one image and pools it: `[windows, channels]`, padded to whole registers.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_pooled<S: Simd>(
        &self,
        simd: S,
        group: usize,
        relu: bool,
        pixels: &[T],
        scratch: &mut Option<winograd::Scratch<T>>,
        values: &mut [T],
        places: &mut [T],
    ) {
        if let (Engine::Winograd(tiles), Some(scratch)) = (&self.engine, scratch) {
            let epilogue = self.epilogue(group, relu);
            let mut sink = Sink::Pooled { values, places };
            tiles.run(
                simd,
                pixels,
                &self.weights[group],
                epilogue,
                scratch,
                &mut sink,
            );
        }
    }
}
