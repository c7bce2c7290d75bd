//! Randomness that is explicit, and still differs from call to call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A seed for each number, from a seed: splitmix64 over the two. For what must depend on numbers alone and not on the
/// order of calls, such as a row and a pass.
#[must_use]
pub fn mix_seed(seed: u64, number: u64) -> u64 {
    let mut z = seed
        .wrapping_add(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seed with a counter: every call of a random component gets a generator of its own.
///
/// The k-th generator depends on the seed and on k alone, so a run can be repeated, and one that is taken up again
/// goes on where it was ([`SeedSequence::skip`], [`SeedSequence::resume`]).
///
/// ```
/// use dml_core::SeedSequence;
/// use rand::RngCore;
///
/// let (once, again) = (SeedSequence::new(7), SeedSequence::new(7));
/// let first = once.next_rng().next_u64();
/// assert_eq!(first, again.next_rng().next_u64());
/// assert_ne!(first, once.next_rng().next_u64());
/// ```
#[derive(Debug)]
pub struct SeedSequence {
    seed: u64,
    calls: Arc<AtomicU64>,
}

impl SeedSequence {
    /// The sequence of `seed`, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            calls: Arc::default(),
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many generators were handed out.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Passes over the generators of `calls` calls.
    #[must_use]
    pub fn skip(self, calls: u64) -> Self {
        self.calls.fetch_add(calls, Ordering::Relaxed);
        self
    }

    /// The same sequence once more: what one hands out, the other doesn't. For whoever writes down how far a component
    /// has come, and sets it back.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            seed: self.seed,
            calls: self.calls.clone(),
        }
    }

    /// Goes on as after `calls` calls, be it forward or back; so do all [handles](SeedSequence::handle).
    pub fn resume(&self, calls: u64) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    /// The next generator.
    pub fn next_rng(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.calls.fetch_add(1, Ordering::Relaxed));
        rng
    }
}

/// The clone goes on from where the original is, by a counter of its own.
impl Clone for SeedSequence {
    fn clone(&self) -> Self {
        Self::new(self.seed).skip(self.calls())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn seeds_of_neighbours_differ() {
        let mut seeds: Vec<u64> = (0..1_000)
            .flat_map(|seed| (0..20).map(move |number| mix_seed(seed, number)))
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 20_000);
    }

    #[test]
    fn handles_share_the_counter_and_clones_do_not() {
        let sequence = SeedSequence::new(5);
        let (handle, clone) = (sequence.handle(), sequence.clone());
        let first = handle.next_rng().next_u64();
        assert_eq!((sequence.calls(), clone.calls()), (1, 0));
        let second = sequence.next_rng().next_u64();
        assert_ne!(first, second);
        handle.resume(1);
        assert_eq!(sequence.next_rng().next_u64(), second);
    }

    #[test]
    fn a_sequence_goes_on_where_it_was() {
        let sequence = SeedSequence::new(3);
        let draws: Vec<u64> = (0..4).map(|_| sequence.next_rng().next_u64()).collect();
        let later = SeedSequence::new(3).skip(2);
        assert_eq!(later.clone().next_rng().next_u64(), draws[2]);
        assert_eq!(later.next_rng().next_u64(), draws[2]);
        assert_eq!(later.next_rng().next_u64(), draws[3]);
        assert_eq!((later.seed(), later.calls()), (3, 4));
        assert!((1..4).all(|i| !draws[..i].contains(&draws[i])));
    }
}
