//! A channels-last image in memory, with a border of zeros.

/// The places of pixels in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelGrid {
    /// Numbers of a pixel.
    pub(super) channels: usize,
    /// Pixels from one row to the next.
    pub(super) row: usize,
    /// Where pixel (0, 0) begins.
    pub(super) origin: usize,
    /// Elements in all, borders included.
    pub(super) len: usize,
}

impl PixelGrid {
    /// An image with a border of zeros.
    pub(super) fn padded(image: [usize; 2], border: [usize; 2], channels: usize) -> Self {
        Self::with_room(image, border, channels, [0, 0])
    }

    /// As [`padded`](PixelGrid::padded), with more zeros on the far side if less than `room` rows and columns result.
    pub(super) fn with_room(
        image: [usize; 2],
        border: [usize; 2],
        channels: usize,
        room: [usize; 2],
    ) -> Self {
        let row = (image[1] + 2 * border[1]).max(room[1]);
        Self {
            channels,
            row,
            origin: (border[0] * row + border[1]) * channels,
            len: (image[0] + 2 * border[0]).max(room[0]) * row * channels,
        }
    }

    /// Where pixel (y, x) begins.
    pub(super) fn at(&self, y: usize, x: usize) -> usize {
        self.origin + (y * self.row + x) * self.channels
    }
}
