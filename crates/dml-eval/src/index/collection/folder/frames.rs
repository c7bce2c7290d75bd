//! Pieces of a file, each with its length, its number and checksums of both and of itself.
//!
//! ```text
//! frame   length of the body: u64, number: u64, CRC-32 of both, CRC-32 of the body, body
//! ```

/// Bytes before the body.
pub(super) const HEAD: usize = 24;

/// A frame.
pub(super) fn frame(number: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend(crc32fast::hash(body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// What stands where a frame should begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// A frame of the number that was expected: its body.
    Frame(&'a [u8]),
    /// The end.
    End,
    /// A beginning of a frame, or something that is none, with no intact frame behind it.
    Torn,
    /// Something that is no intact frame, with an intact frame behind it.
    Damaged,
}

/// Looks at the frame at the beginning of `bytes`, which should be the one of that number.
pub(super) fn first(bytes: &[u8], number: u64) -> Found<'_> {
    if bytes.is_empty() {
        return Found::End;
    }
    match intact(bytes) {
        Some((own, body)) if own == number => Found::Frame(body),
        // A frame that should not be here.
        Some(_) => Found::Damaged,
        None => {
            let mut rest = 1..bytes.len();
            let follows = |at: usize| intact(&bytes[at..]).is_some_and(|(own, _)| own >= number);
            if rest.any(follows) {
                Found::Damaged
            } else {
                Found::Torn
            }
        }
    }
}

/// Number and body of the frame at the beginning, if it is whole and unaltered.
fn intact(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let long = |at: usize| {
        let number = head[at..].first_chunk::<8>();
        number.map_or(0, |number| u64::from_le_bytes(*number))
    };
    let short = |at: usize| long(at - 4) >> 32;
    // Before the checksum: most places that are no frames say to be longer than what is left.
    let length = usize::try_from(long(0)).ok()?;
    let body = rest.get(..length)?;
    if u64::from(crc32fast::hash(&head[..16])) != short(16) {
        return None;
    }
    (u64::from(crc32fast::hash(body)) == short(20)).then_some((long(8), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_or_torn() {
        let one = frame(7, b"some change");
        assert_eq!(first(&one, 7), Found::Frame(b"some change"));
        assert_eq!(first(&[], 7), Found::End);
        // Of another number it does not belong here.
        assert_eq!(first(&one, 8), Found::Damaged);
        for end in 1..one.len() {
            assert_eq!(first(&one[..end], 7), Found::Torn, "{end}");
        }
        for at in 0..one.len() {
            let mut altered = one.clone();
            altered[at] ^= 4;
            assert_eq!(first(&altered, 7), Found::Torn, "{at}");
            // An intact frame behind it says that this was no crash.
            altered.extend(frame(8, b""));
            assert_eq!(first(&altered, 7), Found::Damaged, "{at}");
        }
        let zeros = [0; 100];
        assert_eq!(first(&zeros, 0), Found::Torn);
    }
}
