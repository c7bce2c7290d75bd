//! Structure of a JPEG file, read before its pixels.
//!
//! Decoders fill what is missing of a file that was cut off with grey, so that its end has to be looked for.

/// Most scans of one image. Progressive encoders write about ten; each costs a pass over all blocks.
const MOST_SCANS: u64 = 500;
/// Most pixels times scans.
const MOST_WORK: u64 = 1 << 34;

/// What the markers of a JPEG file say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Number of components.
    pub(super) components: u8,
    /// Whether the coefficients come in several scans that refine the whole image, which takes memory for all of them.
    pub(super) is_progressive: bool,
    /// Whether some scan has the mean values of some components only.
    pub(super) is_separate: bool,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) scans: u64,
}

/// Reads the markers up to the end of the image.
///
/// # Errors
/// In words, if the file ends before, or has so many scans that decoding it would take minutes.
pub(super) fn structure(bytes: &[u8]) -> Result<Structure, String> {
    const CUT_OFF: &str = "the file ends before the image does";
    let mut found = Structure::default();
    let mut at = 2;
    loop {
        at = next_marker(bytes, at).ok_or(CUT_OFF)?;
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            0xd9 => break,
            // Marks without a segment.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(CUT_OFF.to_owned()),
        };
        if length < 2 {
            return Err(format!("a segment of {length} bytes, where 2 is the least"));
        }
        let segment = bytes.get(at + 2..at + length).ok_or(CUT_OFF)?;
        match (marker, segment) {
            (0xc4 | 0xc8 | 0xcc, _) => {}
            (0xc0..=0xcf, &[_, h1, h0, w1, w0, components, ..]) => {
                found.is_progressive |= marker & 3 == 2;
                found.components = components;
                found.height = u16::from_be_bytes([h1, h0]);
                found.width = u16::from_be_bytes([w1, w0]);
            }
            (0xda, &[components, ..]) => {
                found.scans += 1;
                let first = segment.get(1 + 2 * usize::from(components));
                found.is_separate |= components < found.components && first == Some(&0);
            }
            _ => {}
        }
        at += length;
    }
    let work = u64::from(found.width) * u64::from(found.height) * found.scans;
    if found.scans > MOST_SCANS || work > MOST_WORK {
        return Err(format!(
            "{} scans of {} x {} pixels, more than {MOST_SCANS} or {MOST_WORK} pixels in all",
            found.scans, found.width, found.height
        ));
    }
    Ok(found)
}

/// Where the next marker begins, from `at` on: 0xff and a byte that is neither 0, as within the data of a scan, nor
/// 0xff, which fills. Marks of restarts within that data count, too.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        match bytes.get(at + 1)? {
            0 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}
