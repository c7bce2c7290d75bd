//! Distributes the rows of many classes over batches of nearly equal size in which no class repeats.
//!
//! Shared by the samplers that show every row once an epoch and keep each batch free of repeats.

use rand::Rng;
use rand::seq::SliceRandom;

/// The classes of each of `batches` batches: class `c` occurs in `counts[c]` different batches, and the sizes of the
/// batches differ by at most one. Requires `counts[c] <= batches`. Time and memory are linear in the number of rows.
///
/// A class is placed in the smallest batches, ties broken at random; this keeps all sizes within one of each other, so a
/// free batch always exists. Large classes would avoid each other that way, so rows are exchanged at random afterwards,
/// wherever an exchange repeats no class.
pub(crate) fn distribute(counts: &[usize], batches: usize, rng: &mut impl Rng) -> Vec<Vec<u32>> {
    debug_assert!(counts.iter().all(|&n| n <= batches));
    let mut filled: Vec<Vec<u32>> = vec![Vec::new(); batches];
    let mut classes: Vec<u32> = (0..counts.len() as u32).collect();
    classes.shuffle(rng);
    // Batches `order[..low]` hold one row less than the others.
    let mut order: Vec<usize> = (0..batches).collect();
    let mut low = batches;
    for class in classes {
        let n = counts[class as usize];
        let rest = n.saturating_sub(low);
        if rest == 0 {
            for _ in 0..n {
                let chosen = rng.random_range(0..low);
                low -= 1;
                order.swap(chosen, low);
                filled[order[low]].push(class);
            }
        } else {
            for &batch in &order[..low] {
                filled[batch].push(class);
            }
            let mut top = batches;
            for _ in 0..rest {
                let chosen = rng.random_range(low..top);
                top -= 1;
                order.swap(chosen, top);
                filled[order[top]].push(class);
            }
            low = top;
        }
        if low == 0 {
            low = batches;
        }
    }
    exchange(&mut filled, rng);
    filled
}

/// Offers every row for exchange with a random row of a random batch.
fn exchange(filled: &mut [Vec<u32>], rng: &mut impl Rng) {
    let batches = filled.len();
    for a in 0..batches {
        for i in 0..filled[a].len() {
            let b = rng.random_range(0..batches);
            if filled[b].is_empty() {
                continue;
            }
            let j = rng.random_range(0..filled[b].len());
            let (mine, theirs) = (filled[a][i], filled[b][j]);
            if !filled[b].contains(&mine) && !filled[a].contains(&theirs) {
                filled[a][i] = theirs;
                filled[b][j] = mine;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch_rng::epoch_rng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_are_even_and_hold_no_class_twice(
            counts in prop::collection::vec(0usize..9, 0..20), more in 0usize..6, seed: u64,
        ) {
            let batches = (counts.iter().max().copied().unwrap_or(0) + more).max(1);
            let filled = distribute(&counts, batches, &mut epoch_rng(seed, 0));
            let mut occurrences = vec![0; counts.len()];
            let total: usize = counts.iter().sum();
            for batch in &filled {
                prop_assert!(batch.len() == total / batches || batch.len() == total.div_ceil(batches));
                for (i, &class) in batch.iter().enumerate() {
                    prop_assert!(!batch[..i].contains(&class));
                    occurrences[class as usize] += 1;
                }
            }
            prop_assert_eq!(occurrences, counts);
        }
    }

    /// Without the exchange, four classes that each fill half of the batches would meet in two fixed pairs.
    #[test]
    fn large_classes_meet_each_other() {
        let mut together = [[0u32; 4]; 4];
        for epoch in 0..50 {
            for batch in distribute(&[20; 4], 40, &mut epoch_rng(1, epoch)) {
                together[batch[0] as usize][batch[1] as usize] += 1;
                together[batch[1] as usize][batch[0] as usize] += 1;
            }
        }
        for a in 0..4 {
            for b in (0..4).filter(|&b| b != a) {
                // 2,000 batches of 2 out of 6 pairs of classes: 333 each, standard deviation below 25.
                assert!((233..433).contains(&together[a][b]), "{together:?}");
            }
        }
    }
}
