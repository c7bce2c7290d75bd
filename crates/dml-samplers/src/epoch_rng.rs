//! The generator of an epoch: a stream of its own for each (seed, epoch), so epochs can be taken up in any order.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Streams from here on serve what is drawn once, when a sampler is made.
const CONSTRUCTION: u64 = u64::MAX;

/// The generator of `epoch`.
pub(crate) fn epoch_rng(seed: u64, epoch: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    rng
}

/// The generator of what a sampler fixes for all epochs.
pub(crate) fn construction_rng(seed: u64) -> ChaCha8Rng {
    epoch_rng(seed, CONSTRUCTION)
}
