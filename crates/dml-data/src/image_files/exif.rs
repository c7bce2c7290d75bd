//! Orientation of a photo in its EXIF data.

use image::metadata::Orientation;

const TAG: u16 = 0x0112;

/// The orientation in the first directory of EXIF data, which is a TIFF file; `None` without one that makes sense.
///
/// The standard has it as SHORT. Some programs write BYTE or LONG, and viewers turn those photos, too. A value that
/// fits neither 1 to 8 nor these types is as good as none.
pub(super) fn orientation(exif: &[u8]) -> Option<Orientation> {
    // Some WebP files repeat the mark that the JPEG segment begins with.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let number_at = |at: usize, size: usize| {
        let bytes = tiff.get(at..at.checked_add(size)?)?.iter();
        let append = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(match little {
            true => bytes.rev().fold(0, append),
            false => bytes.fold(0, append),
        })
    };
    let directory = number_at(4, 4)? as usize;
    let entries = directory.checked_add(2)?;
    for entry in 0..number_at(directory, 2)? as usize {
        let at = entries.checked_add(entry * 12)?;
        if number_at(at, 2)? != u32::from(TAG) {
            continue;
        }
        let size = match (number_at(at + 2, 2)?, number_at(at + 4, 4)?) {
            (1 | 6, 1) => 1, // BYTE, SBYTE
            (3 | 8, 1) => 2, // SHORT, SSHORT
            (4 | 9, 1) => 4, // LONG, SLONG
            _ => return None,
        };
        let value = number_at(at + 8, size)?;
        return Orientation::from_exif(u8::try_from(value).ok()?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF data with another tag and the orientation, of that type.
    fn exif(little: bool, kind: u16, value: u32) -> Vec<u8> {
        let short = |x: u16| {
            if little {
                x.to_le_bytes()
            } else {
                x.to_be_bytes()
            }
        };
        let long = |x: u32| {
            if little {
                x.to_le_bytes()
            } else {
                x.to_be_bytes()
            }
        };
        let mut bytes = if little {
            b"II".to_vec()
        } else {
            b"MM".to_vec()
        };
        bytes.extend(short(42));
        bytes.extend(long(8));
        bytes.extend(short(2));
        for (tag, kind, value) in [(0x0100u16, 4, 77), (TAG, kind, value)] {
            bytes.extend(short(tag));
            bytes.extend(short(kind));
            bytes.extend(long(1));
            match kind {
                1 => bytes.extend([value as u8, 0, 0, 0]),
                3 => bytes.extend([short(value as u16), [0; 2]].concat()),
                _ => bytes.extend(long(value)),
            }
        }
        bytes
    }

    #[test]
    fn every_whole_type_in_both_byte_orders_is_read() {
        for little in [true, false] {
            for kind in [1, 3, 4, 9] {
                for value in 1..=8u8 {
                    let data = exif(little, kind, u32::from(value));
                    let expected = Orientation::from_exif(value);
                    assert_eq!(orientation(&data), expected, "type {kind}, value {value}");
                    let marked = [b"Exif\0\0", &data[..]].concat();
                    assert_eq!(orientation(&marked), expected);
                    // The part that is there must be enough.
                    for end in 0..data.len() - 3 {
                        assert_eq!(orientation(&data[..end]), None);
                    }
                }
                for value in [0, 9] {
                    assert_eq!(orientation(&exif(little, kind, value)), None);
                }
            }
            assert_eq!(orientation(&exif(little, 4, 0x0001_0006)), None);
            assert_eq!(orientation(&exif(little, 5, 6)), None);
        }
        assert_eq!(orientation(b"MM\0\x2a\xff\xff\xff\xff"), None);
    }
}
