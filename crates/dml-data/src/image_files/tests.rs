mod memory;

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageEncoder, Luma, LumaA, Rgb, RgbImage};

use super::*;
use crate::mutation::mutated;

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

/// An image written to a file and read again.
fn read(
    save: impl FnOnce(&Path),
    name: &str,
    size: [usize; 2],
    channels: usize,
    resize: Resize,
) -> Result<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    save(&path);
    let config = ImageFilesConfig {
        size,
        channels,
        resize,
        ..ImageFilesConfig::default()
    };
    let files = ImageFiles::new(folder.path(), [path], [0u8], ["only"], config)?;
    let image = files.image(0)?;
    assert_eq!(image.shape(), [channels, size[0], size[1]]);
    Ok(image.values().to_vec())
}

fn save_grey(rows: &'static [&'static [u8]]) -> impl FnOnce(&Path) {
    move |path| {
        let (height, width) = (rows.len() as u32, rows[0].len() as u32);
        let image = GrayImage::from_fn(width, height, |x, y| Luma([rows[y as usize][x as usize]]));
        image.save(path).unwrap();
    }
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance, "{found:?} is not {expected:?}");
    }
}

#[test]
fn an_image_of_the_right_size_is_read_as_it_is() -> Outcome {
    let grey = read(
        save_grey(&[&[0, 51], &[102, 255]]),
        "x.png",
        [2, 2],
        1,
        Resize::Stretch,
    )?;
    assert_eq!(grey, [0.0, 0.2, 0.4, 1.0]);
    // One channel becomes three planes.
    let colour = read(save_grey(&[&[0, 51]]), "x.png", [1, 2], 3, Resize::Stretch)?;
    assert_eq!(colour, [0.0, 0.2, 0.0, 0.2, 0.0, 0.2]);
    Ok(())
}

#[test]
fn colours_come_plane_after_plane_and_grey_is_luminance() -> Outcome {
    let save = |path: &Path| {
        let pixels = [Rgb([255, 0, 0]), Rgb([0, 255, 0]), Rgb([0, 0, 255])];
        let image = RgbImage::from_fn(3, 1, |x, _| pixels[x as usize]);
        image.save(path).unwrap();
    };
    let planes = read(save, "x.png", [1, 3], 3, Resize::Stretch)?;
    assert_eq!(planes, [1., 0., 0., 0., 1., 0., 0., 0., 1.]);
    let grey = read(save, "x.png", [1, 3], 1, Resize::Stretch)?;
    assert_close(&grey, &[0.2126, 0.7152, 0.0722], 1.0 / 255.0);
    Ok(())
}

#[test]
fn sixteen_bits_and_transparency_are_read() -> Outcome {
    let deep = |path: &Path| {
        let image = image::ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([13_107]));
        image.save(path).unwrap();
    };
    assert_close(
        &read(deep, "x.png", [1, 1], 1, Resize::Stretch)?,
        &[0.2],
        1e-3,
    );
    let clear = |path: &Path| {
        let image = image::GrayAlphaImage::from_pixel(1, 1, LumaA([51, 0]));
        image.save(path).unwrap();
    };
    assert_eq!(read(clear, "x.png", [1, 1], 1, Resize::Stretch)?, [0.2]);
    Ok(())
}

#[test]
fn contents_decide_what_a_file_is() -> Outcome {
    let save = |path: &Path| {
        let file = std::fs::File::create(path).unwrap();
        let image = RgbImage::from_pixel(8, 8, Rgb([200, 100, 50]));
        image
            .write_with_encoder(JpegEncoder::new_with_quality(file, 100))
            .unwrap();
    };
    for name in ["x.jpg", "x.png"] {
        let values = read(save, name, [1, 1], 3, Resize::Stretch)?;
        assert_close(&values, &[200.0 / 255.0, 100.0 / 255.0, 50.0 / 255.0], 0.02);
    }
    Ok(())
}

/// The left half of each picture of 2 × 4 pixels is black, the right one white.
#[test]
fn each_way_of_resizing_keeps_what_it_says() -> Outcome {
    const WIDE: &[&[u8]] = &[&[0, 0, 255, 255], &[0, 0, 255, 255]];
    let resized = |size, resize| read(save_grey(WIDE), "x.png", size, 1, resize);
    // Both middle columns go; neither half has its proportions.
    assert_eq!(resized([2, 2], Resize::CenterCrop)?, [0., 1., 0., 1.]);
    let stretched = resized([2, 2], Resize::Stretch)?;
    assert!(stretched[0] < 0.2 && stretched[1] > 0.8, "{stretched:?}");
    assert_eq!(stretched[..2], stretched[2..]);
    // A row of black above and below, the whole picture between.
    let padded = resized([4, 4], Resize::Pad)?;
    let row = [0., 0., 1., 1.];
    assert_eq!(padded, [[0.; 4], row, row, [0.; 4]].concat());
    // Narrower than what is asked for: bars at the sides.
    let tall = read(
        save_grey(&[&[255], &[255]]),
        "x.png",
        [2, 3],
        1,
        Resize::Pad,
    )?;
    assert_eq!(tall, [0., 1., 0., 0., 1., 0.]);
    Ok(())
}

#[test]
fn extreme_proportions_leave_at_least_a_pixel() -> Outcome {
    let line = |path: &Path| {
        GrayImage::from_pixel(500, 1, Luma([255]))
            .save(path)
            .unwrap();
    };
    let white = |values: &[f32]| values.iter().filter(|&&x| x == 1.0).count();
    assert_eq!(white(&read(line, "x.png", [3, 3], 1, Resize::Pad)?), 3);
    assert_eq!(
        white(&read(line, "x.png", [3, 1], 1, Resize::CenterCrop)?),
        3
    );
    assert_eq!(white(&read(line, "x.png", [3, 3], 1, Resize::Stretch)?), 9);
    Ok(())
}

#[test]
fn photos_are_turned_as_their_tag_says() -> Outcome {
    // Big-endian TIFF header, one entry: orientation 6, a quarter turn to the right, as SHORT and as LONG.
    let short: &'static [u8] = &[
        0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
    ];
    let long: &'static [u8] = &[
        0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 4, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0,
    ];
    for exif in [short, long] {
        assert_turned(exif)?;
    }
    Ok(())
}

fn assert_turned(exif: &'static [u8]) -> Outcome {
    let save = |path: &Path| {
        let file = std::fs::File::create(path).unwrap();
        let mut encoder = JpegEncoder::new_with_quality(file, 100);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        let half = |x: u32| if x < 8 { 0 } else { 255 };
        let image = GrayImage::from_fn(16, 8, |x, _| Luma([half(x)]));
        image.write_with_encoder(encoder).unwrap();
    };
    // Black was on the left, so it is on top.
    let values = read(save, "x.jpg", [2, 1], 1, Resize::Stretch)?;
    assert!(values[0] < 0.2 && values[1] > 0.8, "{values:?}");
    Ok(())
}

#[test]
fn arguments_are_checked() {
    let new = |paths: usize, labels: &[i64], config: ImageFilesConfig| {
        let paths = (0..paths).map(|i| PathBuf::from(format!("{i}.png")));
        let files = ImageFiles::new("list", paths, labels, ["a", "b"], config);
        files.unwrap_err().to_string()
    };
    let default = ImageFilesConfig::default;
    let two = ImageFilesConfig {
        channels: 2,
        ..default()
    };
    assert_eq!(new(1, &[0], two), "channels: expected 1 or 3, got 2");
    for side in [0, 1 << 20] {
        let config = ImageFilesConfig {
            size: [5, side],
            ..default()
        };
        let expected = format!("size: expected sides of 1 to 16384 pixels, got {side}");
        assert_eq!(new(1, &[0], config), expected);
    }
    assert_eq!(
        new(2, &[0], default()),
        "list: expected 2 labels, one per image, found 1"
    );
    assert_eq!(
        new(2, &[0, 2], default()),
        "list: expected labels below 2, found 2 at position 1"
    );
    assert!(new(0, &[], default()).starts_with("list: expected at least one image"));
    for memory_limit in [0, 1 << 41] {
        let config = ImageFilesConfig {
            memory_limit,
            ..default()
        };
        let message = new(1, &[0], config);
        assert!(
            message.starts_with("memory_limit: expected 1048576"),
            "{message}"
        );
    }
}

#[test]
fn images_that_keep_their_size_are_cut_by_the_augmentation() -> Outcome {
    use crate::AugmentedImages;
    use crate::augment::{
        Compose, HorizontalFlip, HorizontalFlipConfig, Normalize, NormalizeConfig,
        RandomResizedCrop, RandomResizedCropConfig,
    };
    let folder = tempfile::tempdir()?;
    // Colour in JPEG and PNG of one size, grey of that size, and a smaller one.
    let colour = RgbImage::from_fn(61, 45, |x, y| {
        Rgb([4 * x as u8, 5 * y as u8, (x * y) as u8])
    });
    let grey = GrayImage::from_fn(61, 45, |x, y| Luma([(3 * x + 2 * y) as u8]));
    let names = ["colour.jpg", "colour.png", "small.png", "grey.jpg"];
    let paths = names.map(|name| folder.path().join(name));
    colour.save(&paths[0])?;
    colour.save(&paths[1])?;
    RgbImage::from_pixel(5, 3, Rgb([9, 99, 199])).save(&paths[2])?;
    grey.save(&paths[3])?;
    let config = ImageFilesConfig {
        resize: Resize::Keep,
        ..ImageFilesConfig::default()
    };
    let files = ImageFiles::new(folder.path(), paths, [0u8; 4], ["only"], config)?;
    assert_eq!(files.shape(), [3, 0, 0]);
    assert_eq!(files.image(0)?.shape(), [3, 45, 61]);
    assert_eq!(files.image(2)?.shape(), [3, 3, 5]);
    // A batch has one size.
    assert_eq!(
        files.fetch(&[0, 1, 3], 0)?.views()[0].dims(),
        [3, 3, 45, 61]
    );
    assert!(files.fetch(&[0, 2], 0).is_err());

    let crop = || RandomResizedCrop::new(RandomResizedCropConfig::new([16, 12]));
    let flip = || HorizontalFlip::new(HorizontalFlipConfig::default());
    let normalize = || Normalize::new(NormalizeConfig::image_net());
    let augmentation = Compose::default()
        .with(crop()?)
        .with(flip()?)
        .with(normalize()?);
    let set = AugmentedImages::two_views(files.clone(), augmentation)?;
    let examples = set.fetch(&[0, 1, 2, 3, 0], 5)?;
    assert_eq!(examples.views()[1].dims(), [5, 3, 16, 12]);
    // Something has to bring them to one size.
    let unsized_views = AugmentedImages::new(files, Compose::default().with(flip()?));
    assert!(matches!(
        unsized_views,
        Err(dml_core::Error::Unsupported { .. })
    ));
    Ok(())
}

fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs")
}

fn input(name: &str) -> Vec<u8> {
    std::fs::read(inputs().join(name)).unwrap()
}

fn sized(height: usize, width: usize, channels: usize) -> ImageFilesConfig {
    ImageFilesConfig {
        size: [height, width],
        channels,
        ..ImageFilesConfig::default()
    }
}

/// An image of 13 × 9 pixels in every format that is read, with its ending.
fn every_format() -> Vec<(&'static str, Vec<u8>)> {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let image = RgbImage::from_fn(13, 9, |x, y| Rgb([20 * x as u8, 25 * y as u8, 99]));
    let formats = [
        ("png", Png),
        ("jpg", Jpeg),
        ("gif", Gif),
        ("webp", WebP),
        ("bmp", Bmp),
        ("tiff", Tiff),
    ];
    let mut files: Vec<(&str, Vec<u8>)> = formats
        .into_iter()
        .map(|(ending, format)| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            image.write_to(&mut bytes, format).unwrap();
            (ending, bytes.into_inner())
        })
        .collect();
    files.push(("jpg, scans apart", input("noninterleaved_420.jpg")));
    files
}

#[test]
fn every_format_is_read_and_none_is_read_in_part() -> Outcome {
    let config = sized(9, 13, 3);
    for (name, bytes) in every_format() {
        let whole = decode(name, &bytes, &config)?;
        if ["png", "webp", "bmp", "tiff"].contains(&name) {
            let expected = [60.0 / 255.0, 50.0 / 255.0, 99.0 / 255.0];
            let found = [0, 1, 2].map(|channel| whole.plane(channel)[2 * 13 + 3]);
            assert_close(&found, &expected, 1e-6);
        }
        // However little is missing: refused, or nothing that is seen is missing.
        for end in 0..bytes.len() {
            if let Ok(part) = decode(name, &bytes[..end], &config) {
                assert_eq!(
                    part,
                    whole,
                    "{name} without its last {} bytes",
                    bytes.len() - end
                );
            }
        }
    }
    Ok(())
}

#[test]
fn files_that_were_cut_off_are_refused() {
    for name in ["a/half.jpg", "a/progressive_tenth.jpg", "b/half.png"] {
        let error = decode(name, &input(&format!("truncated/{name}")), &sized(8, 8, 3));
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains("can't be decoded"),
            "{message}"
        );
    }
    for name in ["truncated/a/whole.png", "truncated/b/whole.png"] {
        assert!(decode(name, &input(name), &sized(8, 8, 3)).is_ok());
    }
}

#[test]
fn components_in_scans_of_their_own_are_read() -> Outcome {
    let expected = image::load_from_memory(&input("noninterleaved_420_expected.png"))?.into_rgb8();
    let (width, height) = expected.dimensions();
    let config = sized(height as usize, width as usize, 3);
    let found = decode("x", &input("noninterleaved_420.jpg"), &config)?;
    for (x, y, pixel) in expected.enumerate_pixels() {
        for channel in 0..3 {
            let value = found.plane(channel)[y as usize * width as usize + x as usize] * 255.0;
            let difference = (value - f32::from(pixel[channel])).abs();
            assert!(
                difference <= 3.0,
                "{x}, {y}, channel {channel}: {difference}"
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_no_regular_file_is_refused_without_being_opened() {
    let folder = tempfile::tempdir().unwrap();
    let files = ImageFiles::new(
        "list",
        [folder.path().to_path_buf()],
        [0u8],
        ["a"],
        sized(8, 8, 1),
    );
    let error = files.unwrap().image(0).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::FileKind {
                found: "a folder",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn damaged_images_are_read_or_refused() {
    let config = ImageFilesConfig {
        memory_limit: 1 << 24,
        ..sized(8, 8, 3)
    };
    let mut files = every_format();
    files.push(("progressive", input("truncated/a/progressive_tenth.jpg")));
    for (i, (name, bytes)) in files.iter().enumerate() {
        for seed in 0..150 {
            let bytes = mutated(bytes, seed * 16 + i as u64);
            if let Ok(image) = decode(name, &bytes, &config) {
                assert!(image.values().iter().all(|x| (0.0..=1.0).contains(x)));
            }
        }
    }
}

#[test]
fn grey_images_of_16_bits_are_the_same_in_one_channel_and_in_three() -> Outcome {
    let image = image::ImageBuffer::from_fn(256, 256, |x, y| Luma([(y * 256 + x) as u16]));
    let image = image::DynamicImage::ImageLuma16(image);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png)?;
    let found = decode("x", bytes.get_ref(), &sized(256, 256, 3))?;
    let expected = image.into_rgb8();
    for (i, pixel) in expected.pixels().enumerate() {
        let own = [0, 1, 2].map(|channel| (found.plane(channel)[i] * 255.0).round() as u8);
        assert_eq!(own, pixel.0);
    }
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn a_configuration_is_read_with_defaults_and_without_strangers() {
    let read = |text: &str| serde_json::from_str::<ImageFilesConfig>(text);
    let config =
        read(r#"{"size": [32, 48], "resize": "center_crop", "unreadable": "skip"}"#).unwrap();
    assert_eq!(config.size, [32, 48]);
    assert_eq!(config.channels, 3);
    assert_eq!(config.resize, Resize::CenterCrop);
    assert_eq!(
        read(&serde_json::to_string(&config).unwrap()).unwrap(),
        config
    );
    assert!(read(r#"{"sice": [32, 48]}"#).is_err());
}
