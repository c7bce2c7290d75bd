//! What an image may take is counted before it is decoded.

use super::*;
use crate::image_files::memory;

/// The message that refuses an image for its size.
fn refused(bytes: &[u8], config: &ImageFilesConfig) -> String {
    let message = decode("x", bytes, config).unwrap_err().to_string();
    assert!(
        message.contains("more than the memory limit of"),
        "{message}"
    );
    message
}

#[test]
fn memory_is_counted_before_pixels_are_decoded() -> Outcome {
    let within = |memory_limit, size| ImageFilesConfig {
        memory_limit,
        ..sized(size, size, 3)
    };
    // 10,000,000 × 1 pixels: 32 bytes of each for the rows that are resized at once, and 24 for the weights.
    refused(&input("hostile/wide10m.png"), &ImageFilesConfig::default());
    // Grey pixels stay grey until they are few, though three channels are asked for: 2 bytes for each of the 4,000,000,
    // one of them for the decoder, and not 4.
    let grey = GrayImage::from_pixel(2000, 2000, Luma([9]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    grey.write_to(&mut bytes, image::ImageFormat::Png)?;
    let image = decode("x", bytes.get_ref(), &within(9_000_000, 16))?;
    assert_eq!(image.plane(0), image.plane(2));
    refused(bytes.get_ref(), &within(7_000_000, 16));
    // 144,000,000 pixels.
    let bomb = input("bomb_grey.png");
    refused(&bomb, &within(140_000_000, 16));
    // 12,000 rows × 4,000 columns between the two axes.
    let tall = GrayImage::from_pixel(3999, 12_000, Luma([9]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    tall.write_to(&mut bytes, image::ImageFormat::Png)?;
    refused(bytes.get_ref(), &within(95_000_000, 4000));
    Ok(())
}

#[test]
fn the_parts_of_the_sum_are_what_they_should_be() {
    use image::ColorType::{L8, Rgb8, Rgb16, Rgba8};
    let header = |color| memory::Header {
        file: 1000,
        width: 200,
        height: 100,
        color,
        jpeg: Some(jpeg::Structure::default()),
        is_turned: false,
        part: None,
    };
    let peak = |header: memory::Header, config: &ImageFilesConfig| memory::peak(&header, config);
    let same = sized(100, 200, 3);
    assert_eq!(peak(header(Rgb8), &same), 1000 + 60_000);
    assert_eq!(peak(header(L8), &same), 1000 + 20_000);
    assert_eq!(peak(header(Rgba8), &same), 1000 + 80_000 + 60_000);
    assert_eq!(
        peak(header(Rgb16), &sized(100, 200, 1)),
        1000 + 120_000 + 20_000
    );
    // 100 rows of 7 columns, then 50 of them; 32 rows of 200 and of 7 columns at once.
    let columns_first = peak(header(Rgb8), &sized(50, 7, 3));
    assert_eq!(
        columns_first,
        1000 + 60_000 + 2_100 + 1_050 + 96 * 207 + 12 * (7 * 59 + 50 * 5)
    );
    // 10 rows of 200 columns, then of 190.
    let rows_first = peak(header(Rgb8), &sized(10, 190, 3));
    assert_eq!(
        rows_first,
        1000 + 60_000 + 6_000 + 5_700 + 96 * 390 + 12 * (190 * 5 + 10 * 21)
    );
    // 100 × 200 pixels become 50 × 100, of which 30 × 40 are kept.
    let cut = ImageFilesConfig {
        resize: Resize::ShortestSide(50),
        ..sized(30, 40, 3)
    };
    assert_eq!(
        peak(header(Rgb8), &cut),
        1000 + 60_000 + 100 * 40 * 3 + 3_600 + 96 * 240 + 12 * (30 * 5 + 40 * 5)
    );
    let kept = ImageFilesConfig {
        resize: Resize::Keep,
        ..same.clone()
    };
    assert_eq!(peak(header(Rgb8), &kept), 1000 + 60_000);
    let turned = memory::Header {
        is_turned: true,
        ..header(Rgb8)
    };
    assert_eq!(peak(turned, &sized(200, 100, 3)), 1000 + 120_000);
    let jpeg = |is_progressive, is_separate| memory::Header {
        jpeg: Some(jpeg::Structure {
            components: 3,
            is_progressive,
            is_separate,
            ..jpeg::Structure::default()
        }),
        ..header(Rgb8)
    };
    assert_eq!(peak(jpeg(true, false), &same), 1000 + 120_000 + 60_000);
    assert_eq!(peak(jpeg(false, true), &same), 1000 + 300_000 + 60_000);
    let other = memory::Header {
        jpeg: None,
        ..header(Rgb8)
    };
    assert_eq!(peak(other, &same), 1000 + 120_000);
    // The crop keeps 100 × 100 of the 200 × 100 pixels; resizing reduces them to 10 columns first.
    let crop = ImageFilesConfig {
        resize: Resize::CenterCrop,
        ..sized(10, 10, 3)
    };
    assert_eq!(
        peak(header(Rgb8), &crop),
        1000 + 60_000 + 3_000 + 300 + 96 * 110 + 12 * 2 * (10 * 21)
    );
    let huge = memory::Header {
        width: u64::MAX,
        height: 2,
        ..header(Rgb16)
    };
    assert_eq!(peak(huge, &same), u64::MAX);
}

#[test]
fn a_jpeg_of_endless_scans_is_refused() {
    // A frame of 16 × 16 pixels and a table of everything, then scans without data.
    let mut bytes = vec![
        0xff, 0xd8, 0xff, 0xc2, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0,
    ];
    for _ in 0..501 {
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0]);
    }
    bytes.extend([0xff, 0xd9]);
    let message = decode("x", &bytes, &sized(8, 8, 1))
        .unwrap_err()
        .to_string();
    assert!(message.contains("501 scans"), "{message}");
}
