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
            // A crash leaves few heads whose bodies are to be compared: a file with many was made so that it takes long.
            let mut left = MOST_COMPARED.saturating_mul(bytes.len());
            let mut follows = |at: usize| {
                let Some((own, checksum, body)) = headed(&bytes[at..]) else {
                    return false;
                };
                let is_compared = left >= body.len();
                left = left.saturating_sub(body.len());
                !is_compared || (own >= number && checksum == crc32fast::hash(body))
            };
            if (1..bytes.len()).any(&mut follows) {
                Found::Damaged
            } else {
                Found::Torn
            }
        }
    }
}

/// How often the bytes behind damage are compared with checksums at most, on average.
const MOST_COMPARED: usize = 4;

/// Number and body of the frame at the beginning, if it is whole and unaltered.
fn intact(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, checksum, body) = headed(bytes)?;
    (crc32fast::hash(body) == checksum).then_some((number, body))
}

/// Number, checksum and bytes of the body of a frame whose head is unaltered.
fn headed(bytes: &[u8]) -> Option<(u64, u32, &[u8])> {
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
    Some((long(8), short(20) as u32, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_or_torn() {
        let one = frame(7, b"some change");
        assert_eq!(first(&one, 7), Found::Frame(b"some change"));
        assert_eq!(first(&[], 7), Found::End);
        // A frame with another number is damaged.
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
        // Heads within heads, each of a body up to the end, whose comparison would take n² steps.
        let mut heads = vec![0xff; 1 << 22];
        let count = heads.len() / HEAD;
        for at in 1..count {
            let mut head = ((heads.len() - (at + 1) * HEAD) as u64)
                .to_le_bytes()
                .to_vec();
            head.extend(9u64.to_le_bytes());
            head.extend(crc32fast::hash(&head).to_le_bytes());
            head.extend([0; 4]);
            heads[at * HEAD..][..HEAD].copy_from_slice(&head);
        }
        let start = std::time::Instant::now();
        assert_eq!(first(&heads, 7), Found::Damaged);
        assert!(start.elapsed().as_secs() < 30);
        let zeros = [0; 100];
        assert_eq!(first(&zeros, 0), Found::Torn);
    }
}
