//! Hinges over negatives in the order of another distance than the one that is summed.
//!
//! ```text
//! Σₚ Σᵢ max(0, h(a,p) − h(a,i) + margin)      i: place in [startₚ, endₚ), rank in [firstₚ, activeₚ)
//! ```
//!
//! A span is a piece of the miner's order; those of its negatives that violate the margin are a piece of the order of the
//! loss. What lies in both is found by going through the negatives once in the order of the loss: one tree holds those
//! that were passed, and tells how many of them lie in a span and how far they are in all; another holds the spans that
//! are open, and tells a negative how many of them it is in.
//!
//! ```text
//! time O((positives + negatives) · log negatives) for each anchor, for positives · negatives triplets
//! ```

use std::ops::AddAssign;

use super::{Partial, TripletMargin};
use crate::Real;
use crate::distance_order::DistanceOrder;
use crate::triplet_ranges::PositiveSpan;
use crate::triplet_walk::Group;

/// From how many triplets for each positive and negative on the trees pay.
const MANY: u64 = 48;

/// Memory that is used again for the next anchor.
#[derive(Default)]
pub(super) struct AnotherOrder<T> {
    order: DistanceOrder<T>,
    /// Places of the negatives in the miner's order, nearest by the loss first.
    places: Vec<u32>,
    /// What happens to which span at which rank, sorted.
    events: Vec<Event>,
    /// Negatives that were passed: how many, and how far in all.
    passed: Tree<[f64; 2]>,
    /// +1 where an open span begins, −1 where it ends.
    open: Tree<[f64; 1]>,
    /// How many negatives of each span violate the margin.
    violated: Vec<f64>,
}

/// Rank, span, and what happens there: in this order, so that a list of them sorts by rank.
type Event = (u32, u32, Happening);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// From this rank on, negatives count.
    First,
    /// From this rank on, they violate no margin.
    Inactive,
    /// From this rank on, they don't count.
    End,
}

/// Sums of what stands before a place, by a tree of partial sums (Fenwick 1994, "A new data structure for cumulative
/// frequency tables").
#[derive(Default)]
struct Tree<V>(Vec<V>);

impl<const N: usize> Tree<[f64; N]> {
    /// For places from 0 to this one.
    fn clear(&mut self, places: usize) {
        self.0.clear();
        self.0.resize(places + 1, [0.0; N]);
    }

    #[inline(always)]
    fn add(&mut self, place: usize, value: [f64; N]) {
        let mut node = place + 1;
        while let Some(sum) = self.0.get_mut(node) {
            sum.iter_mut()
                .zip(value)
                .for_each(|(sum, x)| sum.add_assign(x));
            node += node & node.wrapping_neg();
        }
    }

    /// The sum of all places before this one.
    #[inline(always)]
    fn before(&self, place: usize) -> [f64; N] {
        let (mut node, mut total) = (place, [0.0; N]);
        while node > 0 {
            total
                .iter_mut()
                .zip(self.0[node])
                .for_each(|(total, x)| total.add_assign(x));
            node &= node - 1;
        }
        total
    }
}

/// Whether there are so many triplets that trees are faster than a walk.
pub(super) fn pays<T>(group: &Group<'_, T>) -> bool {
    let lengths = group
        .spans
        .iter()
        .map(|span| u64::from(span.end - span.start));
    lengths.sum::<u64>() > MANY * (group.spans.len() + group.negatives.len()) as u64
}

/// Which ranks of the order of the loss count for a positive: values fall along it.
struct Ranks {
    /// Those before are too large.
    first: u32,
    /// Those from here on cost nothing.
    inactive: u32,
    /// Those from here on are too small.
    end: u32,
}

impl<T: Real> TripletMargin<T> {
    fn ranks(&self, sorted: &[T], near: T) -> Ranks {
        let violation = |far: &T| self.violation(near, *far);
        let value = |far: &T| self.value(near, *far).0;
        let first = self
            .high
            .map_or(0, |high| sorted.partition_point(|far| value(far) >= high));
        let end = self.low.map_or(sorted.len(), |low| {
            sorted.partition_point(|far| value(far) > low)
        });
        let inactive = sorted.partition_point(|far| violation(far) > T::ZERO);
        let end = end.max(first);
        Ranks {
            first: first as u32,
            inactive: inactive.clamp(first, end) as u32,
            end: end as u32,
        }
    }

    /// The hinges of some positives, whose negatives are all at finite distances.
    #[inline(always)]
    pub(super) fn sum_in_another_order(
        &self,
        row: &[T],
        group: &Group<'_, T>,
        gradient: &mut [T],
        scratch: &mut AnotherOrder<T>,
    ) -> Partial {
        let Group {
            negatives,
            spans,
            far,
            ..
        } = *group;
        let AnotherOrder {
            order,
            places,
            events,
            passed,
            open,
            violated,
        } = scratch;
        places.clear();
        places.extend(0..far.len() as u32);
        let sorted = order.sort(places, far, T::ONE);
        let near = |span: &PositiveSpan| self.near(row, span.positive);
        let (mut sum, mut count) = (0.0, 0.0);
        events.clear();
        for (number, span) in (0..).zip(spans) {
            let ranks = self.ranks(sorted, near(span));
            if ranks.first == ranks.end {
                continue;
            }
            events.push((ranks.first, number, Happening::First));
            events.push((ranks.inactive, number, Happening::Inactive));
            if ranks.end as usize == far.len() {
                count += f64::from(span.end - span.start);
            } else {
                events.push((ranks.end, number, Happening::End));
            }
        }
        events.sort_unstable();
        passed.clear(far.len());
        open.clear(far.len());
        violated.clear();
        violated.resize(spans.len(), 0.0);
        let mut coming = events.iter().peekable();
        for rank in 0..=far.len() {
            while let Some((_, number, happening)) =
                coming.next_if(|event| event.0 as usize == rank)
            {
                let span = &spans[*number as usize];
                let (start, end) = (span.start as usize, span.end as usize);
                let ([before, far_before], [inside, far_inside]) =
                    (passed.before(start), passed.before(end));
                let (inside, far_inside) = (inside - before, far_inside - far_before);
                let value = || inside * (near(span).to_f64() + self.margin.to_f64()) - far_inside;
                match happening {
                    Happening::First => {
                        count -= inside;
                        violated[*number as usize] -= inside;
                        sum -= value();
                        open.add(start, [1.0]);
                        open.add(end, [-1.0]);
                    }
                    Happening::Inactive => {
                        violated[*number as usize] += inside;
                        sum += value();
                        open.add(start, [-1.0]);
                        open.add(end, [1.0]);
                    }
                    Happening::End => count += inside,
                }
            }
            // After the last event no span is open.
            let (Some(place), Some(_)) = (places.get(rank), coming.peek()) else {
                break;
            };
            let place = *place as usize;
            let [covering] = open.before(place + 1);
            gradient[negatives[place] as usize] -= self.sign * T::from_f64(covering);
            passed.add(place, [1.0, far[place].to_f64()]);
        }
        for (span, violated) in spans.iter().zip(&*violated) {
            gradient[span.positive as usize] += self.sign * T::from_f64(*violated);
        }
        Partial {
            sum,
            count: count as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triplet_margin::TripletPenalty;
    use crate::triplet_ranges::tests::splitter;
    use crate::triplet_ranges::{GapInterval, TripletRanges};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn trees_give_what_a_walk_gives() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut scratch = AnotherOrder::default();
        for round in 0..300 {
            let n = rng.random_range(2..90);
            let labels: Vec<u8> = (0..n).map(|_| rng.random_range(0..3)).collect();
            // A coarse grid makes ties, also between what the miner and what the loss measures.
            let mut draw = || -> Vec<f64> {
                let coarse = rng.random_bool(0.5);
                let draw = |_| rng.random_range(-1.0..1.0);
                let values = (0..n).map(draw);
                let round = |x: f64| if coarse { (x * 8.0).round() / 8.0 } else { x };
                values.map(round).collect()
            };
            let (row, mined_by) = (draw(), draw());
            let interval = GapInterval {
                above: (round % 3 > 0).then_some(-0.4),
                at_most: (round % 2 > 0).then_some(0.5),
            };
            let ranges = TripletRanges::select(&mined_by, n, 1.0, interval, splitter(&labels));
            for (low, high) in [
                (None, None),
                (Some(0.0), None),
                (Some(-1.0), Some(0.5)),
                (Some(0.25), Some(0.75)),
                (None, Some(0.5)),
                (Some(0.5), Some(0.25)),
            ] {
                let rule = TripletMargin {
                    sign: -1.0,
                    margin: 0.25,
                    penalty: TripletPenalty::Hinge,
                    low,
                    high,
                };
                let negatives = ranges.negatives(0);
                let far: Vec<f64> = negatives.iter().map(|&n| -row[n as usize]).collect();
                let group = Group {
                    negatives,
                    spans: ranges.spans(0),
                    far: &far,
                    ordered: false,
                };
                let (mut by_trees, mut by_walk) = (vec![0.0; n], vec![0.0; n]);
                let got = rule.sum_in_another_order(&row, &group, &mut by_trees, &mut scratch);
                let want = rule.walk(&row, &group, &mut by_walk);
                assert_eq!((got.count, by_trees), (want.count, by_walk), "{rule:?}");
                assert!(
                    (got.sum - want.sum).abs() < 1e-9 * (1.0 + want.sum),
                    "{got:?} {want:?}"
                );
            }
        }
    }
}
