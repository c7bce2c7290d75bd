//! The gradient of the output of one image and group, and its way back through pooling and ReLU.

use dml_core::kernels::SimdReal;

use super::pass::Pass;
use crate::kernels::conv2d::pool::{NOWHERE, PoolWindows};

/// The gradient of the output of one group of one image, with what the forward pass kept of it.
pub(super) struct OutputGradient<'a, T> {
    /// `[out_channels, height, width]`, as the output.
    pub(super) gradient: &'a [T],
    output: &'a [T],
    /// The place of its window that each value came from; empty without pooling.
    pub(super) places: &'a [u8],
    scale: &'a [T],
}

impl<'a, T: SimdReal> OutputGradient<'a, T> {
    /// The gradient of a unit: a group of an image.
    pub(super) fn new(pass: &'a Pass<'_, T>, unit: usize) -> Self {
        let outputs = pass.block.convolution.group_outputs();
        let size = outputs * pass.output[0] * pass.output[1];
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

    /// The factor of a channel.
    #[inline(always)]
    pub(super) fn scale(&self, channel: usize) -> T {
        self.scale.get(channel).copied().unwrap_or(T::ONE)
    }

    /// Writes the gradient of the convolution's result, `[out_channels, height, width]`, to `planes`.
    #[inline(always)]
    pub(super) fn expand(
        &self,
        pass: &Pass<'_, T>,
        pool: Option<&PoolWindows>,
        planes: &mut Vec<T>,
    ) {
        let area = pass.full[0] * pass.full[1];
        let pooled = pass.output[0] * pass.output[1];
        planes.clear();
        planes.resize(pass.block.convolution.group_outputs() * area, T::ZERO);
        for (channel, plane) in planes.chunks_exact_mut(area).enumerate() {
            let scale = self.scale(channel);
            let gradient = &self.gradient[channel * pooled..][..pooled];
            if let Some(pool) = pool {
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
