//! Bytes a few steps away from given ones.

use rand::Rng;

use super::one_of;

/// Numbers at which something ends.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    1_000_000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1_000_000_000_000,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// `bytes` after one to four changes: bits, bytes and numbers of two to eight bytes in either order, digits of text, and
/// parts that are cut off, left out, doubled or put elsewhere.
#[must_use]
pub fn mutated(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        change(&mut bytes, rng);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..9) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 | 3 => number(bytes, at, rng),
        4 => digits(bytes, at, rng),
        5 => bytes.truncate(at),
        6 => {
            let end = part_end(bytes, at, rng);
            bytes.drain(at..end);
        }
        7 => {
            let end = part_end(bytes, at, rng);
            let part = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let end = part_end(bytes, at, rng);
            let part = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len() - part.len());
            bytes[to..to + part.len()].copy_from_slice(&part);
        }
    }
}

/// The end of a part of at most 32 bytes.
fn part_end(bytes: &[u8], at: usize, rng: &mut impl Rng) -> usize {
    rng.random_range(at + 1..=bytes.len().min(at + 32))
}

/// Puts a number at a place, in two, four or eight bytes.
fn number(bytes: &mut [u8], at: usize, rng: &mut impl Rng) {
    let number = one_of(&NUMBERS, rng);
    let width = one_of(&[2, 4, 8], rng).min(bytes.len() - at);
    let little = number.to_le_bytes();
    let place = &mut bytes[at..at + width];
    place.copy_from_slice(&little[..width]);
    if rng.random() {
        place.reverse();
    }
}

/// Replaces the digits around a place by other ones; without digits there, the byte by any digit.
fn digits(bytes: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let from_start = bytes[at..].iter().position(u8::is_ascii_digit);
    let start = from_start.map_or(at, |skipped| at + skipped);
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let end = start + length.count().max(1);
    let text = match rng.random_range(0..4) {
        0 => "-1".to_owned(),
        1 => "1e308".to_owned(),
        2 => rng.random_range(0..100u8).to_string(),
        _ => one_of(&NUMBERS, rng).to_string(),
    };
    bytes.splice(start..end.min(bytes.len()), text.into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn changes_follow_the_seed_and_stay_small() {
        let from = |seed| mutated(b"rows: 12, dim: 4", &mut ChaCha8Rng::seed_from_u64(seed));
        let all: Vec<Vec<u8>> = (0..500).map(from).collect();
        assert_eq!(all[7], from(7));
        assert!(all.iter().all(|bytes| bytes.len() < 200));
        let different = all.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(different > 300, "{different}");
        // From nothing, too.
        assert!(!mutated(b"", &mut ChaCha8Rng::seed_from_u64(0)).is_empty());
    }
}
