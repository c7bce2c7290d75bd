//! From a file to a picture of the size that is asked for.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{ImageFilesConfig, Resize};
use crate::{DataError, Image, Result};

/// Bytes of a decoded image that are held in memory at most: 178 megapixels in colour.
const LIMIT: u64 = 1 << 29;

/// Reads, turns, converts and resizes.
pub(super) fn read(path: &Path, config: &ImageFilesConfig) -> Result<Image> {
    let image = decode(path)?;
    let image = match config.channels {
        1 => DynamicImage::ImageLuma8(image.into_luma8()),
        _ => DynamicImage::ImageRgb8(image.into_rgb8()),
    };
    let image = resize(image, config.size, config.resize);
    let [height, width] = config.size;
    let (channels, bytes) = (config.channels, image.into_bytes());
    let shape = [channels, height, width];
    Ok(Image::from_fn(shape, |channel, y, x| {
        f32::from(bytes[(y * width + x) * channels + channel]) / 255.0
    }))
}

fn decode(path: &Path) -> Result<DynamicImage> {
    let undecodable = |reason: String| DataError::Image {
        file: path.to_path_buf(),
        reason,
    };
    let reader = ImageReader::open(path).map_err(DataError::io("read", path))?;
    let reader = reader
        .with_guessed_format()
        .map_err(DataError::io("read", path))?;
    let fault = |error: image::ImageError| undecodable(error.to_string());
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let bytes = decoder.total_bytes();
    if bytes > LIMIT {
        return Err(undecodable(format!(
            "{bytes} bytes once decoded, more than {LIMIT}"
        )));
    }
    // A tag that makes no sense is as good as none.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    if image.width() == 0 || image.height() == 0 {
        return Err(undecodable("no pixels".to_owned()));
    }
    Ok(image)
}

/// The image with `[height, width]`.
fn resize(image: DynamicImage, size: [usize; 2], mode: Resize) -> DynamicImage {
    let [height, width] = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let own = (u64::from(image.height()), u64::from(image.width()));
    if own == (u64::from(height), u64::from(width)) {
        return image;
    }
    // Sides of the largest rectangle of proportions `a` within `b`.
    let within = |a: (u64, u64), b: (u64, u64)| {
        if b.0 * a.1 <= b.1 * a.0 {
            (b.0, (b.0 * a.1 / a.0).max(1))
        } else {
            ((b.1 * a.0 / a.1).max(1), b.1)
        }
    };
    let wanted = (u64::from(height), u64::from(width));
    match mode {
        Resize::Stretch => image.resize_exact(width, height, FilterType::Triangle),
        Resize::CenterCrop => {
            let part = within(wanted, own);
            let corner = ((own.0 - part.0) / 2, (own.1 - part.1) / 2);
            let [y, x, rows, columns] = [corner.0, corner.1, part.0, part.1].map(|n| n as u32);
            image
                .crop_imm(x, y, columns, rows)
                .resize_exact(width, height, FilterType::Triangle)
        }
        Resize::Pad => {
            let (rows, columns) = within(own, wanted);
            let small = image.resize_exact(columns as u32, rows as u32, FilterType::Triangle);
            let mut canvas = DynamicImage::new(width, height, image.color());
            let corner = ((wanted.0 - rows) / 2, (wanted.1 - columns) / 2);
            image::imageops::replace(&mut canvas, &small, corner.1 as i64, corner.0 as i64);
            canvas
        }
    }
}
