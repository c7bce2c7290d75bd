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
mod planes;
mod pool;
mod shape;
mod sparse;
mod stage;
mod weight_gradient;
mod windows;
mod winograd;

pub use backward::{FilterGradient, Gradients, backward};
pub use forward::{Forward, Kept, forward};
pub use shape::{Convolution, Pooling};

/// A convolution and what is done before and after it while an image is in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// A convolution and ReLU that come first. Their result is not stored but computed again in the backward pass, and
    /// the input gets no gradient: this is for the first layer of a network, whose windows hold few inputs. Both
    /// convolutions have one group then.
    pub first: Option<Convolution>,
    /// The convolution.
    pub convolution: Convolution,
    /// Whether negative values become 0; the gradient at 0 is 0.
    pub relu: bool,
    /// The pooling that follows, with at most 255 places in a window.
    pub pooling: Option<Pooling>,
}

impl Block {
    /// Height and width of the result, or `None` if a window is larger than its padded input.
    #[must_use]
    pub fn output(&self, image: [usize; 2]) -> Option<[usize; 2]> {
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

/// The parameters of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a, T> {
    /// `[out_channels, in_channels / groups, kernel height, kernel width]`.
    pub weight: &'a [T],
    /// `[out_channels]`, or empty for none.
    pub bias: &'a [T],
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
pub struct Operands<'a, T> {
    /// Height and width of the input.
    pub image: [usize; 2],
    /// `[batch, in_channels, height, width]`.
    pub input: &'a [T],
    /// Of [`Block::first`], and there if that is.
    pub first: Option<Filter<'a, T>>,
    /// Of [`Block::convolution`].
    pub filter: Filter<'a, T>,
    /// A factor for each channel of each result, `[batch, out_channels]`, or empty for none.
    pub scale: &'a [T],
}

#[cfg(test)]
mod tests;
