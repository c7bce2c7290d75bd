//! From the bytes of a file to an image of the size that is asked for.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use dml_core::Interpolation;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::format::{FORMATS, SNIFFED, sniff};
use super::memory::{Header, peak, working_channels};
use super::{ImageFilesConfig, Resize, exif, jpeg};
use crate::error::shortened;
use crate::{Contents, DataError, Image, PixelBox, Result, resampling};

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
        let corner = (u64::from(part.top), u64::from(part.left));
        image = cropped(image, corner, (part.height.into(), part.width.into()));
    }
    let image = resize(image, config);
    let [height, width] = config.size;
    let own = usize::from(image.color().channel_count());
    let bytes = image.into_bytes();
    let mut values = Vec::with_capacity(config.channels * height * width);
    for channel in 0..config.channels {
        // A grey image has one channel whatever is asked for.
        let plane = bytes[channel.min(own - 1)..].iter().step_by(own);
        values.extend(plane.map(|&value| f32::from(value) / 255.0));
    }
    Ok(Image::from_values([config.channels, height, width], values))
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

/// Sides of the largest rectangle of proportions `a` within `b`.
pub(super) fn within(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    if b.0 * a.1 <= b.1 * a.0 {
        (b.0, (b.0 * a.1 / a.0).max(1))
    } else {
        ((b.1 * a.0 / a.1).max(1), b.1)
    }
}

/// Height and width before the middle is cut out: `side` for the shortest side, the longer one in proportion, rounded
/// down as in torchvision.
pub(super) fn with_shortest_side(own: (u64, u64), side: u64) -> (u64, u64) {
    if own.0 < own.1 {
        (side, side * own.1 / own.0)
    } else {
        (side * own.0 / own.1, side)
    }
}

/// Half of the pixels beyond the middle, rounded to the even number as in torchvision.
fn half_even(beyond: u64) -> u64 {
    let half = beyond / 2;
    half + (beyond % 2) * (half % 2)
}

/// The image with `[height, width]`.
fn resize(image: DynamicImage, config: &ImageFilesConfig) -> DynamicImage {
    let [height, width] = config.size.map(|side| side as u64);
    let wanted = (height, width);
    let own = (u64::from(image.height()), u64::from(image.width()));
    let to = |image: DynamicImage, size| resampled(image, size, config.interpolation);
    match config.resize {
        Resize::Stretch => to(image, wanted),
        Resize::CenterCrop => {
            let part = within(wanted, own);
            let corner = ((own.0 - part.0) / 2, (own.1 - part.1) / 2);
            to(cropped(image, corner, part), wanted)
        }
        Resize::Pad => {
            let (rows, columns) = within(own, wanted);
            let mut canvas = DynamicImage::new(width as u32, height as u32, image.color());
            let small = to(image, (rows, columns));
            let corner = ((wanted.0 - rows) / 2, (wanted.1 - columns) / 2);
            image::imageops::replace(&mut canvas, &small, corner.1 as i64, corner.0 as i64);
            canvas
        }
        Resize::ShortestSide(side) => {
            let size = with_shortest_side(own, side as u64);
            let corner = (half_even(size.0 - wanted.0), half_even(size.1 - wanted.1));
            cropped(to(image, size), corner, wanted)
        }
    }
}

/// The part of `size` (height and width) whose upper left corner is at (row, column).
fn cropped(image: DynamicImage, corner: (u64, u64), size: (u64, u64)) -> DynamicImage {
    if corner == (0, 0) && size == (u64::from(image.height()), u64::from(image.width())) {
        return image;
    }
    let [y, x, rows, columns] = [corner.0, corner.1, size.0, size.1].map(|n| n as u32);
    image.crop_imm(x, y, columns, rows)
}

/// The image with another height and width.
fn resampled(
    image: DynamicImage,
    (height, width): (u64, u64),
    filter: Interpolation,
) -> DynamicImage {
    let old = [image.height() as usize, image.width() as usize];
    let new = [height as usize, width as usize];
    if old == new {
        return image;
    }
    let is_grey = image.color().channel_count() == 1;
    let channels = if is_grey { 1 } else { 3 };
    let bytes = resampling::bytes(image.as_bytes(), channels, old, new, filter);
    let (width, height) = (width as u32, height as u32);
    // The number of bytes is that of the size.
    let result = if is_grey {
        image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
    };
    result.unwrap_or(image)
}
