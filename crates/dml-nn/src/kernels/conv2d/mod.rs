//! Two-dimensional convolution, forward and backward, alone or with what usually follows it.
//!
//! ```text
//! y[n,o,i,j] = bias[o] + Σ_(c,a,b) weight[o,c,a,b] · x[n, c, i·stride + a·dilation − padding, …]
//! ```
//!
//! Tensors are planes, `[batch, channels, height, width]`; inside, one image at a time is turned to channels-last
//! pixels in scratch memory that stays in the second-level cache. There the window of an output pixel is a few
//! contiguous pieces, so a convolution is a matrix product whose left side is read in place: no matrix of columns is
//! ever written. A [`Block`] goes on with the image while it is in the cache: ReLU, max pooling, a factor per
//! channel (dropout); only the result and one byte per pooled value leave it. The backward pass expands gradients the
//! same way, one image at a time, and through a max pooling it skips the zeros altogether.
//!
//! Gradients of weights are summed over fixed runs of images and the runs in order, so results don't depend on who
//! was faster.

mod backward;
mod forward;
mod multiply;
mod panels;
mod pixel_grid;
mod planes;
mod pool;
mod shape;
mod sparse;
mod stage;
mod weight_gradient;
mod windows;
mod winograd;

use dml_core::kernels::lengths;

pub(crate) use backward::{FilterGradient, backward};
pub(crate) use forward::{Forward, Kept, forward};
pub(crate) use pool::better;
pub(crate) use shape::{Convolution, Pooling};

/// A convolution and what is done before and after it while an image is in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// A convolution and ReLU that come first. Their result is not stored but computed again in the backward pass, and
    /// the input gets no gradient: this is for the first layer of a network, whose windows hold few inputs. Both
    /// convolutions have one group then.
    pub(crate) first: Option<Convolution>,
    /// The convolution.
    pub(crate) convolution: Convolution,
    /// Whether negative values become 0; the gradient at 0 is 0.
    pub(crate) relu: bool,
    /// The pooling that follows, with at most 255 places in a window.
    pub(crate) pooling: Option<Pooling>,
}

impl Block {
    /// Height and width of the result, or `None` if a window is larger than its padded input.
    #[must_use]
    pub(crate) fn output(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let (_, full) = self.sizes(image)?;
        match &self.pooling {
            None => Some(full),
            Some(pooling) => pooling.output(full),
        }
    }

    /// Height and width of what the convolution reads, and of what it gives.
    fn sizes(&self, image: [usize; 2]) -> Option<([usize; 2], [usize; 2])> {
        let inner = match &self.first {
            None => image,
            Some(first) => first.output(image)?,
        };
        Some((inner, self.convolution.output(inner)?))
    }
}

impl Block {
    /// The number of images of `operands`.
    ///
    /// # Panics
    /// Unless the sizes fit each other.
    fn check<T: Copy>(&self, operands: &Operands<'_, T>) -> usize {
        let conv = &self.convolution;
        conv.check(&operands.filter);
        match (&self.first, &operands.first) {
            (None, None) => {}
            (Some(first), Some(filter)) => {
                first.check(filter);
                lengths::length("groups", conv.groups.max(first.groups), 1);
                lengths::length("first.out_channels", first.out_channels, conv.in_channels);
            }
            _ => panic!("first: expected a filter exactly where there is a first convolution"),
        }
        if let Some(pooling) = &self.pooling {
            let places = lengths::area("pooling", pooling.kernel[0], pooling.kernel[1]);
            assert!(
                places <= 255,
                "pooling: expected at most 255 places in a window, got {places}"
            );
        }
        let channels = self.first.as_ref().unwrap_or(conv).in_channels;
        let area = lengths::area("image", operands.image[0], operands.image[1]);
        let area = lengths::area("image", channels, area);
        let images = lengths::rows("input", operands.input.len(), area);
        if !operands.scale.is_empty() {
            let outputs = lengths::area("scale", images, conv.out_channels);
            lengths::length("scale", operands.scale.len(), outputs);
        }
        images
    }

    /// How many numbers the result for some images has; 0 where windows are larger than their padded input.
    fn output_len(&self, image: [usize; 2], images: usize) -> usize {
        let [height, width] = self.output(image).unwrap_or([0, 0]);
        let area = lengths::area("output", height, width);
        let area = lengths::area("output", self.convolution.out_channels, area);
        lengths::area("output", images, area)
    }
}

impl Convolution {
    /// # Panics
    /// Unless channels fall into the groups and the filter has the sizes of this convolution.
    fn check<T>(&self, filter: &Filter<'_, T>) {
        assert!(self.groups > 0, "groups: expected at least 1, got 0");
        lengths::rows("in_channels", self.in_channels, self.groups);
        lengths::rows("out_channels", self.out_channels, self.groups);
        let area = lengths::area("kernel", self.kernel[0], self.kernel[1]);
        let window = lengths::area("kernel", self.group_inputs(), area);
        let weights = lengths::area("weight", self.out_channels, window);
        lengths::length("weight", filter.weight.len(), weights);
        if !filter.bias.is_empty() {
            lengths::length("bias", filter.bias.len(), self.out_channels);
        }
    }
}

/// The parameters of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a, T> {
    /// `[out_channels, in_channels / groups, kernel height, kernel width]`.
    pub(crate) weight: &'a [T],
    /// `[out_channels]`, or empty for none.
    pub(crate) bias: &'a [T],
}

impl<T: Copy> Filter<'_, T> {
    /// The weight of an output and an input channel of a group, at a place of the window.
    #[inline(always)]
    fn at(&self, conv: &Convolution, group: usize, output: usize, input: usize, place: usize) -> T {
        let area = conv.kernel[0] * conv.kernel[1];
        let row = (group * conv.group_outputs() + output) * conv.group_inputs() + input;
        self.weight[row * area + place]
    }
}

/// What a block works on: planes in row-major order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands<'a, T> {
    /// Height and width of the input.
    pub(crate) image: [usize; 2],
    /// `[batch, in_channels, height, width]`.
    pub(crate) input: &'a [T],
    /// Of [`Block::first`], and there if that is.
    pub(crate) first: Option<Filter<'a, T>>,
    /// Of [`Block::convolution`].
    pub(crate) filter: Filter<'a, T>,
    /// A factor for each channel of each result, `[batch, out_channels]`, or empty for none.
    pub(crate) scale: &'a [T],
}

#[cfg(test)]
mod tests;
