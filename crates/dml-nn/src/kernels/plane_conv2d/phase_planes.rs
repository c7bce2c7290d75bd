//! Planes with a border of zeros, their columns sorted by the phase of the stride.
//!
//! With stride s, a window reads every s-th column of a row. Here the columns ≡ 0 (mod s) of a row lie side by side, then
//! those ≡ 1, and so on: what neighbouring windows read at one place of the kernel is contiguous whatever the stride.

use dml_core::kernels::Real;

use super::columns::copy;
use crate::kernels::conv2d::Convolution;

/// Elements of the planes that are copied at once, at most, unless a single one is larger.
const PLANES: usize = 1 << 22;

/// The layout of a plane.
#[derive(Clone, Debug)]
pub(crate) struct PhasePlanes {
    conv: Convolution,
    image: [usize; 2],
    /// Rows that windows read.
    rows: usize,
    /// Columns of a phase.
    width: usize,
    /// Whether the plane of the input has this very layout.
    plain: bool,
    /// Rows and phases that some window reads.
    used_rows: Vec<bool>,
    used_phases: Vec<bool>,
}

impl PhasePlanes {
    pub(crate) fn new(conv: &Convolution, image: [usize; 2], output: [usize; 2]) -> Self {
        let extent = |axis: usize| {
            (output[axis] - 1) * conv.stride[axis]
                + (conv.kernel[axis] - 1) * conv.dilation[axis]
                + 1
        };
        let plain = conv.padding == [0, 0] && conv.stride[1] == 1;
        let rows = extent(0);
        let mut used_rows = vec![false; rows];
        for a in 0..conv.kernel[0] {
            for y in 0..output[0] {
                used_rows[y * conv.stride[0] + a * conv.dilation[0]] = true;
            }
        }
        let mut used_phases = vec![false; conv.stride[1]];
        for b in 0..conv.kernel[1] {
            used_phases[b * conv.dilation[1] % conv.stride[1]] = true;
        }
        Self {
            conv: *conv,
            image,
            rows: if plain { image[0] } else { rows },
            width: if plain {
                image[1]
            } else {
                extent(1).div_ceil(conv.stride[1])
            },
            plain,
            used_rows,
            used_phases,
        }
    }

    /// Whether windows can be read from the planes of the input in place.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Elements from one row to the next.
    pub(crate) fn pitch(&self) -> usize {
        self.width * self.conv.stride[1]
    }

    /// Elements of a plane.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.pitch()
    }

    /// Most planes whose copies are held at once: few where a border makes them large.
    pub(crate) fn affordable(&self) -> usize {
        (PLANES / self.len().max(1)).max(1)
    }

    /// Elements from the first pixel of a window to its pixel at a place of the kernel.
    pub(crate) fn place(&self, a: usize, b: usize) -> usize {
        let column = b * self.conv.dilation[1];
        let stride = self.conv.stride[1];
        a * self.conv.dilation[0] * self.pitch() + column % stride * self.width + column / stride
    }

    /// The first pixel of a window.
    pub(crate) fn window(&self, y: usize, x: usize) -> usize {
        y * self.conv.stride[0] * self.pitch() + x
    }

    /// Rows of the image that windows read: the row here and the row of the image.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let [top, height] = [self.conv.padding[0], self.image[0]];
        (top..self.rows.min(top + height))
            .filter(|row| self.used_rows.get(*row).is_some_and(|used| *used))
            .map(move |row| (row, row - top))
    }

    /// Phases that windows read: where the phase begins in its row, the first column of the image, and the number of columns.
    fn phases(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let [stride, left] = [self.conv.stride[1], self.conv.padding[1]];
        let end = left + self.image[1];
        (0..stride)
            .filter(|phase| self.used_phases[*phase])
            .filter_map(move |phase| {
                let first = left.saturating_sub(phase).div_ceil(stride);
                let last = end.saturating_sub(phase).div_ceil(stride).min(self.width);
                let count = last.checked_sub(first).filter(|count| *count > 0)?;
                Some((
                    phase * self.width + first,
                    first * stride + phase - left,
                    count,
                ))
            })
    }

    /// Writes a plane of the image; the border and what no window reads stay as they are.
    #[inline(always)]
    pub(crate) fn fill<T: Real>(&self, plane: &[T], out: &mut [T]) {
        let stride = self.conv.stride[1];
        for (begin, column, count) in self.phases() {
            for (row, y) in self.rows() {
                let line = &plane[y * self.image[1]..][..self.image[1]][column..];
                let out = &mut out[row * self.pitch() + begin..][..count];
                match stride {
                    1 => copy(line, out),
                    2 => {
                        let (pairs, rest) = line.as_chunks::<2>();
                        for (out, pair) in out.iter_mut().zip(pairs) {
                            *out = pair[0];
                        }
                        if count > pairs.len() {
                            out[count - 1] = rest[0];
                        }
                    }
                    _ => {
                        for (out, value) in out.iter_mut().zip(line.iter().step_by(stride)) {
                            *out = *value;
                        }
                    }
                }
            }
        }
    }

    /// The reverse of [`fill`](Self::fill): writes what windows read to the plane of the image; its other pixels stay.
    #[inline(always)]
    pub(crate) fn restore<T: Real>(&self, padded: &[T], plane: &mut [T]) {
        let stride = self.conv.stride[1];
        for (begin, column, count) in self.phases() {
            for (row, y) in self.rows() {
                let line = &mut plane[y * self.image[1]..][..self.image[1]][column..];
                let values = &padded[row * self.pitch() + begin..][..count];
                if stride == 1 {
                    copy(values, &mut line[..count]);
                } else {
                    for (out, value) in line.iter_mut().step_by(stride).zip(values) {
                        *out = *value;
                    }
                }
            }
        }
    }
}
