//! How much memory an image takes while it becomes one of the size that is asked for.

use image::ColorType;

use super::ImageFilesConfig;
use super::jpeg::Structure;
use super::layout::Layout;
use crate::{PixelBox, resampling};

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
/// file + max(decoder + decoded, decoded + converted, 2 · converted, converted + box,
///            box + first axis resized + resized + some rows + weights)
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
    let mut size =
        [header.height, header.width].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
    if header.is_turned {
        size.reverse();
    }
    let mut stages = vec![decoder.saturating_add(decoded)];
    if is_converted {
        stages.push(decoded.saturating_add(converted));
    }
    if header.is_turned {
        stages.push(converted.saturating_mul(2));
    }
    // A side that doesn't fit into 32 bits is refused by the decoder.
    let sides = size.map(|side| u32::try_from(side).ok());
    if let (Some(part), [Some(rows), Some(columns)]) = (header.part, sides)
        && let Some(part) = part.within(columns, rows)
    {
        size = [part.height, part.width].map(|side| side as usize);
        let area = u64::from(part.height).saturating_mul(part.width.into());
        let bytes = area.saturating_mul(channels);
        stages.push(converted.saturating_add(bytes));
        converted = bytes;
    }
    let axes = Layout::new(config, size).axes();
    if axes.iter().any(|axis| axis.part.length != axis.new) {
        let [part, new, kept] = [
            axes.map(|axis| axis.part.length as u64),
            axes.map(|axis| axis.new as u64),
            axes.map(|axis| axis.kept.length as u64),
        ];
        // One axis comes first.
        let first = match resampling::axes(part, new) {
            [0, _] => kept[0].saturating_mul(part[1]),
            _ => part[0].saturating_mul(kept[1]),
        };
        let narrow = first.saturating_mul(channels);
        let result = kept[0].saturating_mul(kept[1]).saturating_mul(channels);
        let rows = part[1].saturating_add(kept[1]);
        let rows = rows.saturating_mul(resampling::BYTES_OF_ROWS * channels);
        let weights = axes.map(|axis| resampling::bytes_of_weights(config.interpolation, axis));
        let parts = [narrow, result, rows, weights[0], weights[1]];
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
