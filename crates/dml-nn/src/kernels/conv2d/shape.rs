//! The sizes of a convolution and of a pooling, and what comes out of them.

/// The parameters of a two-dimensional convolution; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Convolution {
    /// Channels of the input.
    pub(crate) in_channels: usize,
    /// Channels of the output.
    pub(crate) out_channels: usize,
    /// Size of the window.
    pub(crate) kernel: [usize; 2],
    /// Distance of neighbouring windows.
    pub(crate) stride: [usize; 2],
    /// Zeros put around the input.
    pub(crate) padding: [usize; 2],
    /// Distance of neighbouring pixels of a window.
    pub(crate) dilation: [usize; 2],
    /// Into how many parts the channels fall that are convolved apart.
    pub(crate) groups: usize,
}

impl Convolution {
    /// Height and width of the output, or `None` if the window is empty, does not move, or is larger than the padded input.
    #[must_use]
    pub(crate) fn output(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let size = |axis: usize| {
            let (kernel, dilation) = (self.kernel[axis], self.dilation[axis]);
            let room = room(image[axis], self.padding[axis], kernel, dilation)?;
            Some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([size(0)?, size(1)?])
    }

    /// Channels of the input that one group reads.
    #[must_use]
    pub(crate) fn group_inputs(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Channels of the output that one group makes.
    #[must_use]
    pub(crate) fn group_outputs(&self) -> usize {
        self.out_channels / self.groups
    }

    /// How many weights make one output channel: `in_channels / groups · kernel height · kernel width`.
    #[must_use]
    pub(crate) fn window(&self) -> usize {
        self.group_inputs() * self.kernel[0] * self.kernel[1]
    }
}

/// How far a window of `kernel` pixels, `dilation` apart, can be moved along `size` pixels with `padding` at both ends;
/// `None` if it does not fit, or is empty.
fn room(size: usize, padding: usize, kernel: usize, dilation: usize) -> Option<usize> {
    let reach = dilation
        .checked_mul(kernel.checked_sub(1)?)?
        .checked_add(1)?;
    let padded = size.checked_add(padding.checked_mul(2)?)?;
    padded.checked_sub(reach)
}

/// The parameters of a two-dimensional pooling; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pooling {
    /// Size of the window.
    pub(crate) kernel: [usize; 2],
    /// Distance of neighbouring windows.
    pub(crate) stride: [usize; 2],
    /// How far windows reach over the edge; what lies outside is never the maximum.
    pub(crate) padding: [usize; 2],
    /// Distance of neighbouring pixels of a window.
    pub(crate) dilation: [usize; 2],
    /// Whether a window that reaches over the far edge counts, as long as it begins inside.
    pub(crate) ceil_mode: bool,
}

impl Pooling {
    /// The convolution of so many planes, each a group of its own, that has the same windows.
    pub(crate) fn of_planes(&self, planes: usize) -> Convolution {
        Convolution {
            in_channels: planes,
            out_channels: planes,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: planes,
        }
    }

    /// Height and width of the output, or `None` if the window is empty, does not move, or is larger than the padded input.
    #[must_use]
    pub(crate) fn output(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let size = |axis: usize| {
            let (padding, stride) = (self.padding[axis], self.stride[axis]);
            let room = room(image[axis], padding, self.kernel[axis], self.dilation[axis])?;
            if !self.ceil_mode {
                return Some(room.checked_div(stride)? + 1);
            }
            if stride == 0 {
                return None;
            }
            let windows = room.div_ceil(stride) + 1;
            // The last window has to begin inside the input or the padding before it.
            Some(if (windows - 1) * stride >= image[axis] + padding {
                windows - 1
            } else {
                windows
            })
        };
        Some([size(0)?, size(1)?])
    }

    /// The pixels of every window that lie inside the image: for each window in row-major order, pairs of the place
    /// in the window and the pixel.
    pub(crate) fn windows(&self, image: [usize; 2]) -> Vec<Vec<(u8, u32)>> {
        let [height, width] = self.output(image).unwrap_or([0, 0]);
        let inside = |axis: usize, window: usize, place: usize| {
            (window * self.stride[axis] + place * self.dilation[axis])
                .checked_sub(self.padding[axis])
                .filter(|at| *at < image[axis])
        };
        let mut windows = Vec::with_capacity(height * width);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut pixels = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
            for i in 0..self.kernel[0] {
                for j in 0..self.kernel[1] {
                    if let (Some(row), Some(column)) = (inside(0, y, i), inside(1, x, j)) {
                        let place = (i * self.kernel[1] + j) as u8;
                        pixels.push((place, (row * image[1] + column) as u32));
                    }
                }
            }
            windows.push(pixels);
        }
        windows
    }
}
