//! Launches of the CUDA kernels of convolution and pooling: windows of images as columns, and the maximum of each window.

use dml_core::kernels::cuda::{Buffer, Extent, Launch, Number, Source, blocks_of};

use super::conv2d::Convolution;

/// `image_windows.cu`.
pub(crate) const SOURCE: Source = Source {
    name: "image_windows",
    text: include_str!("image_windows.cu"),
    kernels: &[
        "columns",
        "columns_backward",
        "max_pool",
        "max_pool_backward",
    ],
};

/// Windows that slide over planes; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// How many planes there are.
    planes: usize,
    /// Size of a plane.
    image: [usize; 2],
    /// How many windows there are.
    output: [usize; 2],
    conv: Convolution,
}

impl Windows {
    /// The windows of a convolution over the planes of images `[N, C, H, W]`, `output` of them down and across.
    pub(crate) fn new(conv: &Convolution, image: [usize; 4], output: [usize; 2]) -> Self {
        let [batch, channels, height, width] = image;
        Self {
            planes: batch * channels,
            image: [height, width],
            output,
            conv: *conv,
        }
    }

    fn pixels(&self) -> usize {
        self.planes * self.image[0] * self.image[1]
    }

    fn windows(&self) -> usize {
        self.planes * self.output[0] * self.output[1]
    }

    fn entries(&self) -> usize {
        self.windows() * self.conv.kernel[0] * self.conv.kernel[1]
    }

    /// One thread for each of `count` numbers.
    fn launch(&self, kernel: &'static str, inputs: Vec<Extent>, outputs: Vec<Extent>) -> Launch {
        let count = outputs[0].len;
        let c = &self.conv;
        let pairs = [
            self.image,
            self.output,
            c.kernel,
            c.stride,
            c.padding,
            c.dilation,
        ];
        let sizes = pairs.into_iter().flatten().map(Number::size);
        Launch {
            source: &SOURCE,
            kernel,
            blocks: blocks_of(count),
            inputs,
            outputs,
            numbers: [Number::size(count)].into_iter().chain(sizes).collect(),
        }
    }

    /// `x` `[planes, height, width]` → columns `[planes, kernel height, kernel width, windows down, windows across]`.
    #[must_use]
    pub(crate) fn columns(&self) -> Launch {
        let (x, out) = (Extent::real(self.pixels()), Extent::real(self.entries()));
        self.launch("columns", vec![x], vec![out])
    }

    /// The gradient of the columns → the gradient of `x`.
    #[must_use]
    pub(crate) fn columns_backward(&self) -> Launch {
        let (gradient, out) = (Extent::real(self.entries()), Extent::real(self.pixels()));
        self.launch("columns_backward", vec![gradient], vec![out])
    }

    /// `x` → the largest value of each window `[planes, windows down, windows across]`, and which pixel of its plane it is.
    #[must_use]
    pub(crate) fn max_pool(&self) -> Launch {
        let places = Extent::new(Buffer::U32, self.windows());
        let values = Extent::real(self.windows());
        self.launch(
            "max_pool",
            vec![Extent::real(self.pixels())],
            vec![values, places],
        )
    }

    /// The pixels of [`max_pool`](Self::max_pool) and the gradient of its values → the gradient of `x`.
    #[must_use]
    pub(crate) fn max_pool_backward(&self) -> Launch {
        let pixels = Extent::new(Buffer::U32, self.windows());
        let gradient = Extent::real(self.windows());
        let out = Extent::real(self.pixels());
        self.launch("max_pool_backward", vec![pixels, gradient], vec![out])
    }
}
