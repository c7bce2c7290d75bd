//! Where the bytes of an image are, when it isn't a file of its own.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::file_kind::regular_len;
use crate::{DataError, Result};

/// An image that isn't a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contents {
    /// The bytes of an image file, in memory.
    Bytes(Arc<[u8]>),
    /// The bytes of an image file, as they stand in an archive.
    Part(FilePart),
    /// Pixels in memory.
    Pixels(Pixels),
}

impl Contents {
    /// Bytes in memory that this image alone takes.
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Part(_) | Self::Pixels(_) => 0,
        }
    }
}

/// A run of bytes of a file. It is read when the image is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// The file.
    pub file: Arc<Path>,
    /// Position of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl FilePart {
    /// The bytes, at most `limit` of them.
    ///
    /// # Errors
    /// [`DataError::Io`] if the file can't be read, [`DataError::FileKind`] if it isn't a regular file,
    /// [`DataError::TooLarge`] if the part is longer than `limit`, [`DataError::Truncated`] if the file ends before it.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>> {
        let path = &*self.file;
        if self.length > limit {
            return Err(DataError::TooLarge {
                file: path.to_path_buf(),
                limit,
                found: self.length,
            });
        }
        let length = regular_len(path)?;
        let end = self.offset.saturating_add(self.length);
        if end > length {
            return Err(DataError::Truncated {
                file: path.to_path_buf(),
                expected: end,
                found: length,
            });
        }
        let mut file = File::open(path).map_err(DataError::io("read", path))?;
        file.seek(SeekFrom::Start(self.offset))
            .map_err(DataError::io("read", path))?;
        let mut bytes = vec![0; self.length as usize];
        file.read_exact(&mut bytes)
            .map_err(DataError::io("read", path))?;
        Ok(bytes)
    }
}

/// One image of an array of pixels. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    array: Arc<PixelArray>,
    row: usize,
}

impl Pixels {
    /// Image `row` of an array; `None` if there is no such image.
    #[must_use]
    pub fn of(array: &Arc<PixelArray>, row: usize) -> Option<Self> {
        let array = Arc::clone(array);
        (row < array.len()).then_some(Self { array, row })
    }

    /// The array that the image is in.
    #[must_use]
    pub fn array(&self) -> &PixelArray {
        &self.array
    }

    /// Which image of the array it is.
    #[must_use]
    pub fn row(&self) -> usize {
        self.row
    }

    /// `[height, width]`.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        [self.array.height, self.array.width]
    }

    /// The bytes of the image, pixel after pixel with its channels side by side: 1 or 3 of them, alpha left out.
    #[must_use]
    pub fn interleaved(&self) -> (usize, Vec<u8>) {
        let PixelArray {
            channels,
            height,
            width,
            order,
            ..
        } = *self.array;
        let area = height * width;
        let own = &self.array.bytes[self.row * area * channels..][..area * channels];
        let kept = channels.min(3);
        let bytes = match order {
            PixelOrder::Interleaved if kept == channels => own.to_vec(),
            PixelOrder::Interleaved => own
                .chunks_exact(channels)
                .flat_map(|pixel| pixel[..kept].iter().copied())
                .collect(),
            PixelOrder::Planes => (0..area)
                .flat_map(|at| (0..kept).map(move |channel| own[channel * area + at]))
                .collect(),
        };
        (kept, bytes)
    }
}

/// Order of the bytes of an image in a [`PixelArray`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelOrder {
    /// `[height, width, channels]`: the channels of a pixel side by side.
    Interleaved,
    /// `[channels, height, width]`: one channel after the other.
    Planes,
}

/// Images of one size, one byte per pixel and channel.
#[derive(Clone, PartialEq, Eq)]
pub struct PixelArray {
    bytes: Vec<u8>,
    channels: usize,
    height: usize,
    width: usize,
    order: PixelOrder,
}

impl PixelArray {
    /// Images of shape `[channels, height, width]`, one after the other, their bytes in the given order. Channels are 1
    /// (grey), 3 (red, green, blue) or 4 (with alpha, which is left out).
    ///
    /// # Errors
    /// [`DataError::Core`] for another number of channels, [`DataError::Pixels`] if the images aren't whole or have no
    /// pixel; `source` names where they come from.
    pub fn new(
        source: impl Into<String>,
        bytes: Vec<u8>,
        [channels, height, width]: [usize; 3],
        order: PixelOrder,
    ) -> Result<Self> {
        let fits = matches!(channels, 1 | 3 | 4);
        dml_core::check::whole(fits, "channels", channels, "1, 3 or 4")?;
        let pixels = [height, width]
            .iter()
            .fold(channels, |n, &dim| n.saturating_mul(dim));
        if pixels == 0 || !bytes.len().is_multiple_of(pixels) {
            return Err(DataError::Pixels {
                source_name: source.into(),
                pixels,
                found: bytes.len(),
            });
        }
        Ok(Self {
            bytes,
            channels,
            height,
            width,
            order,
        })
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / (self.channels * self.height * self.width)
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// `[channels, height, width]` of every image.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

dml_core::debug_fields!(PixelArray, |own| { len: own.len(), shape: own.shape(), order: own.order });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_give_the_same_pixels() -> Result<()> {
        // Two images of 1 × 2 pixels: red 1, 2; green 3, 4; blue 5, 6; then the same plus 10.
        let planes = vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        let mixed = vec![1, 3, 5, 2, 4, 6, 11, 13, 15, 12, 14, 16];
        let alpha = vec![1, 3, 5, 9, 2, 4, 6, 9, 11, 13, 15, 9, 12, 14, 16, 9];
        let of = |bytes, channels, order| {
            PixelArray::new("x", bytes, [channels, 1, 2], order).map(Arc::new)
        };
        for array in [
            of(planes, 3, PixelOrder::Planes)?,
            of(mixed, 3, PixelOrder::Interleaved)?,
            of(alpha, 4, PixelOrder::Interleaved)?,
        ] {
            let image = Pixels::of(&array, 1).unwrap();
            assert_eq!(image.interleaved(), (3, vec![11, 13, 15, 12, 14, 16]));
            assert_eq!((array.len(), image.size()), (2, [1, 2]));
            assert_eq!(Pixels::of(&array, 2), None);
        }
        Ok(())
    }

    #[test]
    fn arrays_that_are_not_whole_are_refused() {
        let new = |count, shape| {
            PixelArray::new("x", vec![0; count], shape, PixelOrder::Planes).unwrap_err()
        };
        assert!(matches!(
            new(5, [1, 2, 2]),
            DataError::Pixels { pixels: 4, .. }
        ));
        assert!(matches!(new(0, [1, 0, 2]), DataError::Pixels { .. }));
        assert!(matches!(new(8, [2, 2, 2]), DataError::Core(_)));
        assert!(matches!(
            new(8, [3, usize::MAX, 2]),
            DataError::Pixels { .. }
        ));
    }

    #[test]
    fn parts_beyond_a_file_are_errors() -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole");
        std::fs::write(&path, b"0123456789").unwrap();
        let part = |offset, length| FilePart {
            file: path.as_path().into(),
            offset,
            length,
        };
        assert_eq!(part(3, 4).read(4)?, b"3456");
        assert!(matches!(
            part(3, 4).read(3),
            Err(DataError::TooLarge { .. })
        ));
        assert!(matches!(
            part(8, 4).read(9),
            Err(DataError::Truncated { .. })
        ));
        assert!(matches!(
            part(u64::MAX, 4).read(9),
            Err(DataError::Truncated { .. })
        ));
        let gone = FilePart {
            file: folder.path().into(),
            ..part(0, 1)
        };
        assert!(matches!(gone.read(1), Err(DataError::FileKind { .. })));
        Ok(())
    }
}
