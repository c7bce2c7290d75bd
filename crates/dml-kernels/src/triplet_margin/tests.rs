//! Sums against a naive loop over all triplets: the same values, the same gradients.

use super::*;
use crate::triplet_ranges::tests::{batch, splitter};
use crate::triplet_ranges::{GapInterval, TripletRanges};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::cmp::Ordering;

fn naive_sum(
    rule: &TripletMargin<f32>,
    matrix: &[f32],
    n: usize,
    ranges: &TripletRanges,
    swap: Option<&[f32]>,
) -> TripletSum<f64> {
    let mut out = TripletSum {
        sum: 0.0,
        count: 0,
        gradient: vec![0.0; matrix.len()],
        swap_gradient: vec![0.0; swap.map_or(0, <[f32]>::len)],
    };
    ranges.for_each(|a, p, m| {
        let (a, p, m) = (a as usize, p as usize, m as usize);
        let from_anchor = rule.sign * matrix[a * n + m];
        let other = swap.map(|inside| rule.sign * inside[p * n + m]);
        let far = other.map_or(from_anchor, |o| from_anchor.min(o));
        let v = rule.sign * matrix[a * n + p] - far + rule.margin;
        let (value, derivative) = match rule.penalty {
            TripletPenalty::Hinge => (v.max(0.0), f64::from(u8::from(v > 0.0))),
            TripletPenalty::Softplus => ((1.0 + v.exp()).ln(), 1.0 / (1.0 + f64::from(-v).exp())),
        };
        if rule.low.is_some_and(|low| value <= low) || rule.high.is_some_and(|high| value >= high) {
            return;
        }
        let sign = f64::from(rule.sign);
        out.sum += f64::from(value);
        out.count += 1;
        out.gradient[a * n + p] += sign * derivative;
        let share = match other.and_then(|o| o.partial_cmp(&from_anchor)) {
            Some(Ordering::Less) => 0.0,
            Some(Ordering::Equal) => 0.5,
            _ => 1.0,
        };
        out.gradient[a * n + m] -= sign * derivative * share;
        if swap.is_some() {
            out.swap_gradient[p * n + m] -= sign * derivative * (1.0 - share);
        }
    });
    out
}

#[test]
fn sums_and_gradients_are_those_of_a_naive_loop() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..400 {
        let (matrix, labels, n) = batch(&mut rng);
        let sign = if round % 2 == 0 { 1f32 } else { -1. };
        // Every third batch is mined by another matrix, so that its order is not that of the loss.
        let mined_by: Vec<f32> = if round % 3 == 0 {
            matrix.iter().map(|x| (x * 37.0).sin()).collect()
        } else {
            matrix.clone()
        };
        let interval = GapInterval {
            above: Some(-0.7),
            at_most: Some(0.8),
        };
        let ranges = TripletRanges::select(&mined_by, n, sign, interval, splitter(&labels));
        let inside: Vec<f32> = matrix.iter().rev().copied().collect();
        for penalty in [TripletPenalty::Hinge, TripletPenalty::Softplus] {
            for (low, high) in [
                (None, None),
                (Some(0.0), None),
                (Some(0.3), Some(0.9)),
                (None, Some(0.5)),
                (Some(-1.0), None),
            ] {
                for swap in [None, Some(inside.as_slice())] {
                    let rule = TripletMargin {
                        sign,
                        margin: 0.2,
                        penalty,
                        low,
                        high,
                    };
                    let got = match swap {
                        None => rule.sum(&matrix, n, TripletWalk::Ranges(&ranges)),
                        Some(swap) => rule.sum_with_swap(&matrix, swap, n, &ranges),
                    };
                    let want = naive_sum(&rule, &matrix, n, &ranges, swap);
                    assert_eq!(got.count, want.count);
                    assert!(
                        (got.sum - want.sum).abs() <= 1e-5 * (1.0 + want.sum.abs()),
                        "{} {}",
                        got.sum,
                        want.sum
                    );
                    for (g, w) in got
                        .gradient
                        .iter()
                        .zip(&want.gradient)
                        .chain(got.swap_gradient.iter().zip(&want.swap_gradient))
                    {
                        assert!((f64::from(*g) - w).abs() < 1e-4, "{g} {w}");
                    }
                    if swap.is_none() {
                        let walked = rule.sum(&matrix, n, TripletWalk::Set(&ranges));
                        assert_eq!(walked.count, want.count);
                        assert!((walked.sum - want.sum).abs() <= 1e-5 * (1.0 + want.sum.abs()));
                    }
                }
            }
        }
    }
}

#[test]
fn softplus_survives_distances_of_any_size() {
    let labels = [0, 0, 1];
    for scale in [1e-6f32, 1.0, 150.0, 1e4] {
        let matrix = [
            0.,
            3. * scale,
            scale,
            3. * scale,
            0.,
            2. * scale,
            scale,
            2. * scale,
            0.,
        ];
        let ranges =
            TripletRanges::select(&matrix, 3, 1.0, GapInterval::default(), splitter(&labels));
        let rule = TripletMargin {
            sign: 1.0,
            margin: 0.1,
            penalty: TripletPenalty::Softplus,
            low: None,
            high: None,
        };
        let got = rule.sum(&matrix, 3, TripletWalk::Ranges(&ranges));
        let softplus = |v: f32| f64::from(v.max(0.0)) + f64::from((-v.abs()).exp().ln_1p());
        let want = softplus(3. * scale - scale + 0.1) + softplus(3. * scale - 2. * scale + 0.1);
        assert!(
            (got.sum - want).abs() <= 1e-6 * want,
            "{scale}: {} {want}",
            got.sum
        );
        assert!(got.gradient.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn distances_that_are_no_numbers_are_selected_counted_and_summed() {
    let labels = [0, 0, 1, 1];
    let intervals = [
        GapInterval {
            above: Some(0.0),
            at_most: Some(0.2),
        },
        GapInterval {
            above: None,
            at_most: Some(-1.0),
        },
        GapInterval {
            above: Some(9.0),
            at_most: None,
        },
    ];
    // Everywhere, to a positive, to a negative; ∞ to both, whose gap is no number either.
    let everywhere: Vec<usize> = (0..16).collect();
    let holes = [
        (f32::NAN, &everywhere[..]),
        (f32::NAN, &[1]),
        (-f32::NAN, &[2]),
        (f32::INFINITY, &[1, 2]),
    ];
    for (value, places) in holes {
        let mut matrix: Vec<f32> = (0..16).map(|i| 1.0 + 0.1 * i as f32).collect();
        places.iter().for_each(|place| matrix[*place] = value);
        for interval in intervals {
            for sign in [1.0, -1.0] {
                for penalty in [TripletPenalty::Hinge, TripletPenalty::Softplus] {
                    let ranges =
                        TripletRanges::select(&matrix, 4, sign, interval, splitter(&labels));
                    let rule = TripletMargin {
                        sign,
                        margin: 0.1,
                        penalty,
                        low: Some(0.0),
                        high: None,
                    };
                    let sum = rule.sum(&matrix, 4, TripletWalk::Ranges(&ranges));
                    assert!(sum.count > 0 && sum.sum.is_nan(), "{value} at {places:?}");
                    assert!(sum.gradient.iter().any(|g| g.is_nan()));
                }
            }
        }
    }
}
