//! Damaged copies of a file, for tests.

/// A copy with one to eight faults of the kinds that disks, networks and ill will make. Equal seeds give equal copies.
pub(crate) fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    // SplitMix64.
    let mut draw = |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % below.max(1) as u64) as usize
    };
    let mut copy = bytes.to_vec();
    for _ in 0..=draw(8) {
        let at = draw(copy.len());
        let end = (at + 1 + draw(8)).min(copy.len());
        match draw(8) {
            0 => copy.truncate(at),
            1 if !copy.is_empty() => copy[at] ^= 1 << draw(8),
            2 if !copy.is_empty() => copy[at] = draw(256) as u8,
            3 => copy[at..end].fill(0),
            4 => copy[at..end].fill(0xff),
            5 => copy.insert(at, draw(256) as u8),
            6 => drop(copy.drain(at..end)),
            _ => {
                let part = copy[at..end].to_vec();
                let to = draw(copy.len() + 1);
                copy.splice(to..to, part);
            }
        }
    }
    copy
}
