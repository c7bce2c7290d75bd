//! The media type of a picture, by how its file begins.

/// The media type of an image file; `None` for anything else. SVG is none of them: it may hold programs.
pub(crate) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    let riff = bytes.get(8..12).filter(|_| begins(b"RIFF"));
    match () {
        () if begins(&[0xff, 0xd8, 0xff]) => Some("image/jpeg"),
        () if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        () if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
        () if riff == Some(b"WEBP".as_slice()) => Some("image/webp"),
        () if begins(b"BM") => Some("image/bmp"),
        () if begins(b"II*\0") || begins(b"MM\0*") => Some("image/tiff"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let table: [(&[u8], Option<&str>); 9] = [
            (&[0xff, 0xd8, 0xff, 0xe0], Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\nrest", Some("image/png")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"<svg onload='x()'></svg>", None),
            (b"<!doctype html>", None),
            (b"", None),
            (b"MM\0*", Some("image/tiff")),
        ];
        for (bytes, expected) in table {
            assert_eq!(media_type(bytes), expected);
        }
    }
}
