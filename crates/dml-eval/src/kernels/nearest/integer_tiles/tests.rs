use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::kernels::nearest::References;

/// Checks that every key less the shift lies between what its number is at least and at most; gives the widest interval
/// relative to the lengths of both rows.
fn widest<T: Real>(queries: &[T], rows: &[T], dim: usize, instructions: Instructions) -> f64 {
    let mut references = References::new(dim);
    references.extend(rows);
    let excluded = vec![None; queries.len() / dim];
    let mut widest = 0f64;
    for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
        let block = Block::new(&references, affinity, queries, &excluded);
        let mut found = Found::new(&block, references.len(), |_| f64::INFINITY);
        let mut tiles = IntegerTiles::new(&block, instructions).unwrap();
        for first in (0..references.len()).step_by(TILE) {
            let count = (references.len() - first).min(TILE);
            let step = 1;
            tiles.search(Tile { first, step, count }, &mut found);
        }
        for q in 0..excluded.len() {
            let intervals: Vec<_> = found.intervals(q).collect();
            assert_eq!(intervals.len(), references.len());
            for (least, most, r) in intervals {
                let row = references.row(r as usize);
                let number = affinity.key(block.query(q), row) - block.shift(q);
                let (least, most) = (least.to_f64(), most.to_f64());
                assert!(least <= number && number <= most, "{least} {number} {most}");
                let norm = references.squared_norms[r as usize].to_f64();
                let scale = (norm * block.squared_norms[q]).sqrt();
                if scale > 0.0 {
                    widest = widest.max((most - least) / scale);
                }
            }
        }
    }
    widest
}

fn draw(count: usize, seed: u64, mut one: impl FnMut(&mut ChaCha8Rng) -> f64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| one(&mut rng) as f32).collect()
}

#[test]
fn numbers_are_within_their_bounds() {
    for instructions in Instructions::available() {
        for dim in [1, 2, 3, 17, 128, 300, 2000] {
            let even = |rng: &mut ChaCha8Rng| rng.random_range(-1.0..1.0);
            // All of one sign: nothing cancels.
            let positive = |rng: &mut ChaCha8Rng| rng.random_range(0.5..1.0);
            // One coordinate takes the steps from all the others.
            let spiky = |rng: &mut ChaCha8Rng| rng.random::<f64>().powi(-2);
            // Whole steps: no residual, and roundings alone are to be covered.
            let whole = |rng: &mut ChaCha8Rng| f64::from(rng.random_range(-255..256));
            let (q, r) = (5 * dim, 300 * dim);
            let width = widest(&draw(q, 0, even), &draw(r, 1, even), dim, instructions);
            assert!(width < 0.05, "dim {dim}: {width}");
            widest(
                &draw(q, 2, positive),
                &draw(r, 3, positive),
                dim,
                instructions,
            );
            widest(&draw(q, 4, spiky), &draw(r, 5, spiky), dim, instructions);
            widest(&draw(q, 4, even), &draw(r, 5, spiky), dim, instructions);
            let mut rows = draw(r, 7, whole);
            rows.iter_mut().step_by(dim).for_each(|x| *x = 4095.0);
            widest(&rows[..q], &rows, dim, instructions);
        }
    }
}

#[test]
fn rounding_errors_that_all_point_the_same_way_are_covered() {
    // Half a step off in every coordinate, with the sign of the other row's coordinate: Cauchy and Schwarz are equal.
    let dim = 128;
    let mut row = vec![0.500_122_1 / 4095.0 * 500.0; dim];
    row[0] = 1.0;
    let off: Vec<f32> = (0..dim)
        .map(|k| if k == 0 { 1.0 } else { 300.5 / 4095.0 })
        .collect();
    let opposite: Vec<f32> = off.iter().map(|x| -x).collect();
    let ones = vec![1f32; dim];
    let rows: Vec<f32> = [row, off, opposite, ones, vec![0.0; dim]].concat();
    for instructions in Instructions::available() {
        assert!(widest(&rows, &rows, dim, instructions) < 0.05);
        let doubled: Vec<f64> = rows.iter().map(|x| f64::from(*x) / 3.0).collect();
        assert!(widest(&doubled, &doubled, dim, instructions) < 0.05);
    }
}

#[test]
fn rows_of_other_magnitudes_loosen_only_their_own_bounds() {
    let dim = 64;
    let mut rows = draw(200 * dim, 1, |rng| rng.random_range(-1.0..1.0));
    let powers = [0, -6, 6, 3, -3].into_iter().cycle();
    for (row, power) in rows.chunks_exact_mut(dim).zip(powers) {
        row.iter_mut().for_each(|x| *x *= 2f32.powi(power));
    }
    rows[..dim].fill(0.0);
    for instructions in Instructions::available() {
        let width = widest(&rows[3 * dim..5 * dim], &rows, dim, instructions);
        assert!(width < 0.05, "{width}");
    }
}

#[test]
fn what_integers_cannot_hold_is_refused_or_never_ruled_out() {
    let mut references = References::new(2);
    references.extend(&[1e-30f32, 0., 1e30, 1., 3., 4.]);
    let excluded = [None];
    for instructions in Instructions::available() {
        for query in [[1e-30f32, 0.0], [0.0, 1e30]] {
            let block = Block::new(&references, Affinity::InnerProduct, &query, &excluded);
            assert!(IntegerTiles::new(&block, instructions).is_none());
        }
        let block = Block::new(&references, Affinity::InnerProduct, &[-1.0, 0.0], &excluded);
        // Nothing but what is not known passes a bound of −10.
        let mut found = Found::new(&block, 3, |_| -10.0);
        let tile = Tile {
            first: 0,
            step: 1,
            count: 3,
        };
        IntegerTiles::new(&block, instructions)
            .unwrap()
            .search(tile, &mut found);
        let rows: Vec<u32> = found.intervals(0).map(|(_, _, r)| r).collect();
        assert_eq!(rows, [0, 1]);
    }
}
