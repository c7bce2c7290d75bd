//! What files are images.

use std::path::Path;

use image::ImageFormat;

/// The formats that are read, in words.
pub(crate) const FORMATS: &str = "PNG, JPEG, WebP, GIF, BMP or TIFF";

/// How the names of images end, in small letters.
const ENDINGS: [&str; 15] = [
    "png", "apng", "jpg", "jpeg", "jfif", "jpe", "pjpeg", "pjp", "jif", "webp", "gif", "bmp",
    "dib", "tif", "tiff",
];

/// Endings of images that are not read. Several of these formats begin like TIFF.
const OTHER_ENDINGS: [&str; 28] = [
    "3fr", "arw", "avif", "cr2", "cr3", "dng", "eps", "exr", "hdr", "heic", "heif", "ico", "j2k",
    "jp2", "jxl", "nef", "orf", "pbm", "pef", "pgm", "ppm", "psd", "raf", "raw", "rw2", "svg",
    "tga", "xcf",
];

/// Bytes from the beginning of a file that [`sniff`] looks at.
pub(crate) const SNIFFED: usize = 18;

/// What the name of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// An image of a format that is read.
    Known,
    /// An image of a format that is not read.
    Unsupported,
    /// Nothing: the contents decide.
    Other,
}

/// What the ending of a file's name says.
pub(crate) fn ending(path: &Path) -> Ending {
    let is_in = |list: &[&str]| {
        path.extension()
            .is_some_and(|ending| list.iter().any(|known| ending.eq_ignore_ascii_case(known)))
    };
    if is_in(&ENDINGS) {
        Ending::Known
    } else if is_in(&OTHER_ENDINGS) {
        Ending::Unsupported
    } else {
        Ending::Other
    }
}

/// The format of a file that begins with these bytes, if it is one that is read.
pub(crate) fn sniff(start: &[u8]) -> Option<ImageFormat> {
    match image::guess_format(start).ok()? {
        // Two letters alone are too weak a sign: the size of the second header must be one that exists.
        ImageFormat::Bmp => {
            let size: [u8; 4] = start.get(14..18)?.try_into().ok()?;
            let known = [12, 16, 40, 52, 56, 64, 108, 124];
            known
                .contains(&u32::from_le_bytes(size))
                .then_some(ImageFormat::Bmp)
        }
        format @ (ImageFormat::Png
        | ImageFormat::Jpeg
        | ImageFormat::Gif
        | ImageFormat::WebP
        | ImageFormat::Tiff) => Some(format),
        _ => None,
    }
}
