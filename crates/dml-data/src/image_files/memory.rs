//! How much memory an image takes while it becomes one of the size that is asked for.

use image::ColorType;

use super::jpeg::Structure;
use super::{ImageFilesConfig, Resize};
use crate::PixelBox;

/// What is known of an image before its pixels are decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Bytes of the file.
    pub(super) file: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) color: ColorType,
    /// Structure of a JPEG file, for JPEG files only.
    pub(super) jpeg: Option<Structure>,
    /// Whether a side turn follows.
    pub(super) is_turned: bool,
    /// The part of the upright image that is read.
    pub(super) part: Option<PixelBox>,
}

/// Most bytes that are held at once while the image is decoded, converted, turned and resized, without those of the
/// result.
///
/// ```text
/// file + max(decoder + decoded, decoded + converted, 2 · converted, converted + box, box + part,
///            part + first axis resized + max(resized, some rows) + weights)
/// ```
pub(super) fn peak(header: &Header, config: &ImageFilesConfig) -> u64 {
    let pixels = header.width.saturating_mul(header.height);
    let of = |bytes: u64| pixels.saturating_mul(bytes);
    let decoded = of(u64::from(header.color.bytes_per_pixel()));
    // What decoders hold beside the pixels: coefficients of 16 bits, or a second frame.
    let decoder = match header.jpeg {
        Some(jpeg) if jpeg.is_separate => of(5 * u64::from(jpeg.components)),
        Some(jpeg) if jpeg.is_progressive => of(2 * u64::from(jpeg.components)),
        Some(_) => 0,
        None => decoded,
    };
    let channels = working_channels(header.color, config.channels);
    let mut converted = of(channels);
    let is_converted = !matches!(
        (header.color, channels),
        (ColorType::L8, 1) | (ColorType::Rgb8, 3)
    );
    let (mut width, mut height) = (header.width, header.height);
    if header.is_turned {
        (width, height) = (height, width);
    }
    let [new_height, new_width] = config.size.map(|side| side as u64);
    let mut stages = vec![decoder.saturating_add(decoded)];
    if is_converted {
        stages.push(decoded.saturating_add(converted));
    }
    if header.is_turned {
        stages.push(converted.saturating_mul(2));
    }
    // A side that doesn't fit into 32 bits is refused by the decoder.
    let sides = (u32::try_from(width), u32::try_from(height));
    if let (Some(part), (Ok(columns), Ok(rows))) = (header.part, sides)
        && let Some(part) = part.within(columns, rows)
    {
        (width, height) = (part.width.into(), part.height.into());
        let bytes = width.saturating_mul(height).saturating_mul(channels);
        stages.push(converted.saturating_add(bytes));
        converted = bytes;
    }
    if config.resize == Resize::CenterCrop {
        let part = super::decoding::within((new_height, new_width), (height, width));
        let bytes = part.0.saturating_mul(part.1).saturating_mul(channels);
        stages.push(converted.saturating_add(bytes));
        (height, width) = part;
    }
    // Height and width that the resizing gives.
    let (rows, columns) = match config.resize {
        Resize::Pad => super::decoding::within((height, width), (new_height, new_width)),
        Resize::ShortestSide(side) => {
            super::decoding::with_shortest_side((height, width), side as u64)
        }
        Resize::Stretch | Resize::CenterCrop => (new_height, new_width),
    };
    if (rows, columns) != (height, width) {
        // One axis comes first. For columns, some rows are held in 16 bits.
        let first = match crate::resampling::axes([height, width], [rows, columns]) {
            [0, _] => rows.saturating_mul(width),
            _ => height.saturating_mul(columns),
        };
        let narrow = first.saturating_mul(channels);
        let result = rows.saturating_mul(columns).saturating_mul(channels);
        let block = width.saturating_mul(crate::resampling::BYTES_OF_ROWS * channels);
        let weights = [(width, columns), (height, rows)]
            .map(|(old, new)| crate::resampling::bytes_of_weights(config.interpolation, old, new));
        let parts = [narrow, result.max(block), weights[0], weights[1]];
        stages.push(parts.into_iter().fold(converted, u64::saturating_add));
    }
    let most = stages.into_iter().max().unwrap_or(u64::MAX);
    most.saturating_add(header.file)
}

/// Channels of the image that is resized. A grey image stays grey until the end, even if three channels are asked for.
pub(super) fn working_channels(color: ColorType, asked: usize) -> u64 {
    if asked == 1 || !color.has_color() {
        1
    } else {
        3
    }
}
