//! The gradients of some images, one image of one group at a time.

use pulp::{Simd, WithSimd};

use super::{First, Pass, Route, Sums};
use crate::kernels::conv2d::multiply::{Epilogue, multiply};
use crate::kernels::conv2d::planes::{to_pixels, to_planes};
use crate::kernels::conv2d::pool::{NOWHERE, PoolWindows};
use crate::kernels::conv2d::sparse::{self, Entry};
use crate::kernels::conv2d::stage::Stage;
use crate::kernels::conv2d::weight_gradient::{self, SLACK};
use crate::kernels::conv2d::windows::Windows;
use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

/// Some images.
pub(super) struct Job<'a, T> {
    pub(super) pass: &'a Pass<'a, T>,
    pub(super) images: std::ops::Range<usize>,
    /// The gradient of their input, to be written; empty if nobody needs it.
    pub(super) input: &'a mut [T],
}

impl<T: SimdReal> WithSimd for Job<'_, T> {
    type Output = Sums<T>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums<T> {
        let pass = self.pass;
        let conv = &pass.block.convolution;
        let image = pass.operands.image;
        let first_conv = pass.block.first.as_ref().unwrap_or(conv);
        let input_size = first_conv.group_inputs() * image[0] * image[1];
        let outputs = conv.group_outputs();
        let output_size = outputs * pass.output[0] * pass.output[1];
        let mut sums = pass.empty_sums();
        let mut scratch = Scratch::new(pass);
        let units = self.images.start * conv.groups..self.images.end * conv.groups;
        for (i, unit) in units.enumerate() {
            let group = unit % conv.groups;
            let planes = &pass.operands.input[unit * input_size..][..input_size];
            if let Some(First { stage, .. }) = &pass.first {
                let Scratch {
                    input,
                    pixels,
                    first,
                    ..
                } = &mut scratch;
                to_pixels(planes, image, &stage.grid, input);
                stage.run(simd, 0, true, input, first, &pass.grid, pixels);
            } else {
                to_pixels(planes, image, &pass.grid, &mut scratch.pixels);
            }
            let incoming = Incoming::new(pass, unit, output_size);
            let bias = &mut sums.bias[group * outputs..][..outputs];
            let weight = &mut sums.weight[group];
            match &pass.route {
                Route::Dense { .. } => {
                    dense(simd, pass, &incoming, group, &mut scratch, weight, bias);
                }
                Route::Sparse { windows, weights } => {
                    let weights = &weights[group];
                    through_pooling(
                        simd,
                        pass,
                        windows,
                        weights,
                        &incoming,
                        &mut scratch,
                        weight,
                        bias,
                    );
                }
            }
            if let Some(first) = &pass.first {
                into_first(simd, first, &mut scratch, &mut sums);
            } else if pass.needs_pixels {
                let out = &mut self.input[i * input_size..][..input_size];
                to_planes(&scratch.pixels_gradient, image, &pass.grid, out, |x| x);
            }
        }
        sums
    }
}

/// The memory of a job.
struct Scratch<T> {
    /// The input of the first convolution, as pixels.
    input: Aligned<T>,
    first: Option<crate::kernels::conv2d::winograd::Scratch<T>>,
    /// The input of the convolution, as pixels.
    pixels: Aligned<T>,
    pixels_gradient: Aligned<T>,
    /// The gradient of the convolution's result, as planes.
    planes: Vec<T>,
    /// The same as pixels with a border.
    gradient: Aligned<T>,
    lists: Lists<T>,
}

impl<T: SimdReal> Scratch<T> {
    fn new(pass: &Pass<'_, T>) -> Self {
        let first = pass.first.as_ref().map(|first| &first.stage);
        Self {
            input: Aligned::zeros(first.map_or(0, |stage| stage.grid.len)),
            first: first.and_then(Stage::scratch),
            pixels: Aligned::zeros(pass.grid.len),
            pixels_gradient: Aligned::zeros(if pass.needs_pixels {
                pass.grid.len + SLACK
            } else {
                0
            }),
            planes: Vec::new(),
            gradient: Aligned::zeros(match &pass.route {
                Route::Dense { grid, .. } => grid.len + SLACK,
                Route::Sparse { .. } => 0,
            }),
            lists: Lists {
                entries: Vec::new(),
                ends: Vec::new(),
            },
        }
    }
}

/// What comes back to one image of one group.
struct Incoming<'a, T> {
    gradient: &'a [T],
    output: &'a [T],
    places: &'a [u8],
    scale: &'a [T],
}

impl<'a, T: SimdReal> Incoming<'a, T> {
    fn new(pass: &'a Pass<'_, T>, unit: usize, size: usize) -> Self {
        let outputs = pass.block.convolution.group_outputs();
        let range = unit * size..(unit + 1) * size;
        Self {
            gradient: &pass.gradient[range.clone()],
            output: &pass.kept.output[range.clone()],
            places: pass.kept.places.get(range).unwrap_or(&[]),
            scale: match pass.operands.scale {
                [] => &[],
                scale => &scale[unit * outputs..][..outputs],
            },
        }
    }

    #[inline(always)]
    fn scale(&self, channel: usize) -> T {
        self.scale.get(channel).copied().unwrap_or(T::ONE)
    }

    /// The gradient of the convolution's result, `[out_channels, height, width]`.
    #[inline(always)]
    fn expand(&self, pass: &Pass<'_, T>, planes: &mut Vec<T>) {
        let area = pass.full[0] * pass.full[1];
        let pooled = pass.output[0] * pass.output[1];
        planes.clear();
        planes.resize(pass.block.convolution.group_outputs() * area, T::ZERO);
        for (channel, plane) in planes.chunks_exact_mut(area).enumerate() {
            let scale = self.scale(channel);
            let gradient = &self.gradient[channel * pooled..][..pooled];
            if let Some(pool) = &pass.pool {
                let places = &self.places[channel * pooled..][..pooled];
                for (window, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                    if *place != NOWHERE {
                        plane[pool.pixel(window, *place)] += *gradient * scale;
                    }
                }
            } else {
                let output = &self.output[channel * pooled..][..pooled];
                for ((out, gradient), output) in plane.iter_mut().zip(gradient).zip(output) {
                    let passes = !pass.block.relu || *output != T::ZERO;
                    *out = if passes { *gradient * scale } else { T::ZERO };
                }
            }
        }
    }
}

#[inline(always)]
fn dense<T: SimdReal, S: Simd>(
    simd: S,
    pass: &Pass<'_, T>,
    incoming: &Incoming<'_, T>,
    group: usize,
    scratch: &mut Scratch<T>,
    weight: &mut [T],
    bias: &mut [f64],
) {
    let Route::Dense {
        grid,
        windows,
        offsets,
        layout,
        phases,
        weights,
    } = &pass.route
    else {
        return;
    };
    incoming.expand(pass, &mut scratch.planes);
    let area = pass.full[0] * pass.full[1];
    for (bias, plane) in bias.iter_mut().zip(scratch.planes.chunks_exact(area)) {
        *bias += sum(plane);
    }
    to_pixels(&scratch.planes, pass.full, grid, &mut scratch.gradient);
    weight_gradient::accumulate(
        simd,
        &scratch.pixels,
        windows,
        offsets,
        &scratch.gradient,
        layout,
        weight,
    );
    for ((phase, layout), weights) in phases.iter().zip(weights) {
        let nothing = Epilogue {
            bias: &[],
            relu: false,
        };
        multiply(
            simd,
            &scratch.gradient,
            &phase.windows,
            layout,
            &weights[group],
            nothing,
            &mut scratch.pixels_gradient,
        );
    }
}

/// Σ x, in eight double-precision sums.
#[inline(always)]
fn sum<T: SimdReal>(values: &[T]) -> f64 {
    let mut lanes = [0f64; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x.to_f64();
        }
    }
    let rest: f64 = chunks.remainder().iter().map(|x| x.to_f64()).sum();
    lanes.iter().sum::<f64>() + rest
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn through_pooling<T: SimdReal, S: Simd>(
    simd: S,
    pass: &Pass<'_, T>,
    windows: &Windows,
    weights: &[T],
    incoming: &Incoming<'_, T>,
    scratch: &mut Scratch<T>,
    weight: &mut [T],
    bias: &mut [f64],
) {
    let Some(pool) = &pass.pool else { return };
    scratch.pixels_gradient.fill(T::ZERO);
    let window = pass.block.convolution.window();
    let rows = pass.output[0];
    scratch.lists.fill(pass, pool, windows, incoming, bias);
    // A row of pooled pixels at a time: the pixels that their windows touch stay in the first-level cache while all
    // channels pass by.
    for row in 0..rows {
        for channel in 0..bias.len() {
            let entries = scratch.lists.entries(channel * rows + row);
            if entries.is_empty() {
                continue;
            }
            let line = channel * window..(channel + 1) * window;
            sparse::add_windows(
                simd,
                &scratch.pixels,
                entries,
                &windows.segments,
                &mut weight[line.clone()],
            );
            if pass.needs_pixels {
                sparse::scatter_weights(
                    simd,
                    &weights[line],
                    entries,
                    &windows.segments,
                    &mut scratch.pixels_gradient,
                );
            }
        }
    }
}

/// The pixels of an image that have a gradient, by channel and row of pooled pixels.
struct Lists<T> {
    entries: Vec<Entry<T>>,
    /// Where the list of each channel and row ends.
    ends: Vec<usize>,
}

impl<T: SimdReal> Lists<T> {
    /// Lists the gradients of all channels, and adds them to `bias`.
    #[inline(always)]
    fn fill(
        &mut self,
        pass: &Pass<'_, T>,
        pool: &PoolWindows,
        windows: &Windows,
        incoming: &Incoming<'_, T>,
        bias: &mut [f64],
    ) {
        let [rows, columns] = pass.output;
        self.entries
            .resize(bias.len() * rows * columns + 1, Entry::default());
        self.ends.clear();
        let mut taken = 0;
        let lines = incoming
            .gradient
            .chunks_exact(columns)
            .zip(incoming.places.chunks_exact(columns));
        for (line, (gradient, places)) in lines.enumerate() {
            let (channel, row) = (line / rows, line % rows);
            let scale = incoming.scale(channel);
            if scale != T::ZERO {
                let mut total = T::ZERO;
                for (x, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                    // Written always and kept if it counts: which of them do is not predictable.
                    let passes = *place != NOWHERE;
                    let gradient = *gradient * scale;
                    let pixel = pool.pixel(row * columns + x, if passes { *place } else { 0 });
                    self.entries[taken] = Entry {
                        source: windows.sources[pixel],
                        gradient,
                    };
                    total += if passes { gradient } else { T::ZERO };
                    taken += usize::from(passes & (gradient != T::ZERO));
                }
                bias[channel] += total.to_f64();
            }
            self.ends.push(taken);
        }
    }

    /// The list of that number.
    #[inline(always)]
    fn entries(&self, list: usize) -> &[Entry<T>] {
        let start = list.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[start..self.ends[list]]
    }
}

/// The gradients of the first convolution, given those of the pixels behind it.
#[inline(always)]
fn into_first<T: SimdReal, S: Simd>(
    simd: S,
    first: &First<T>,
    scratch: &mut Scratch<T>,
    sums: &mut Sums<T>,
) {
    let pixels = &scratch.pixels;
    // The border, too, is 0 before and behind the ReLU.
    for (gradient, value) in scratch.pixels_gradient.iter_mut().zip(pixels.iter()) {
        *gradient = if *value > T::ZERO { *gradient } else { T::ZERO };
    }
    let channels = first.stage.conv.out_channels;
    let mut totals = vec![T::ZERO; channels];
    for pixel in scratch.pixels_gradient[..pixels.len()].chunks_exact(channels) {
        for (total, gradient) in totals.iter_mut().zip(pixel) {
            *total += *gradient;
        }
    }
    for (sum, total) in sums.first_bias.iter_mut().zip(totals) {
        *sum += total.to_f64();
    }
    weight_gradient::accumulate(
        simd,
        &scratch.input,
        &first.windows,
        &first.offsets,
        &scratch.pixels_gradient,
        &first.layout,
        &mut sums.first_weight,
    );
}
