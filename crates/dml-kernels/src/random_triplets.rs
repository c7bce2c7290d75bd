//! Triplets drawn at random, uniformly or by the weight of their negatives.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::in_place::InPlace;
use crate::lengths;

/// Rows that one task takes at a time; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 16;

/// Anchors, positives and negatives of drawn triplets, anchors ascending.
pub type DrawnTriplets = (Vec<u32>, Vec<u32>, Vec<u32>);

/// Draws triplets of each anchor that has a positive and a negative, with replacement.
///
/// - `split(a, positives, negatives)` appends the rows that are positive and negative for anchor `a`;
/// - `draws(a, positives)` says how many triplets of `a` are drawn, `positives` being the number of its positives;
/// - `weigh(a, negatives, weights)` appends one weight `>= 0` per negative. An anchor whose weights are all 0 gives
///   nothing. Without `weigh` negatives are drawn uniformly; positives always are.
///
/// Every anchor draws from a generator of its own, so the result depends on `seed` alone.
///
/// # Panics
/// If `weigh` does not give one weight per negative.
#[must_use]
pub fn random_triplets(
    anchors: usize,
    seed: u64,
    split: impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Sync,
    draws: impl Fn(usize, usize) -> usize + Sync,
    weigh: Option<&Weigh<'_>>,
) -> DrawnTriplets {
    let generator = ChaCha8Rng::seed_from_u64(seed);
    let starts: Vec<usize> = (0..anchors).step_by(ROWS).collect();
    let parts: Vec<DrawnTriplets> = starts.into_par_iter().map_in_place(|first| {
        let mut part = DrawnTriplets::default();
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        let (mut weights, mut reached) = (Vec::new(), Vec::new());
        for a in first..(first + ROWS).min(anchors) {
            positives.clear();
            negatives.clear();
            split(a, &mut positives, &mut negatives);
            if positives.is_empty() || negatives.is_empty() {
                continue;
            }
            let mut rng = generator.clone();
            rng.set_stream(a as u64);
            let wheel = match weigh {
                None => None,
                Some(weigh) => {
                    weights.clear();
                    weigh(a, &negatives, &mut weights);
                    lengths::length("weights", weights.len(), negatives.len());
                    match Wheel::new(&weights, &mut reached) {
                        Some(wheel) => Some(wheel),
                        None => continue,
                    }
                }
            };
            for _ in 0..draws(a, positives.len()) {
                let p = rng.random_range(0..positives.len() as u32) as usize;
                let n = match &wheel {
                    None => rng.random_range(0..negatives.len() as u32) as usize,
                    Some(wheel) => wheel.place(rng.random()),
                };
                part.0.push(a as u32);
                part.1.push(positives[p]);
                part.2.push(negatives[n]);
            }
        }
        part
    });
    let mut all = DrawnTriplets::default();
    for (anchors, positives, negatives) in parts {
        all.0.extend(anchors);
        all.1.extend(positives);
        all.2.extend(negatives);
    }
    all
}

/// Weighs the negatives of an anchor; see [`random_triplets`].
pub type Weigh<'a> = dyn Fn(usize, &[u32], &mut Vec<f64>) + Sync + 'a;

/// A wheel of fortune whose sectors are as wide as the weights.
struct Wheel<'a> {
    /// Where each sector ends.
    reached: &'a [f64],
    /// The last sector of any width.
    last: usize,
}

impl<'a> Wheel<'a> {
    /// `None` if no sector has any width.
    fn new(weights: &[f64], reached: &'a mut Vec<f64>) -> Option<Self> {
        let mut sum = 0.0;
        reached.clear();
        reached.extend(weights.iter().map(|w| {
            sum += w;
            sum
        }));
        let last = weights.iter().rposition(|w| *w > 0.0)?;
        Some(Self { reached, last })
    }

    /// The sector at `turn`, a number in `[0, 1)`.
    fn place(&self, turn: f64) -> usize {
        let target = turn * self.reached[self.last];
        // Rounding can carry the product to the very end of the wheel, past the last sector.
        self.reached
            .partition_point(|end| *end <= target)
            .min(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(a: usize, positives: &mut Vec<u32>, negatives: &mut Vec<u32>) {
        // Anchor 1 has no positive, anchor 2 no negative.
        if a != 1 {
            positives.extend([10, 11]);
        }
        if a != 2 {
            negatives.extend([20, 21, 22, 23]);
        }
    }

    /// χ² of observed counts against expected shares.
    fn chi_square(counts: &[usize], shares: &[f64]) -> f64 {
        let total: usize = counts.iter().sum();
        counts
            .iter()
            .zip(shares)
            .filter(|(_, share)| **share > 0.0)
            .map(|(count, share)| {
                let expected = share * total as f64;
                (*count as f64 - expected).powi(2) / expected
            })
            .sum()
    }

    #[test]
    fn draws_follow_the_weights() {
        let weights = [1.0, 0.0, 3.0, 4.0];
        let weigh = |_: usize, negatives: &[u32], out: &mut Vec<f64>| {
            assert_eq!(negatives, [20, 21, 22, 23]);
            out.extend(weights);
        };
        let (anchors, positives, negatives) =
            random_triplets(4, 5, split, |_, _| 4000, Some(&weigh));
        assert_eq!(anchors.len(), 8000);
        assert!(anchors.iter().all(|a| [0, 3].contains(a)));
        let count = |rows: &[u32], row: u32, a: u32| {
            rows.iter()
                .zip(&anchors)
                .filter(|(r, anchor)| **r == row && **anchor == a)
                .count()
        };
        for a in [0, 3] {
            let drawn: Vec<usize> = (20..24).map(|n| count(&negatives, n, a)).collect();
            assert_eq!(drawn[1], 0);
            // 13.8 and 10.8: one chance in a thousand for two degrees of freedom and for one.
            assert!(chi_square(&drawn, &[0.125, 0.0, 0.375, 0.5]) < 13.8);
            let drawn: Vec<usize> = (10..12).map(|p| count(&positives, p, a)).collect();
            assert!(chi_square(&drawn, &[0.5, 0.5]) < 10.8);
        }
    }

    #[test]
    fn without_weights_negatives_are_uniform_and_seeds_decide() {
        let draw = |seed| random_triplets(40, seed, split, |_, positives| 10 * positives, None);
        let (anchors, _, negatives) = draw(1);
        assert_eq!(anchors.len(), 38 * 20);
        let drawn: Vec<usize> = (20..24)
            .map(|n| negatives.iter().filter(|row| **row == n).count())
            .collect();
        // 16.3: one chance in a thousand for three degrees of freedom.
        assert!(chi_square(&drawn, &[0.25; 4]) < 16.3);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn an_anchor_without_any_weight_gives_nothing() {
        let weigh = |a: usize, _: &[u32], out: &mut Vec<f64>| {
            out.extend(if a == 0 {
                [0.0; 4]
            } else {
                [0.0, 0.0, 2.0, 0.0]
            });
        };
        let (anchors, _, negatives) = random_triplets(4, 5, split, |_, _| 3, Some(&weigh));
        assert_eq!(anchors, [3, 3, 3]);
        assert_eq!(negatives, [22, 22, 22]);
    }
}
