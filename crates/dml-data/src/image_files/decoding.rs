//! From the bytes of a file to an image of the size that is asked for.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::format::{FORMATS, SNIFFED, sniff};
use super::memory::{Header, peak, working_channels};
use super::{ImageFilesConfig, Resize, exif, jpeg};
use crate::error::shortened;
use crate::{DataError, Image, Result};

/// Reads a file, decodes, turns, converts and resizes.
pub(super) fn read(path: &Path, config: &ImageFilesConfig) -> Result<Image> {
    decode(path, &read_bytes(path, config.memory_limit)?, config)
}

/// The bytes of a regular file. Opening a named pipe would wait until somebody writes to it.
fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(DataError::io("read", path))?;
    if !metadata.is_file() {
        return Err(DataError::FileKind {
            file: path.to_path_buf(),
            found: crate::file_kind::name(metadata.file_type()),
        });
    }
    if metadata.len() > limit {
        return Err(too_large(path, metadata.len(), limit));
    }
    let file = File::open(path).map_err(DataError::io("read", path))?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read", path))?;
    Ok(bytes)
}

/// Decodes, turns, converts and resizes the bytes of a file; `name` is for errors.
pub(super) fn decode(name: &Path, bytes: &[u8], config: &ImageFilesConfig) -> Result<Image> {
    let (image, orientation) = decode_pixels(name, bytes, config)?;
    let mut image = match working_channels(image.color(), config.channels) {
        1 => DynamicImage::ImageLuma8(image.into_luma8()),
        _ => DynamicImage::ImageRgb8(image.into_rgb8()),
    };
    image.apply_orientation(orientation);
    let image = resize(image, config.size, config.resize);
    let [height, width] = config.size;
    let own = usize::from(image.color().channel_count());
    let bytes = image.into_bytes();
    let shape = [config.channels, height, width];
    Ok(Image::from_fn(shape, |channel, y, x| {
        // A grey image has one channel whatever is asked for.
        f32::from(bytes[(y * width + x) * own + channel.min(own - 1)]) / 255.0
    }))
}

fn undecodable(name: &Path, reason: impl Into<String>) -> DataError {
    DataError::Image {
        file: name.to_path_buf(),
        reason: reason.into(),
    }
}

fn too_large(name: &Path, bytes: u64, limit: u64) -> DataError {
    let reason = format!("it takes {bytes} bytes of memory, more than the memory limit of {limit}");
    undecodable(name, reason)
}

/// The image as it is in the file, and how it is to be turned.
fn decode_pixels(
    name: &Path,
    bytes: &[u8],
    config: &ImageFilesConfig,
) -> Result<(DynamicImage, Orientation)> {
    let fault = |error: image::ImageError| undecodable(name, shortened(&error.to_string()));
    let Some(format) = sniff(&bytes[..bytes.len().min(SNIFFED)]) else {
        return Err(undecodable(
            name,
            format!("it doesn't begin like {FORMATS}"),
        ));
    };
    let structure = (format == ImageFormat::Jpeg).then(|| jpeg::structure(bytes));
    let structure = structure
        .transpose()
        .map_err(|reason| undecodable(name, reason))?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(config.memory_limit);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    // A tag that makes no sense is as good as none.
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif
        .and_then(|exif| exif::orientation(&exif))
        .or_else(|| match format {
            // The tag stands in the directory of the image itself.
            ImageFormat::Tiff => exif::orientation(bytes),
            _ => None,
        })
        .unwrap_or(Orientation::NoTransforms);
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(undecodable(name, "no pixels"));
    }
    let header = Header {
        file: bytes.len() as u64,
        width: width.into(),
        height: height.into(),
        color: decoder.color_type(),
        jpeg: structure,
        is_turned: matches!(
            orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        ),
    };
    let memory = peak(&header, config);
    if memory > config.memory_limit {
        return Err(too_large(name, memory, config.memory_limit));
    }
    let image = if structure.is_some_and(|found| found.is_separate) {
        drop(decoder);
        separate_scans(bytes).map_err(|reason| undecodable(name, shortened(&reason)))?
    } else {
        DynamicImage::from_decoder(decoder).map_err(fault)?
    };
    Ok((image, orientation))
}

/// A JPEG file whose components come in scans of their own. `image` decodes them by zune-jpeg, which misreads the ones
/// with fewer samples.
fn separate_scans(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    use jpeg_decoder::{Decoder, PixelFormat};
    let mut decoder = Decoder::new(bytes);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("no frame")?;
    let (width, height) = (info.width.into(), info.height.into());
    let image = match info.pixel_format {
        PixelFormat::RGB24 => {
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
        }
        PixelFormat::L8 => {
            image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
        }
        other => return Err(format!("separate scans of {other:?} are not supported")),
    };
    image.ok_or_else(|| "fewer pixels than the header says".to_owned())
}

/// Sides of the largest rectangle of proportions `a` within `b`.
pub(super) fn within(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    if b.0 * a.1 <= b.1 * a.0 {
        (b.0, (b.0 * a.1 / a.0).max(1))
    } else {
        ((b.1 * a.0 / a.1).max(1), b.1)
    }
}

/// The image with `[height, width]`.
fn resize(image: DynamicImage, size: [usize; 2], mode: Resize) -> DynamicImage {
    let [height, width] = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let own = (u64::from(image.height()), u64::from(image.width()));
    if own == (u64::from(height), u64::from(width)) {
        return image;
    }
    let wanted = (u64::from(height), u64::from(width));
    match mode {
        Resize::Stretch => image.resize_exact(width, height, FilterType::Triangle),
        Resize::CenterCrop => {
            let part = within(wanted, own);
            let corner = ((own.0 - part.0) / 2, (own.1 - part.1) / 2);
            let [y, x, rows, columns] = [corner.0, corner.1, part.0, part.1].map(|n| n as u32);
            let part = image.crop_imm(x, y, columns, rows);
            drop(image);
            part.resize_exact(width, height, FilterType::Triangle)
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
