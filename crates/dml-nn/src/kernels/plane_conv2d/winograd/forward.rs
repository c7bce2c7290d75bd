//! The forward pass: transformed inputs `[channels, tiles]` times transformed weights, and the transform back.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;

use super::PLACES;
use super::tiles::{Source, Tiles};
use super::transforms::{Layout, Outputs, Spread, weights as transform};
use crate::kernels::plane_conv2d::{Finish, InParts, Part, Problem, Weights, parts};
use crate::kernels::register_tile::{PackedRows, ROWS, Sink, detect_width, multiply, store, width};

/// Tiles that go through all steps together, where weights fit in the second-level cache and where they don't.
const TILES: usize = 32;
const MANY_TILES: usize = 64;
/// Transformed weights above which they are read less often, for more tiles at a time.
const LARGE: usize = 1 << 18;

struct Pass<'a, T> {
    problem: &'a Problem,
    input: &'a [T],
    bias: &'a [T],
    tiles: Tiles,
    /// For each place.
    weights: Vec<PackedRows<T>>,
}

pub(in super::super) fn forward<T: SimdReal>(
    problem: &Problem,
    input: &[T],
    weights: &Weights<'_, T>,
    bias: &[T],
    finish: Option<&Finish<'_, T>>,
    out: &mut [T],
) {
    let conv = &problem.conv;
    let (inputs, outputs) = (conv.in_channels, conv.out_channels);
    let width = detect_width::<T>();
    let target = if PLACES * inputs * outputs > LARGE {
        MANY_TILES
    } else {
        TILES
    };
    let tiles = Tiles::new(problem, width, target);
    let pass = Pass {
        problem,
        input,
        bias,
        tiles,
        weights: transformed(weights, outputs, inputs),
    };
    let area = problem.output_area();
    let parts = parts(out, 1, outputs, area, tiles.images, ROWS);
    pass.run_finished(parts, problem, finish);
}

/// The transformed weights `[outputs, inputs]` of every place.
fn transformed<T: SimdReal>(
    weights: &Weights<'_, T>,
    outputs: usize,
    inputs: usize,
) -> Vec<PackedRows<T>> {
    let mut all = vec![T::ZERO; outputs * inputs * PLACES];
    all.par_chunks_mut(inputs * PLACES)
        .enumerate()
        .for_each_in_place(|(output, out)| {
            let (out, _) = out.as_chunks_mut::<PLACES>();
            for (input, out) in out.iter_mut().enumerate() {
                let g = |i: usize, j: usize| weights.at(0, output, input, 3 * i + j);
                *out = transform(std::array::from_fn(|i| std::array::from_fn(|j| g(i, j))));
            }
        });
    (0..PLACES)
        .map(|place| {
            PackedRows::new(outputs, inputs, |output, input| {
                all[(output * inputs + input) * PLACES + place]
            })
        })
        .collect()
}

struct Scratch<T> {
    /// A row of the image with its border.
    buffer: Vec<T>,
    /// `[rows of pixels][4][lanes]` of one channel.
    rows: Aligned<T>,
    /// `[places, panels, inputs, width]`.
    inputs: Aligned<T>,
    /// `[places, outputs, tiles]`.
    products: Aligned<T>,
    /// `[2, 2, lanes]`.
    pixels: Aligned<T>,
}

impl<T: SimdReal> InParts<T> for Pass<'_, T> {
    type Scratch = Scratch<T>;

    fn scratch(&self) -> Scratch<T> {
        let (tiles, conv) = (&self.tiles, &self.problem.conv);
        let count = tiles.block * tiles.lanes;
        Scratch {
            buffer: vec![T::ZERO; tiles.buffer()],
            rows: Aligned::zeros((2 * tiles.block + 2) * 4 * tiles.lanes),
            inputs: Aligned::zeros(PLACES * count * conv.in_channels),
            products: Aligned::zeros(PLACES * count * conv.out_channels),
            pixels: Aligned::zeros(4 * tiles.lanes),
        }
    }

    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, part: Part<'_, T>, scratch: &mut Scratch<T>) {
        let Pass { problem, tiles, .. } = self;
        let width = width::<T, S>();
        let (inputs, outputs) = (problem.conv.in_channels, part.channels);
        let lanes = tiles.lanes;
        let bias = self.bias.get(part.first..).unwrap_or(&[]);
        let source = Source {
            planes: self.input,
            channels: inputs,
            image: problem.image,
            border: problem.conv.padding,
        };
        for top in (0..tiles.rows).step_by(tiles.block) {
            let count = tiles.block.min(tiles.rows - top);
            let panels = count * lanes / width;
            let layout = Layout {
                places: panels * inputs * width,
                panels: inputs * width,
                width,
            };
            for channel in 0..inputs {
                source.read(
                    tiles,
                    part.image..part.image + part.images,
                    channel,
                    2 * top..2 * (top + count) + 2,
                    4,
                    &mut scratch.buffer,
                    &mut scratch.rows,
                );
                simd.vectorize(Spread::<T, 4> {
                    rows: &scratch.rows,
                    lanes,
                    count,
                    layout,
                    out: &mut scratch.inputs[channel * width..],
                });
            }
            let row_len = count * lanes;
            let places = self
                .weights
                .iter()
                .zip(scratch.inputs.chunks_exact(layout.places))
                .zip(scratch.products.chunks_exact_mut(outputs * row_len));
            for ((weights, inputs_of), products) in places {
                for (panel, columns) in inputs_of.chunks_exact(inputs * width).enumerate() {
                    for row in (0..outputs).step_by(ROWS) {
                        let (rows, left) = weights.tile(part.first + row, 0, inputs);
                        let mut sink = ToRows {
                            out: &mut products[row * row_len + panel * width..],
                            stride: row_len,
                        };
                        multiply(simd, rows, left, columns, &mut sink);
                    }
                }
            }
            for output in 0..outputs {
                for row in 0..count {
                    simd.vectorize(Outputs {
                        products: &scratch.products[output * row_len + row * lanes..],
                        places: outputs * row_len,
                        lanes,
                        bias: bias.get(output).copied().unwrap_or(T::ZERO),
                        out: &mut scratch.pixels,
                    });
                    let y = 2 * (top + row);
                    simd.vectorize(WriteRows {
                        problem,
                        tiles,
                        images: part.images,
                        image_stride: outputs * problem.output_area(),
                        y,
                        pixels: &scratch.pixels,
                        out: &mut part.out[output * problem.output_area()..],
                    });
                }
            }
        }
    }
}

/// Writes sums to rows.
struct ToRows<'a, T> {
    out: &'a mut [T],
    stride: usize,
}

impl<T: SimdReal> Sink<T> for ToRows<'_, T> {
    #[inline(always)]
    fn take<S: Simd, const V: usize>(&mut self, _: S, row: usize, sums: [T::Lanes<S>; V]) {
        let out = &mut self.out[row * self.stride..][..width::<T, S>()];
        store::<T, S, V>(sums, out);
    }
}

/// Writes two rows of pixels of some images, as far as they lie in the image.
struct WriteRows<'a, T> {
    problem: &'a Problem,
    tiles: &'a Tiles,
    images: usize,
    image_stride: usize,
    y: usize,
    pixels: &'a [T],
    out: &'a mut [T],
}

impl<T: SimdReal> WithSimd for WriteRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [height, width] = self.problem.output;
        let Tiles { lanes, columns, .. } = *self.tiles;
        for image in 0..self.images {
            for i in 0..2.min(height - self.y) {
                let at = image * self.image_stride + (self.y + i) * width;
                let line = &mut self.out[at..][..width];
                let (even, odd) = self.pixels[2 * i * lanes..][..2 * lanes].split_at(lanes);
                let even = &even[image * columns..][..columns];
                let odd = &odd[image * columns..][..columns];
                let (pairs, rest) = line.as_chunks_mut::<2>();
                for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                    *pair = [*even, *odd];
                }
                if let [last] = rest {
                    *last = even[columns - 1];
                }
            }
        }
    }
}
