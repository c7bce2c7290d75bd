//! Triplets whose negative sees anchor and positive under a wide angle.
//!
//! ```text
//! c = (a + p) / 2      tan θ = δ(a,p) / (2 δ(n,c))      chosen: θ > angle
//! δ(x,y)² = Σₖ (xₖ − yₖ + ε)² = ‖x − y‖² + 2ε (Σx − Σy) + dim ε²
//! ‖n − c‖² = ½‖a − n‖² + ½‖p − n‖² − ¼‖a − p‖²          (the median of a triangle)
//! ```
//!
//! The median turns the distance to a centre, of which there are as many as pairs, into distances between rows: a
//! triplet is judged by one addition and one comparison, and only matrices of squared distances are kept. The chosen
//! negatives of a pair are no interval of any order, so the set is asked anchor by anchor ([`TripletSet`]).

use std::fmt;

use crate::lengths;
use crate::{Real, TripletSet, map_rows, vectorized};

/// Appends the rows that are positive and negative for an anchor.
type Split = dyn Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Send + Sync;

/// Triplets by angle; see the [module](self).
pub struct AngularTriplets<T> {
    anchors: usize,
    references: usize,
    /// ½‖a − r‖² for anchors and references.
    from_anchor: Vec<T>,
    /// ½‖r − r‖² among references; empty if the anchors are the references.
    among: Vec<T>,
    /// ε Σₖ aₖ of each anchor, and ε Σₖ rₖ of each reference.
    shift: (Vec<f64>, Vec<f64>),
    /// dim ε².
    floor: f64,
    /// 1 / (4 tan² angle).
    reach: f64,
    split: Box<Split>,
    count: u64,
}

impl<T> fmt::Debug for AngularTriplets<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AngularTriplets")
            .field("anchors", &self.anchors)
            .field("references", &self.references)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Rows and the distances between them, as [`AngularTriplets::new`] reads them.
#[derive(Clone, Copy, Debug)]
pub struct Triangle<'a, T> {
    /// Anchors `[anchors, dim]`.
    pub anchors: &'a [T],
    /// References `[references, dim]`.
    pub references: &'a [T],
    /// Length of a row.
    pub dim: usize,
    /// Euclidean distances `[anchors, references]`.
    pub from_anchor: &'a [T],
    /// Euclidean distances `[references, references]`; `None` if the anchors are the references.
    pub among: Option<&'a [T]>,
}

impl<T> Triangle<'_, T> {
    /// # Panics
    /// Unless lengths fit each other.
    fn check(&self) {
        let anchors = lengths::rows("anchors", self.anchors.len(), self.dim);
        let references = lengths::rows("references", self.references.len(), self.dim);
        let area = lengths::area("from_anchor", anchors, references);
        lengths::length("from_anchor", self.from_anchor.len(), area);
        match self.among {
            Some(among) => {
                let area = lengths::area("among", references, references);
                lengths::length("among", among.len(), area);
            }
            None => lengths::length("references", references, anchors),
        }
    }
}

/// What one task works with.
#[derive(Default)]
struct Scratch<T> {
    positives: Vec<u32>,
    negatives: Vec<u32>,
    /// ½‖a − n‖² + 2ε Σn where n is a negative, else infinity.
    row: Vec<T>,
}

impl<T: Real> AngularTriplets<T> {
    /// Chooses triplets whose angle is larger than `angle` radians, in `[0, π/2)`; `epsilon` is ε.
    ///
    /// # Panics
    /// If a length does not fit the shapes.
    #[must_use]
    pub fn new(
        rows: Triangle<'_, T>,
        angle: f64,
        epsilon: f64,
        split: impl Fn(usize, &mut Vec<u32>, &mut Vec<u32>) + Send + Sync + 'static,
    ) -> Self {
        rows.check();
        let half_square = |matrix: &[T]| -> Vec<T> {
            let half = T::from_f64(0.5);
            matrix.iter().map(|d| half * *d * *d).collect()
        };
        let shift = |rows_of: &[T]| -> Vec<f64> {
            rows_of
                .chunks_exact(rows.dim.max(1))
                .map(|row| epsilon * row.iter().map(|x| x.to_f64()).sum::<f64>())
                .collect()
        };
        let mut triplets = Self {
            anchors: rows.anchors.len() / rows.dim.max(1),
            references: rows.references.len() / rows.dim.max(1),
            from_anchor: half_square(rows.from_anchor),
            among: rows.among.map(half_square).unwrap_or_default(),
            shift: (shift(rows.anchors), shift(rows.references)),
            floor: rows.dim as f64 * epsilon * epsilon,
            reach: 0.25 / angle.tan().powi(2),
            split: Box::new(split),
            count: 0,
        };
        let counts = map_rows(triplets.anchors, |a, scratch: &mut Scratch<T>| {
            triplets.prepare(a, scratch);
            vectorized!({
                let chosen = scratch.positives.iter().map(|&p| {
                    let (among, limit) = triplets.pair(a, p as usize);
                    if is_unknown(limit) {
                        return scratch.negatives.len() as u64;
                    }
                    count_below(&scratch.row, among, limit)
                });
                chosen.sum::<u64>()
            })
        });
        triplets.count = counts.iter().sum();
        triplets
    }

    /// Finds positives, negatives and the row of an anchor.
    fn prepare(&self, a: usize, scratch: &mut Scratch<T>) {
        scratch.positives.clear();
        scratch.negatives.clear();
        (self.split)(a, &mut scratch.positives, &mut scratch.negatives);
        scratch.row.clear();
        if scratch.negatives.is_empty() {
            scratch.positives.clear();
        }
        if scratch.positives.is_empty() {
            return;
        }
        scratch
            .row
            .resize(self.references, T::from_f64(f64::INFINITY));
        let from_anchor = &self.from_anchor[a * self.references..][..self.references];
        for &n in &scratch.negatives {
            let n = n as usize;
            scratch.row[n] = from_anchor[n] + T::from_f64(2.0 * self.shift.1[n]);
        }
    }

    /// ½‖p − r‖² for all references, and what the sum of both halves must stay below.
    fn pair(&self, a: usize, p: usize) -> (&[T], T) {
        let among = if self.among.is_empty() {
            &self.from_anchor
        } else {
            &self.among
        };
        let half_square = self.from_anchor[a * self.references + p].to_f64();
        let (of_anchor, of_positive) = (self.shift.0[a], self.shift.1[p]);
        // δ(a,p)² / (4 tan²) > δ(n,c)², solved for ½‖a − n‖² + ½‖p − n‖² + 2ε Σn.
        let width = 2.0 * half_square + 2.0 * (of_anchor - of_positive) + self.floor;
        let limit = self.reach * width + 0.5 * half_square + of_anchor + of_positive - self.floor;
        // A pair of no width at all sees nothing, whatever the angle: 0 · ∞.
        let limit = if width <= 0.0 {
            f64::NEG_INFINITY
        } else {
            limit
        };
        (
            &among[p * self.references..][..self.references],
            T::from_f64(limit),
        )
    }
}

/// Whether nothing can be said of the angles of a pair, as the square of its width is beyond the largest number, or NaN.
/// All of its negatives are chosen then.
fn is_unknown<T: Real>(limit: T) -> bool {
    limit.is_nan() || limit == T::from_f64(f64::INFINITY)
}

#[inline(always)]
fn count_below<T: Real>(row: &[T], among: &[T], limit: T) -> u64 {
    /// Short runs count in numbers as narrow as the values, which is what vector instructions do best.
    const RUN: usize = 4096;
    let mut total = 0;
    for (row, among) in row.chunks(RUN).zip(among.chunks(RUN)) {
        let below = row
            .iter()
            .zip(among)
            .map(|(x, y)| u32::from(*x + *y < limit));
        total += u64::from(below.sum::<u32>());
    }
    total
}

impl<T: Real> TripletSet for AngularTriplets<T> {
    fn anchors(&self) -> usize {
        self.anchors
    }

    fn references(&self) -> usize {
        self.references
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn for_anchor(&self, anchor: usize, f: &mut dyn FnMut(u32, &[u32])) {
        if anchor >= self.anchors {
            return;
        }
        let mut scratch = Scratch::default();
        self.prepare(anchor, &mut scratch);
        let mut chosen = Vec::with_capacity(scratch.negatives.len());
        for &p in &scratch.positives {
            let (among, limit) = self.pair(anchor, p as usize);
            chosen.clear();
            let all = is_unknown(limit);
            let below = |n: &u32| all || scratch.row[*n as usize] + among[*n as usize] < limit;
            chosen.extend(scratch.negatives.iter().copied().filter(below));
            if !chosen.is_empty() {
                f(p, &chosen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairwise_lp::pairwise_lp;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const EPSILON: f64 = 1e-6;

    fn delta(x: &[f64], y: &[f64]) -> f64 {
        let square = |(x, y): (&f64, &f64)| (x - y + EPSILON).powi(2);
        x.iter().zip(y).map(square).sum::<f64>().sqrt()
    }

    /// By the definition: a centre for each pair, an angle for each triplet.
    fn naive(
        anchors: &[f64],
        references: &[f64],
        dim: usize,
        angle: f64,
        labels: (&[u8], &[u8]),
        same: bool,
    ) -> Vec<(u32, u32, u32)> {
        let mut chosen = Vec::new();
        for (i, a) in anchors.chunks(dim).enumerate() {
            for (j, p) in references.chunks(dim).enumerate() {
                for (k, n) in references.chunks(dim).enumerate() {
                    let positive = labels.0[i] == labels.1[j] && !(same && i == j);
                    if !positive || labels.0[i] == labels.1[k] {
                        continue;
                    }
                    let centre: Vec<f64> = a.iter().zip(p).map(|(x, y)| (x + y) / 2.0).collect();
                    if (delta(a, p) / (2.0 * delta(n, &centre))).atan() > angle {
                        chosen.push((i as u32, j as u32, k as u32));
                    }
                }
            }
        }
        chosen
    }

    #[test]
    fn the_set_is_that_of_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for round in 0..60 {
            let same = round % 2 == 0;
            let scale = [1.0, 1e-4, 1e3][round % 3];
            let dim = rng.random_range(1..6);
            let mut rows = |n: usize| -> Vec<f64> {
                (0..n * dim)
                    .map(|_| scale * rng.random_range(-1.0..1.0))
                    .collect()
            };
            let anchors = rows(9);
            let references = if same { anchors.clone() } else { rows(11) };
            let label = |i: usize| (i % 3) as u8;
            let labels: (Vec<u8>, Vec<u8>) = (
                (0..9).map(label).collect(),
                (0..references.len() / dim).map(label).collect(),
            );
            let from_anchor = pairwise_lp(&anchors, &references, dim, 2.0);
            let among = pairwise_lp(&references, &references, dim, 2.0);
            for degrees in [0f64, 20.0, 45.0, 70.0] {
                let angle = degrees.to_radians();
                let of = labels.clone();
                let set = AngularTriplets::new(
                    Triangle {
                        anchors: &anchors,
                        references: &references,
                        dim,
                        from_anchor: &from_anchor,
                        among: (!same).then_some(&among[..]),
                    },
                    angle,
                    EPSILON,
                    move |a, positives, negatives| {
                        for (r, label) in of.1.iter().enumerate() {
                            if *label != of.0[a] {
                                negatives.push(r as u32);
                            } else if !(same && r == a) {
                                positives.push(r as u32);
                            }
                        }
                    },
                );
                let mut got = Vec::new();
                for a in 0..set.anchors() {
                    set.for_anchor(a, &mut |p, negatives| {
                        got.extend(negatives.iter().map(|n| (a as u32, p, *n)));
                    });
                }
                let want = naive(
                    &anchors,
                    &references,
                    dim,
                    angle,
                    (&labels.0, &labels.1),
                    same,
                );
                assert_eq!(got, want, "{degrees}° at scale {scale}");
                assert_eq!(set.count(), want.len() as u64);
            }
        }
    }
}
