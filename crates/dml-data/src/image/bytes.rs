//! Bytes of an image, each of which stands for a value.
//!
//! ```text
//! value[c, y, x] = table[c][byte[y, x, c]]
//! ```
//!
//! A file of an image has 256 different values per channel. What is done to every value on its own, such as a
//! normalisation, is done to the table.

use std::sync::OnceLock;

/// Value of each byte.
type Table = [f32; 256];

/// Byte 255 has value 1.
const UNIT: Table = {
    let mut table = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte as f32 / 255.0;
        byte += 1;
    }
    table
};

/// Bytes with their [meaning](self).
#[derive(Clone)]
pub(super) struct Bytes {
    /// Pixel after pixel, row after row.
    bytes: Vec<u8>,
    /// Bytes of a pixel: one for each of three channels, or one for all channels.
    stored: usize,
    /// Table of each channel; none where it is [`UNIT`] for all.
    tables: Vec<Table>,
    /// Values of all pixels, once they were asked for.
    values: OnceLock<Vec<f32>>,
}

impl Bytes {
    pub(super) fn new(bytes: Vec<u8>, stored: usize) -> Self {
        Self {
            bytes,
            stored: stored.max(1),
            tables: Vec::new(),
            values: OnceLock::new(),
        }
    }

    fn table(&self, channel: usize) -> &Table {
        self.tables.get(channel).unwrap_or(&UNIT)
    }

    /// Writes the values of all channels, plane after plane.
    pub(super) fn write(&self, values: &mut [f32], channels: usize) {
        let area = self.bytes.len() / self.stored;
        if let ([3, 3], [red, green, blue]) =
            ([self.stored, channels], [0, 1, 2].map(|c| self.table(c)))
        {
            let (reds, rest) = values.split_at_mut(area);
            let (greens, blues) = rest.split_at_mut(area);
            let planes = reds.iter_mut().zip(greens).zip(blues);
            for (((r, g), b), pixel) in planes.zip(self.bytes.chunks_exact(3)) {
                *r = red[usize::from(pixel[0])];
                *g = green[usize::from(pixel[1])];
                *b = blue[usize::from(pixel[2])];
            }
            return;
        }
        for (channel, plane) in values.chunks_exact_mut(area.max(1)).enumerate() {
            let table = self.table(channel);
            let own = channel.min(self.stored - 1);
            for (value, pixel) in plane.iter_mut().zip(self.bytes.chunks_exact(self.stored)) {
                *value = table[usize::from(pixel[own])];
            }
        }
    }

    /// The values of all channels, plane after plane.
    pub(super) fn values(&self, channels: usize) -> &[f32] {
        self.values.get_or_init(|| {
            let mut values = vec![0.0; self.bytes.len() / self.stored * channels];
            self.write(&mut values, channels);
            values
        })
    }

    /// The same, without the bytes.
    pub(super) fn take_values(&mut self, channels: usize) -> Vec<f32> {
        self.values(channels);
        self.values.take().unwrap_or_default()
    }

    /// Replaces each value by `value(channel, value)`.
    pub(super) fn map(&mut self, channels: usize, value: impl Fn(usize, f32) -> f32) {
        self.tables.resize(channels, UNIT);
        for (channel, table) in self.tables.iter_mut().enumerate() {
            table.iter_mut().for_each(|x| *x = value(channel, *x));
        }
        self.values = OnceLock::new();
    }

    /// Turns left into right in rows of `width` pixels.
    pub(super) fn mirror(&mut self, width: usize) {
        for row in self.bytes.chunks_exact_mut(width * self.stored) {
            match self.stored {
                3 => row.as_chunks_mut::<3>().0.reverse(),
                _ => row.reverse(),
            }
        }
        self.values = OnceLock::new();
    }

    /// The bytes and their number per pixel, if byte 255 has value 1.
    pub(super) fn plain(&self) -> Option<(&[u8], usize)> {
        self.tables.is_empty().then_some((&self.bytes, self.stored))
    }
}
