//! The factors of dropout.

use dml_core::kernels::Real;
use rand::RngCore;
use rand_chacha::ChaCha8Rng;

/// The factors of one call, 0 with probability p, else `kept`: the k-th follows from the k-th word of a generator.
#[derive(Clone, Debug)]
pub(crate) struct Factors {
    rng: ChaCha8Rng,
    /// p · 2³², so that the probability is right to 2⁻³².
    threshold: u64,
    kept: f64,
}

impl Factors {
    pub(crate) fn new([p, kept]: [f64; 2], rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            threshold: (p * (1u64 << 32) as f64).round() as u64,
            kept,
        }
    }

    /// The factors from number `first` on.
    pub(crate) fn fill<T: Real>(&self, first: u128, factors: &mut [T]) {
        let kept = T::from_f64(self.kept);
        let mut rng = self.rng.clone();
        rng.set_word_pos(first);
        for factor in factors {
            let keeps = u64::from(rng.next_u32()) >= self.threshold;
            *factor = if keeps { kept } else { T::ZERO };
        }
    }
}
