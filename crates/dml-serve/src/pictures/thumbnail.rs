//! Small pictures as JPEG, turned as their EXIF data say.

use std::io::Cursor;

use dml_core::Interpolation;
use dml_data::image_files::decode;
use dml_data::{ImageFilesConfig, Resize};
use image::metadata::Orientation;
use image::{ExtendedColorType, ImageDecoder, ImageReader};

use crate::problem::Problem;

/// Quality of the JPEG, of 100.
const QUALITY: u8 = 82;

/// The picture with its longer side of `side` pixels at most. It is decoded as inputs of a network are, with the same bound on
/// memory.
///
/// # Errors
/// Status 422 if it can't be decoded.
pub(crate) fn thumbnail(bytes: &[u8], side: u32, memory_limit: u64) -> Result<Vec<u8>, Problem> {
    let wrong = |reason: String| Problem::unusable(format!("picture: {reason}"));
    let (width, height) = turned_size(bytes).map_err(wrong)?;
    let (width, height) = within(width, height, side);
    let config = ImageFilesConfig {
        size: [height as usize, width as usize],
        resize: Resize::Stretch,
        interpolation: Interpolation::Bilinear,
        memory_limit,
        ..ImageFilesConfig::default()
    };
    let image = decode("picture", bytes, &config)
        .map_err(|error| wrong(dml_core::with_causes(&error).to_string()))?;
    let (red, rest) = image.values().split_at(image.height() * image.width());
    let (green, blue) = rest.split_at(red.len());
    let byte = |value: &f32| (value * 255.0).round().clamp(0.0, 255.0) as u8;
    let mut pixels = Vec::with_capacity(3 * red.len());
    for ((red, green), blue) in red.iter().zip(green).zip(blue) {
        pixels.extend([byte(red), byte(green), byte(blue)]);
    }
    let mut out = Cursor::new(Vec::new());
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, QUALITY);
    encoder
        .encode(&pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| Problem::internal(format!("a thumbnail can't be encoded: {error}")))?;
    Ok(out.into_inner())
}

/// Width and height after turning, from the head of the file.
fn turned_size(bytes: &[u8]) -> Result<(u32, u32), String> {
    let reader = ImageReader::new(Cursor::new(bytes));
    let reader = reader
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let is_turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    Ok(if is_turned {
        (height, width)
    } else {
        (width, height)
    })
}

/// Width and height scaled down until neither is above `side`; at least one pixel each.
fn within(width: u32, height: u32, side: u32) -> (u32, u32) {
    let longer = width.max(height).max(1);
    if longer <= side {
        return (width.max(1), height.max(1));
    }
    let scaled = |own: u32| ((u64::from(own) * u64::from(side) / u64::from(longer)) as u32).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn png(image: &RgbImage) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, image::ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[test]
    fn sides_keep_their_proportion() {
        assert_eq!(within(640, 480, 320), (320, 240));
        assert_eq!(within(480, 640, 320), (240, 320));
        assert_eq!(within(10, 20, 320), (10, 20));
        assert_eq!(within(10_000, 1, 100), (100, 1));
        assert_eq!(within(0, 0, 100), (1, 1));
    }

    #[test]
    fn colours_stay_and_no_side_is_longer_than_asked_for() {
        let halves = RgbImage::from_fn(400, 200, |x, _| match x < 200 {
            true => Rgb([250, 20, 20]),
            false => Rgb([20, 20, 250]),
        });
        let small = thumbnail(&png(&halves), 64, 1 << 26).unwrap();
        let small = image::load_from_memory(&small).unwrap().into_rgb8();
        assert_eq!(small.dimensions(), (64, 32));
        let near = |place: (u32, u32), colour: [i32; 3]| {
            let pixel = small.get_pixel(place.0, place.1).0;
            pixel
                .iter()
                .zip(colour)
                .all(|(a, b)| (i32::from(*a) - b).abs() < 12)
        };
        assert!(near((5, 16), [250, 20, 20]) && near((58, 16), [20, 20, 250]));
    }

    #[test]
    fn a_photo_on_its_side_is_turned() {
        // The head of EXIF data with orientation 6: to be turned clockwise by 90 degrees.
        let exif = [
            b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".as_slice(),
        ]
        .concat();
        let mut jpeg = Cursor::new(Vec::new());
        RgbImage::from_pixel(40, 20, Rgb([9, 9, 9]))
            .write_to(&mut jpeg, image::ImageFormat::Jpeg)
            .unwrap();
        let jpeg = jpeg.into_inner();
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat();
        let small = thumbnail(&turned, 16, 1 << 26).unwrap();
        assert_eq!(
            image::load_from_memory(&small)
                .unwrap()
                .into_rgb8()
                .dimensions(),
            (8, 16)
        );
    }

    #[test]
    fn what_is_damaged_or_too_large_is_refused() {
        let whole = png(&RgbImage::new(3000, 3000));
        for (bytes, memory) in [
            (&whole[..40], 1u64 << 26),
            (b"no image".as_slice(), 1 << 26),
            (&whole, 1 << 20),
        ] {
            let problem = thumbnail(bytes, 64, memory).unwrap_err();
            assert_eq!(problem.status, 422);
            assert!(
                problem.message.starts_with("picture: "),
                "{}",
                problem.message
            );
        }
    }
}
