//! Image files, PNG and JPEG.

use dml::Dataset;
use dml::data::{ImageFiles, ImageFilesConfig, Resize};
use flate2::Crc;

use super::scratch::with_file;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn run(bytes: &[u8]) {
    decode(bytes);
    // A decoder that refuses a wrong checksum is not asked any further.
    if let Some(repaired) = with_checksums(bytes) {
        decode(&repaired);
    }
}

fn decode(bytes: &[u8]) {
    with_file("image", bytes, |path| {
        for (channels, resize) in [
            (3, Resize::Stretch),
            (1, Resize::CenterCrop),
            (3, Resize::Pad),
        ] {
            let config = ImageFilesConfig {
                size: [5, 7],
                channels,
                resize,
                ..ImageFilesConfig::default()
            };
            let files = ImageFiles::new(path, [path.to_owned()], [0i64], ["any"], config);
            let examples = files.map(|files| files.fetch(&[0], 0));
            if let Ok(Ok(examples)) = examples {
                assert_eq!(examples.views()[0].dims(), [1, channels, 5, 7]);
            }
        }
    });
}

/// A PNG file in which the checksum of every chunk is right.
fn with_checksums(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut repaired = bytes.to_vec();
    let mut at = PNG.len();
    if !bytes.starts_with(PNG) {
        return None;
    }
    while let Some(length) = repaired.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let end = at.checked_add(length)?.checked_add(8)?;
        let Some(chunk) = repaired.get(at + 4..end) else {
            break;
        };
        let mut checksum = Crc::new();
        checksum.update(chunk);
        let checksum = checksum.sum().to_be_bytes();
        let Some(place) = repaired.get_mut(end..end + 4) else {
            break;
        };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
    Some(repaired)
}

/// Colours, greys and a palette; a plain JPEG with half the colour, and one of several scans that lies on its side. Written
/// by Pillow.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("seeds/rgb.png").to_vec(),
        include_bytes!("seeds/grey.png").to_vec(),
        include_bytes!("seeds/palette.png").to_vec(),
        include_bytes!("seeds/baseline.jpg").to_vec(),
        include_bytes!("seeds/progressive.jpg").to_vec(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_a_valid_file_are_right_already() {
        let file = include_bytes!("seeds/palette.png").to_vec();
        assert_eq!(with_checksums(&file), Some(file.clone()));
        let mut changed = file.clone();
        changed[PNG.len() + 8] ^= 1;
        assert_ne!(with_checksums(&changed).unwrap(), changed);
        assert_eq!(with_checksums(b"no image"), None);
    }
}
