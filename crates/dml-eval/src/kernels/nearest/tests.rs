use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Every pair measured and sorted: what the search must give, bit for bit.
fn by_sorting<T: Real>(
    queries: &[T],
    rows: &[T],
    dim: usize,
    k: usize,
    affinity: Affinity,
    excluded: &dyn Fn(usize) -> Option<u32>,
) -> (Vec<u32>, Vec<f64>) {
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    for (q, query) in queries.chunks_exact(dim).enumerate() {
        let mut keys: Vec<(f64, u32)> = rows
            .chunks_exact(dim)
            .enumerate()
            .filter(|(r, _)| excluded(q) != Some(*r as u32))
            .map(|(r, row)| (affinity.key(query, row), r as u32))
            .collect();
        keys.sort_by(|a, b| a.partial_cmp(b).unwrap());
        for (key, r) in keys.into_iter().take(k) {
            indices.push(r);
            values.push(affinity.value(key));
        }
    }
    (indices, values)
}

fn draw<T: Real>(rng: &mut ChaCha8Rng, n: usize, scale: f64) -> Vec<T> {
    (0..n)
        .map(|_| T::from_f64(scale * rng.random_range(-1.0..1.0)))
        .collect()
}

fn check<T: Real>(queries: &[T], rows: &[T], dim: usize, k: usize) {
    let mut references = References::new(dim);
    let half = rows.len() / dim / 2 * dim;
    references.extend(&rows[..half]);
    references.extend(&rows[half..]);
    for affinity in [Affinity::SquaredEuclidean, Affinity::InnerProduct] {
        for own in [false, true] {
            let excluded = move |q: usize| own.then_some(q as u32);
            let most = k.min(references.len() - usize::from(own));
            let (indices, values) = by_sorting(queries, rows, dim, most, affinity, &excluded);
            for instructions in Instructions::available().map(Some).chain([None]) {
                let found = references.nearest_by(instructions, queries, k, affinity, excluded);
                assert_eq!(found.k, most);
                let what = format!("{instructions:?}, {affinity:?}, k {k}, dim {dim}");
                assert!(found.indices == indices, "{what}");
                assert!(found.distances == values, "{what}");
            }
        }
    }
}

#[test]
fn agrees_with_sorting_every_row() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for (queries, references, dim) in [(1, 3000, 5), (70, 2100, 33), (400, 700, 3), (3, 4, 128)] {
        for k in [1, 3, 10, 100, 5000] {
            check::<f32>(
                &draw(&mut rng, queries * dim, 1.0),
                &draw(&mut rng, references * dim, 1.0),
                dim,
                k,
            );
        }
        check::<f64>(
            &draw(&mut rng, queries * dim, 1.0),
            &draw(&mut rng, references * dim, 1.0),
            dim,
            7,
        );
    }
}

#[test]
fn every_dim_is_searched_exactly() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for dim in [1, 2, 3, 16, 17, 64, 128, 300, 2000] {
        let queries: Vec<f32> = draw(&mut rng, 40 * dim, 1.0);
        let mut rows: Vec<f32> = draw(&mut rng, 700 * dim, 1.0);
        for k in [1, 9, 80] {
            check(&queries, &rows, dim, k);
        }
        // Duplicates of some, far longer and shorter rows, rows of zeros, and one with a single large coordinate.
        rows.copy_within(..100 * dim, 300 * dim);
        for (row, factor) in rows
            .chunks_exact_mut(dim)
            .skip(50)
            .zip([1e3, 0.0, 1e-3, 1.0, 1e-30])
        {
            row.iter_mut().for_each(|x| *x *= factor);
        }
        rows[400 * dim] = 1e6;
        check(&queries, &rows, dim, 5);
        // The same among the queries.
        check(&rows[40 * dim..90 * dim], &rows, dim, 20);
    }
    let dim = 70_000;
    let rows: Vec<f32> = draw(&mut rng, 30 * dim, 1.0);
    check(&rows[..3 * dim], &rows, dim, 2);
}

#[test]
fn clusters_far_from_the_origin_are_searched_exactly() {
    // What integers leave of a row is more than what sets a cluster's rows apart.
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (dim, clusters) = (32, 5);
    let centres: Vec<f32> = draw(&mut rng, clusters * dim, 10.0);
    let mut rows: Vec<f32> = draw(&mut rng, 3000 * dim, 1e-3);
    for (row, centre) in rows
        .chunks_exact_mut(dim)
        .zip(centres.chunks_exact(dim).cycle())
    {
        row.iter_mut().zip(centre).for_each(|(x, c)| *x += c);
    }
    for k in [1, 50, 300] {
        check(&rows[..40 * dim], &rows, dim, k);
    }
    let doubles: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
    check(&doubles[..40 * dim], &doubles, dim, 40);
}

#[test]
fn an_overflow_hides_nothing() {
    // Infinity less infinity is no number, and on some processors a negative one.
    let mut rows = vec![0f32; 400];
    for (i, row) in rows.chunks_exact_mut(2).enumerate() {
        row.copy_from_slice(&if i % 3 == 0 {
            [1e30, 1e30]
        } else {
            [i as f32, 1.0]
        });
    }
    check(&[1e30, 0.9e30, 5.0, 0.0], &rows, 2, 5);
}

#[test]
fn a_wrong_guess_is_found_out() {
    // Every 17th row is near: these are the sample, and far more near ones are expected than there are.
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let dim = 6;
    let mut rows: Vec<f32> = draw(&mut rng, 5000 * dim, 1.0);
    for row in rows.chunks_exact_mut(dim).step_by(17) {
        row.iter_mut().for_each(|x| *x *= 0.01);
    }
    let queries: Vec<f32> = draw(&mut rng, 33 * dim, 0.01);
    for k in [100, 400] {
        check(&queries, &rows, dim, k);
    }
}

#[test]
fn near_duplicates_far_from_the_origin_are_ordered_rightly() {
    // Steps of one unit in the last place of 1000: ‖r‖² − 2q·r has no digit left for them.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let dim = 16;
    let centre: Vec<f32> = draw(&mut rng, dim, 1000.0);
    let mut rows = Vec::new();
    for _ in 0..2000 {
        for x in &centre {
            rows.push(f32::from_bits(x.to_bits() + rng.random_range(0..3u32)));
        }
    }
    let queries = rows[..40 * dim].to_vec();
    for k in [1, 10] {
        check(&queries, &rows, dim, k);
    }
}

#[test]
fn equal_rows_come_in_order() {
    let rows = vec![0.3f32; 4000 * 8];
    let mut references = References::new(8);
    references.extend(&rows);
    let found = references.nearest(&rows[..16], 3, Affinity::SquaredEuclidean, |q| {
        Some(q as u32)
    });
    assert_eq!(found.indices, [1, 2, 3, 0, 2, 3]);
    assert_eq!(found.distances, [0.0; 6]);
}

#[test]
fn a_crowd_of_near_duplicates_among_others() {
    // Half of the rows are one point or its neighbours in floating point: far more than the buffers hold.
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let dim = 8;
    let mut rows: Vec<f32> = draw(&mut rng, 3000 * dim, 1.0);
    let (point, others) = rows.split_at_mut(dim);
    for row in others.chunks_exact_mut(dim).step_by(2) {
        row.copy_from_slice(point);
        row[rng.random_range(0..dim)] += f32::EPSILON * rng.random_range(0..3u8) as f32;
    }
    let queries = rows[..30 * dim].to_vec();
    for k in [1, 20, 150] {
        check(&queries, &rows, dim, k);
    }
}

#[test]
fn magnitudes_from_tiny_to_overflowing_are_searched_exactly() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for scale in [1e-30, 1e-6, 1e6, 1e25] {
        let queries: Vec<f32> = draw(&mut rng, 20 * 9, scale);
        let mut rows: Vec<f32> = draw(&mut rng, 1500 * 9, scale);
        check(&queries, &rows, 9, 4);
        // One row far larger than the others must not blind the filter for them.
        rows[9 * 700] *= 1e4;
        check(&queries, &rows, 9, 4);
    }
}

#[test]
fn the_thread_count_does_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut references = References::<f32>::new(12);
    references.extend(&draw(&mut rng, 5000 * 12, 1.0));
    let queries: Vec<f32> = draw(&mut rng, 50 * 12, 1.0);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| references.nearest(&queries, 5, Affinity::SquaredEuclidean, |_| None))
    };
    let one = with(1);
    for threads in [2, 3, 16] {
        assert_eq!(with(threads), one);
    }
}

#[test]
fn nothing_to_find_is_an_empty_result() {
    let mut references = References::<f32>::new(2);
    let empty = Neighbors::default();
    assert_eq!(
        references.nearest(&[1., 2.], 3, Affinity::InnerProduct, |_| None),
        empty
    );
    references.extend(&[1., 2.]);
    assert_eq!(
        references.nearest(&[], 3, Affinity::InnerProduct, |_| None),
        empty
    );
    assert_eq!(
        references.nearest(&[1., 2.], 0, Affinity::InnerProduct, |_| None),
        empty
    );
    assert_eq!(
        references.nearest(&[1., 2.], 3, Affinity::InnerProduct, |_| Some(0)),
        empty
    );
}

#[test]
fn rows_that_stay_keep_their_order_and_their_norms() {
    let mut references = References::new(2);
    references.extend(&[0f32, 1., 2., 3., 4., 5., 6., 7.]);
    references.retain(&[true, false, true, true]);
    assert_eq!(references.rows(), [0., 1., 4., 5., 6., 7.]);
    let mut fresh = References::new(2);
    fresh.extend(references.rows());
    let nearest =
        |index: &References<f32>| index.nearest(&[4., 4.], 3, Affinity::SquaredEuclidean, |_| None);
    assert_eq!(nearest(&references), nearest(&fresh));
    references.retain(&[false; 3]);
    assert!(references.is_empty());
}
