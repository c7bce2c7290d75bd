//! The gradients of parameters, summed over the images of a job and then over the jobs in order.

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;
use dml_core::kernels::in_place::InPlace;
use rayon::prelude::*;

use super::Gradients;
use super::pass::{Pass, Route};
use crate::kernels::conv2d::Convolution;

/// The sums of one job.
pub(super) struct Sums<T> {
    /// Gradient of the weights of each group, in the order that the route works in.
    pub(super) weight: Vec<Aligned<T>>,
    pub(super) bias: Vec<f64>,
    /// Gradient of the weights of the first convolution, in panels.
    pub(super) first_weight: Aligned<T>,
    pub(super) first_bias: Vec<f64>,
}

impl<T: SimdReal> Sums<T> {
    pub(super) fn zeros(pass: &Pass<'_, T>) -> Self {
        let conv = &pass.block.convolution;
        let len = match &pass.route {
            Route::Dense(dense) => dense.layout.len,
            Route::Pooled(_) => conv.window() * conv.group_outputs(),
        };
        let first = pass.first.as_ref();
        Self {
            weight: (0..conv.groups).map(|_| Aligned::zeros(len)).collect(),
            bias: vec![0.0; conv.out_channels],
            first_weight: Aligned::zeros(first.map_or(0, |first| first.layout.len)),
            first_bias: vec![0.0; first.map_or(0, |first| first.stage.conv.out_channels)],
        }
    }
}

/// Writes the sum over all jobs in the layout of the parameters.
pub(super) fn add_up<T: SimdReal>(
    pass: &Pass<'_, T>,
    sums: &[Sums<T>],
    gradients: &mut Gradients<T>,
) {
    let conv = &pass.block.convolution;
    let total_bias = |bias: &mut [T], part: fn(&Sums<T>) -> &[f64]| {
        for (channel, out) in bias.iter_mut().enumerate() {
            *out = T::from_f64(sums.iter().map(|sums| part(sums)[channel]).sum());
        }
    };
    total_bias(&mut gradients.filter.bias, |sums| &sums.bias);
    total_bias(&mut gradients.first.bias, |sums| &sums.first_bias);
    for group in 0..conv.groups {
        let total = total(sums.iter().map(|sums| &sums.weight[group][..]));
        let mut set = setter(conv, group, &mut gradients.filter.weight);
        match &pass.route {
            Route::Dense(dense) => dense.layout.unpack(&total, set),
            Route::Pooled(_) => {
                for (column, line) in total.chunks_exact(conv.window()).enumerate() {
                    for (row, value) in line.iter().enumerate() {
                        set(row, column, *value);
                    }
                }
            }
        }
    }
    if let Some(first) = &pass.first {
        let total = total(sums.iter().map(|sums| &sums.first_weight[..]));
        let set = setter(&first.stage.conv, 0, &mut gradients.first.weight);
        first.layout.unpack(&total, set);
    }
}

/// The parts added up in order.
fn total<'a, T: SimdReal>(parts: impl Iterator<Item = &'a [T]>) -> Vec<T> {
    const RUN: usize = 4096;
    let parts: Vec<&[T]> = parts.collect();
    let mut total = vec![T::ZERO; parts.first().map_or(0, |part| part.len())];
    total
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each_in_place(|(i, out)| {
            for part in &parts {
                for (out, part) in out.iter_mut().zip(&part[i * RUN..]) {
                    *out += *part;
                }
            }
        });
    total
}

/// Writes the gradient of (row of the window, output channel) to its place in the layout of the weights.
fn setter<'a, T>(
    conv: &Convolution,
    group: usize,
    weight: &'a mut [T],
) -> impl FnMut(usize, usize, T) + use<'a, T> {
    let (inputs, outputs) = (conv.group_inputs(), conv.group_outputs());
    let area = conv.kernel[0] * conv.kernel[1];
    move |row, column, value| {
        let (place, channel) = (row / inputs, row % inputs);
        weight[((group * outputs + column) * inputs + channel) * area + place] = value;
    }
}
