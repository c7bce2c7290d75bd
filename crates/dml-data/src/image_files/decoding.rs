//! From the bytes of a file to an image of the size that is asked for.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::format::{FORMATS, SNIFFED, sniff};
use super::layout::Layout;
use super::memory::{Header, peak, working_channels};
use super::{ImageFilesConfig, exif, jpeg};
use crate::error::shortened;
use crate::file_kind::regular_len;
use crate::{Contents, DataError, Image, PixelBox, Result};

/// Reads a file, decodes, turns, converts, cuts `part` out and resizes.
pub(super) fn read(
    path: &Path,
    part: Option<PixelBox>,
    config: &ImageFilesConfig,
) -> Result<Image> {
    decode(path, &read_bytes(path, config.memory_limit)?, part, config)
}

/// The same for an image that isn't a file of its own.
pub(super) fn read_contents(
    name: &Path,
    contents: &Contents,
    part: Option<PixelBox>,
    config: &ImageFilesConfig,
) -> Result<Image> {
    match contents {
        Contents::Bytes(bytes) => decode(name, bytes, part, config),
        Contents::Part(own) => decode(name, &own.read(config.memory_limit)?, part, config),
        Contents::Pixels(own) => {
            let ([height, width], (channels, bytes)) = (own.size(), own.interleaved());
            let (width, height) = (width as u32, height as u32);
            let image = if channels == 1 {
                image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8)
            } else {
                RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
            };
            let image = image.ok_or_else(|| undecodable(name, "sides of too many pixels"))?;
            let header = Header {
                file: 0,
                width: width.into(),
                height: height.into(),
                color: image.color(),
                jpeg: None,
                is_turned: false,
                part,
            };
            check_memory(name, &header, config)?;
            finish(name, image, Orientation::NoTransforms, part, config)
        }
    }
}

/// The bytes of a regular file.
fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let length = regular_len(path)?;
    if length > limit {
        return Err(too_large(path, length, limit));
    }
    let file = File::open(path).map_err(DataError::io("read", path))?;
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(DataError::io("read", path))?;
    Ok(bytes)
}

/// Decodes, turns, converts, cuts and resizes the bytes of a file; `name` is for errors.
pub(super) fn decode(
    name: &Path,
    bytes: &[u8],
    part: Option<PixelBox>,
    config: &ImageFilesConfig,
) -> Result<Image> {
    let (image, orientation) = decode_pixels(name, bytes, part, config)?;
    finish(name, image, orientation, part, config)
}

/// Turns, converts, cuts and resizes a decoded image.
fn finish(
    name: &Path,
    image: DynamicImage,
    orientation: Orientation,
    part: Option<PixelBox>,
    config: &ImageFilesConfig,
) -> Result<Image> {
    let mut image = match working_channels(image.color(), config.channels) {
        1 => DynamicImage::ImageLuma8(image.into_luma8()),
        _ => DynamicImage::ImageRgb8(image.into_rgb8()),
    };
    image.apply_orientation(orientation);
    if let Some(part) = part {
        let size = (image.width(), image.height());
        let part = part
            .within(size.0, size.1)
            .ok_or_else(|| outside(name, part, size))?;
        image = image.crop_imm(part.left, part.top, part.width, part.height);
    }
    let stored = usize::from(image.color().channel_count());
    let size = [image.height() as usize, image.width() as usize];
    let [height, width] = match config.resize.is_kept() {
        true => size,
        false => config.size,
    };
    let pixels = image.into_bytes();
    let pixels = Layout::new(config, size).apply(pixels, stored);
    Ok(Image::from_bytes([config.channels, height, width], pixels))
}

fn undecodable(name: &Path, reason: impl Into<String>) -> DataError {
    DataError::Image {
        file: name.to_path_buf(),
        reason: reason.into(),
    }
}

fn outside(name: &Path, part: PixelBox, (width, height): (u32, u32)) -> DataError {
    let corner = format!("column {}, row {}", part.left, part.top);
    let reason =
        format!("its box begins at {corner}, outside of the image of {width} x {height} pixels");
    undecodable(name, reason)
}

fn too_large(name: &Path, bytes: u64, limit: u64) -> DataError {
    let reason = format!("it takes {bytes} bytes of memory, more than the memory limit of {limit}");
    undecodable(name, reason)
}

fn check_memory(name: &Path, header: &Header, config: &ImageFilesConfig) -> Result<()> {
    let memory = peak(header, config);
    match memory > config.memory_limit {
        true => Err(too_large(name, memory, config.memory_limit)),
        false => Ok(()),
    }
}

/// The image as it is in the file, and how it is to be turned.
fn decode_pixels(
    name: &Path,
    bytes: &[u8],
    part: Option<PixelBox>,
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
        part,
    };
    check_memory(name, &header, config)?;
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
