//! Convolution by 3 × 3 windows with fewer multiplications: four outputs from 16 products instead of 36.
//!
//! ```text
//! Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A        d: 4 × 4 inputs, g: 3 × 3 weights, Y: 2 × 2 outputs
//!
//!      ⎡1  0 −1  0⎤        ⎡ 1   0   0⎤
//! Bᵀ = ⎢0  1  1  0⎥    G = ⎢ ½   ½   ½⎥    Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 −1  1  0⎥        ⎢ ½  −½   ½⎥         ⎣0  1 −1 −1⎦
//!      ⎣0  1  0 −1⎦        ⎣ 0   0   1⎦
//! ```
//!
//! Lavin & Gray 2016, "Fast algorithms for convolutional neural networks" (arXiv 1509.09308), F(2×2, 3×3). Summed over
//! channels, each of the 16 products is a product of matrices `[tiles, inputs] · [inputs, outputs]`.

// One index walks several small arrays; a zip of them would hide the formula.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use super::Convolution;
use super::multiply::{Epilogue, multiply};
use super::panels::{PanelLayout, Tiling};
use super::pixel_grid::PixelGrid;
use super::pool::NOWHERE;
use super::windows::{Segment, Windows};
use crate::kernels::winograd;
use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

/// How many tiles go through the three steps together: their numbers stay in the second-level cache.
const BLOCK: usize = 24;
/// Numbers of a transformed tile.
const PLACES: usize = 16;

/// A convolution by 3 × 3 windows, tile by tile.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    inputs: usize,
    outputs: usize,
    /// Elements from one row of the image to the next.
    row: usize,
    /// For each tile in row-major order, where its 4 × 4 inputs begin.
    sources: Vec<u32>,
    /// Tiles of a row.
    columns: usize,
    output: [usize; 2],
    layout: PanelLayout,
    /// The products of a whole block, and of the last one.
    whole: Windows,
    last: Windows,
}

/// The memory that a job needs.
pub(super) struct Scratch<T> {
    transformed: Aligned<T>,
    products: Aligned<T>,
}

/// Where results go.
pub(super) enum Sink<'a, T> {
    /// To the pixels of a grid.
    Pixels {
        /// The grid.
        grid: &'a PixelGrid,
        /// Its memory.
        pixels: &'a mut [T],
    },
    /// Through a pooling by 2 × 2 windows side by side, which the tiles are: `[windows, outputs]`.
    Pooled {
        /// The largest value of each window.
        values: &'a mut [T],
        /// Its place in the window.
        places: &'a mut [T],
    },
}

/// Whether the convolution can be done this way, and is faster so.
pub(super) fn fits<T: SimdReal>(conv: &Convolution, output: [usize; 2], tiling: Tiling) -> bool {
    // The sums lose about one more bit than in order: a fair price in single precision, but double precision is for
    // those who want their digits.
    size_of::<T>() == 4
        && tiling.lanes > 1
        && conv.kernel == [3, 3]
        && conv.stride == [1, 1]
        && conv.dilation == [1, 1]
        && conv.group_inputs().is_multiple_of(tiling.lanes)
        && conv.group_outputs() >= tiling.lanes
        && output.iter().all(|size| *size >= 4)
}

/// Rows and columns of the input that the tiles of an output of this size read.
pub(super) fn room(output: [usize; 2]) -> [usize; 2] {
    output.map(|size| 2 * size.div_ceil(2) + 2)
}

impl Winograd {
    /// Windows in row-major order over an image whose first window begins at `start`.
    pub(super) fn new(
        conv: &Convolution,
        output: [usize; 2],
        image: &PixelGrid,
        start: usize,
        tiling: Tiling,
    ) -> Self {
        let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
        let row = image.row * inputs;
        let [rows, columns] = output.map(|size| size.div_ceil(2));
        let sources: Vec<u32> = (0..rows)
            .flat_map(|y| (0..columns).map(move |x| (start + 2 * y * row + 2 * x * inputs) as u32))
            .collect();
        let width = outputs.next_multiple_of(tiling.lanes);
        let windows = |tiles: usize| Windows {
            sources: (0..tiles).map(|tile| (tile * inputs) as u32).collect(),
            targets: (0..tiles).map(|tile| (tile * width) as u32).collect(),
            segments: vec![Segment {
                offset: 0,
                len: inputs,
            }],
        };
        Self {
            inputs,
            outputs: width,
            row,
            columns,
            output,
            layout: PanelLayout::new(inputs, outputs, tiling),
            whole: windows(BLOCK),
            last: windows(sources.len() % BLOCK),
            sources,
        }
    }

    pub(super) fn scratch<T: SimdReal>(&self) -> Scratch<T> {
        Scratch {
            transformed: Aligned::zeros(PLACES * BLOCK * self.inputs),
            products: Aligned::zeros(PLACES * BLOCK * self.outputs),
        }
    }

    /// The transformed weights, packed one place after the other; `get(output, input, row, column)` are the plain ones.
    pub(super) fn pack<T: SimdReal>(
        &self,
        outputs: usize,
        get: impl Fn(usize, usize, usize, usize) -> T,
    ) -> Aligned<T> {
        let mut transformed = vec![T::ZERO; PLACES * self.inputs * outputs];
        for (output, input) in (0..outputs).flat_map(|o| (0..self.inputs).map(move |i| (o, i))) {
            let g = |row, column| get(output, input, row, column).to_f64();
            let spread = |a: f64, b: f64, c: f64| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
            let columns: [[f64; 4]; 3] =
                std::array::from_fn(|column| spread(g(0, column), g(1, column), g(2, column)));
            for row in 0..4 {
                let line = spread(columns[0][row], columns[1][row], columns[2][row]);
                for (column, value) in line.into_iter().enumerate() {
                    let place = row * 4 + column;
                    transformed[(place * self.inputs + input) * outputs + output] =
                        T::from_f64(value);
                }
            }
        }
        let mut packed = Aligned::zeros(PLACES * self.layout.len);
        for (place, packed) in packed.chunks_exact_mut(self.layout.len).enumerate() {
            let get = |row: usize, column: usize| {
                transformed[(place * self.inputs + row) * outputs + column]
            };
            packed.copy_from_slice(&self.layout.pack(get));
        }
        packed
    }

    #[inline(always)]
    pub(super) fn run<T: SimdReal, S: Simd>(
        &self,
        simd: S,
        image: &[T],
        packed: &[T],
        epilogue: Epilogue<'_, T>,
        scratch: &mut Scratch<T>,
        sink: &mut Sink<'_, T>,
    ) {
        let nothing = Epilogue {
            bias: &[],
            relu: false,
        };
        for (block, sources) in self.sources.chunks(BLOCK).enumerate() {
            // Each step is a function of its own: all of them in one would be too much for the optimiser.
            simd.vectorize(TransformInputs {
                winograd: self,
                image,
                sources,
                out: &mut scratch.transformed,
            });
            let windows = if sources.len() == BLOCK {
                &self.whole
            } else {
                &self.last
            };
            let places = scratch
                .transformed
                .chunks_exact(BLOCK * self.inputs)
                .zip(scratch.products.chunks_exact_mut(BLOCK * self.outputs))
                .zip(packed.chunks_exact(self.layout.len));
            for ((transformed, products), packed) in places {
                multiply(
                    simd,
                    transformed,
                    windows,
                    &self.layout,
                    packed,
                    nothing,
                    products,
                );
            }
            simd.vectorize(Finish {
                winograd: self,
                products: &scratch.products,
                first: block * BLOCK,
                tiles: sources.len(),
                epilogue,
                sink,
            });
        }
    }
}

/// Bᵀ d B of every tile and input channel: `[places, tiles, inputs]`.
struct TransformInputs<'a, T> {
    winograd: &'a Winograd,
    image: &'a [T],
    sources: &'a [u32],
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for TransformInputs<'_, T> {
    type Output = ();

    // Loops and no closures here and below: a closure that the compiler chose not to inline would lose the vector
    // instructions.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Winograd { inputs, row, .. } = *self.winograd;
        let vectors = inputs / T::lanes::<S>();
        let (out, _) = T::as_lanes_mut::<S>(self.out);
        let zero = T::splat(simd, T::ZERO);
        for (tile, source) in self.sources.iter().enumerate() {
            let start = *source as usize;
            for c in 0..vectors {
                let mut columns = [[zero; 4]; 4];
                for i in 0..4 {
                    let line = &self.image[start + i * row..][..4 * inputs];
                    let (line, _) = T::as_lanes::<S>(line);
                    for j in 0..4 {
                        columns[j][i] = line[j * vectors + c];
                    }
                }
                // Down the columns first, then along the rows.
                for column in &mut columns {
                    *column = winograd::inputs::<T, S>(simd, *column);
                }
                for i in 0..4 {
                    let line = winograd::inputs::<T, S>(
                        simd,
                        [columns[0][i], columns[1][i], columns[2][i], columns[3][i]],
                    );
                    for j in 0..4 {
                        out[((i * 4 + j) * BLOCK + tile) * vectors + c] = line[j];
                    }
                }
            }
        }
    }
}

/// Aᵀ M A of every tile and output channel, and what follows.
struct Finish<'a, 's, T> {
    winograd: &'a Winograd,
    products: &'a [T],
    /// The first tile of the block.
    first: usize,
    tiles: usize,
    epilogue: Epilogue<'a, T>,
    sink: &'a mut Sink<'s, T>,
}

impl<T: SimdReal> WithSimd for Finish<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.winograd.outputs / T::lanes::<S>();
        let (products, _) = T::as_lanes::<S>(self.products);
        let (bias, _) = T::as_lanes::<S>(self.epilogue.bias);
        let zero = T::splat(simd, T::ZERO);
        for tile in 0..self.tiles {
            for c in 0..vectors {
                let mut columns = [[zero; 2]; 4];
                for j in 0..4 {
                    let mut m = [zero; 4];
                    for i in 0..4 {
                        m[i] = products[((i * 4 + j) * BLOCK + tile) * vectors + c];
                    }
                    columns[j] = winograd::outputs::<T, S>(simd, m);
                }
                let [a, b, d, e] = columns;
                let above = winograd::outputs::<T, S>(simd, [a[0], b[0], d[0], e[0]]);
                let below = winograd::outputs::<T, S>(simd, [a[1], b[1], d[1], e[1]]);
                let mut y = [above[0], above[1], below[0], below[1]];
                if let Some(bias) = bias.get(c) {
                    for y in &mut y {
                        *y = T::plus(simd, *y, *bias);
                    }
                }
                match self.sink {
                    Sink::Pixels { grid, pixels } => {
                        if self.epilogue.relu {
                            for y in &mut y {
                                *y = T::larger(simd, zero, *y);
                            }
                        }
                        store::<T, S>(self.winograd, y, self.first + tile, c, grid, pixels);
                    }
                    Sink::Pooled { values, places } => {
                        let (value, place) = largest::<T, S>(simd, y, self.epilogue.relu);
                        let at = (self.first + tile) * vectors + c;
                        T::as_lanes_mut::<S>(values).0[at] = value;
                        T::as_lanes_mut::<S>(places).0[at] = place;
                    }
                }
            }
        }
    }
}

/// The four outputs of a tile, as far as they lie in the image.
#[inline(always)]
fn store<T: SimdReal, S: Simd>(
    winograd: &Winograd,
    values: [T::Lanes<S>; 4],
    tile: usize,
    vector: usize,
    grid: &PixelGrid,
    pixels: &mut [T],
) {
    let lanes = T::lanes::<S>();
    let (y, x) = (2 * (tile / winograd.columns), 2 * (tile % winograd.columns));
    // The grid may hold fewer channels than whole registers do.
    let channels = lanes.min(grid.channels - vector * lanes);
    for i in 0..2 {
        for j in 0..2 {
            if y + i < winograd.output[0] && x + j < winograd.output[1] {
                let at = grid.at(y + i, x + j) + vector * lanes;
                super::multiply::store::<T, S>(values[2 * i + j], &mut pixels[at..][..channels]);
            }
        }
    }
}

/// The largest of four and its place, the first of equals; NaN is larger than anything.
#[inline(always)]
fn largest<T: SimdReal, S: Simd>(
    simd: S,
    values: [T::Lanes<S>; 4],
    relu: bool,
) -> (T::Lanes<S>, T::Lanes<S>) {
    let mut best = values[0];
    let mut place = T::splat(simd, T::ZERO);
    let one = T::splat(simd, T::ONE);
    let mut here = place;
    for value in &values[1..] {
        here = T::plus(simd, here, one);
        (best, place) = super::pool::better::<T, S>(simd, (best, place), (*value, here));
    }
    if relu {
        super::pool::rectified::<T, S>(simd, best, place)
    } else {
        (best, place)
    }
}

const _: () = assert!(NOWHERE as usize > 3, "places of a tile are not NOWHERE");
