//! Ranges against a naive loop over all triplets: the same set.

use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) fn splitter(labels: &[u8]) -> impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Sync + '_ {
    move |a, positives, negatives| {
        for (j, label) in labels.iter().enumerate() {
            if *label != labels[a] {
                negatives.push(j as u32);
            } else if j != a {
                positives.push(j as u32);
            }
        }
    }
}

fn expand(ranges: &TripletRanges) -> Vec<(u32, u32, u32)> {
    let mut all = Vec::new();
    ranges.for_each(|a, p, n| all.push((a, p, n)));
    all
}

/// Values on a coarse grid make ties frequent.
pub(crate) fn batch(rng: &mut ChaCha8Rng) -> (Vec<f32>, Vec<u8>, usize) {
    let n = rng.random_range(1..14);
    let classes = rng.random_range(1..4);
    let labels = (0..n).map(|_| rng.random_range(0..classes)).collect();
    let coarse = rng.random_bool(0.5);
    let matrix = (0..n * n)
        .map(|_| {
            let x: f32 = rng.random_range(-1.0..1.0);
            if coarse { (x * 8.0).round() / 8.0 } else { x }
        })
        .collect();
    (matrix, labels, n)
}

#[test]
fn ranges_are_the_triplets_of_a_naive_loop_in_a_thousand_batches() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..1000 {
        let (matrix, labels, n) = batch(&mut rng);
        let margin = if rng.random_bool(0.5) {
            0.25
        } else {
            rng.random_range(-0.5..0.5)
        };
        let sign = if rng.random_bool(0.5) { 1f32 } else { -1. };
        for interval in [
            GapInterval {
                above: None,
                at_most: Some(margin),
            },
            GapInterval {
                above: None,
                at_most: Some(margin.min(0.0)),
            },
            GapInterval {
                above: Some(0.0),
                at_most: Some(margin),
            },
            GapInterval {
                above: Some(margin),
                at_most: None,
            },
            GapInterval::default(),
        ] {
            let ranges = TripletRanges::select(&matrix, n, sign, interval, splitter(&labels));
            let mut naive = Vec::new();
            for a in 0..n {
                for p in (0..n).filter(|&p| p != a && labels[p] == labels[a]) {
                    for m in (0..n).filter(|&m| labels[m] != labels[a]) {
                        let gap = sign * matrix[a * n + m] - sign * matrix[a * n + p];
                        if interval.above.is_none_or(|b| gap > b as f32)
                            && interval.at_most.is_none_or(|b| gap <= b as f32)
                        {
                            naive.push((a as u32, p as u32, m as u32));
                        }
                    }
                }
            }
            assert_eq!(ranges.count(), naive.len() as u64);
            assert_eq!(expand(&ranges), naive);
        }
    }
}

#[test]
fn anchors_that_do_not_exist_have_no_triplets() {
    let ranges = TripletRanges::select(&[0f32; 4], 2, 1.0, GapInterval::default(), |_, _, _| {});
    assert!(ranges.negatives(2).is_empty() && ranges.spans(7).is_empty());
    assert!(TripletRanges::default().negatives(0).is_empty());
}
