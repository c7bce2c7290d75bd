//! Positive pairs that are too far, and negative pairs that are too near.

use dml_core::kernels::{PairMask, Real};
use dml_core::{Batch, Distance, Result, Tuples};

use crate::host::{Sides, with_distances};

/// The positives that are farther than a bound, with `slack` added to their distances, and the negatives that are nearer than
/// another, with `slack` taken off theirs; as a mask. Without `bounds` those of an anchor are its nearest negative and its
/// farthest positive.
pub(crate) fn hard_pairs(
    component: &'static str,
    batch: &Batch,
    distance: &dyn Distance,
    slack: f64,
    bounds: Option<[f64; 2]>,
) -> Result<Tuples> {
    let relation = batch.require_relation(component)?;
    if batch.is_spoiled()? {
        return Ok(Tuples::all());
    }
    let (queries, references) = (batch.queries(), batch.references());
    let sign = distance.order().sign();
    let mask = with_distances!(batch, distance, |matrix: &[T]| {
        let number = |x: f64| <T as Real>::from_f64(x);
        let bounds = bounds.map(|both| both.map(|bound| number(sign * bound)));
        let (sign, slack) = (number(sign), number(slack));
        PairMask::select(
            queries,
            references,
            |q, positives, negatives, sides: &mut Sides| {
                let row = &matrix[q * references..][..references];
                let far = |r: &u32| sign * row[*r as usize];
                sides.of(relation, q);
                // Over nothing the bounds are infinite, and no comparison with them holds.
                let [beyond, within] = bounds.unwrap_or_else(|| {
                    let nearest = sides.negatives.iter().map(far);
                    let farthest = sides.positives.iter().map(far);
                    [
                        nearest.fold(number(f64::INFINITY), Real::min),
                        farthest.fold(number(f64::NEG_INFINITY), Real::max),
                    ]
                });
                for p in &sides.positives {
                    let far = far(p) + slack;
                    positives.insert_if(*p as usize, far > beyond || far.is_nan());
                }
                for n in &sides.negatives {
                    let far = far(n) - slack;
                    negatives.insert_if(*n as usize, far < within || far.is_nan());
                }
            },
        )
    })?;
    Ok(Tuples::from_set(mask))
}
