//! Assignments by products and bounds against every pair, measured.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn exact<T: Real>(rows: &[T], centroids: &[T], dim: usize) -> Assigned {
    let closest = rows.chunks_exact(dim).map(|row| {
        let distances = centroids
            .chunks_exact(dim)
            .map(|c| squared_distance(row, c));
        let first = (f64::INFINITY, 0);
        (0..)
            .zip(distances)
            .fold(first, |best, (c, d)| if d < best.0 { (d, c) } else { best })
    });
    let (squared_distances, clusters) = closest.unzip();
    Assigned {
        clusters,
        squared_distances,
    }
}

fn assign<T: Real>(rows: &[T], centroids: &[T], dim: usize) -> Assigned {
    let clusters = centroids.len() / dim;
    Assignment::new(&Rows::new(rows, dim), clusters).assign(centroids, &[])
}

/// Moves some centroids at random, by steps of all sizes, and assigns anew each time.
fn wander<T: Real>(rows: &[T], centroids: &mut [T], dim: usize, rng: &mut ChaCha8Rng) {
    let prepared = Rows::new(rows, dim);
    let mut assignment = Assignment::new(&prepared, centroids.len() / dim);
    let mut moved = Vec::new();
    for round in 0..30 {
        let got = assignment.assign(centroids, &moved);
        assert_eq!(got, exact(rows, centroids, dim), "round {round}");
        let before = centroids.to_vec();
        let step = 10f64.powf(rng.random_range(-5.0..0.0));
        for centroid in centroids.chunks_exact_mut(dim) {
            if rng.random_bool(0.3) {
                for x in centroid {
                    *x += T::from_f64(step * rng.random_range(-1.0..1.0));
                }
            }
        }
        moved = super::super::update::moved(&before, centroids, dim);
    }
}

#[test]
fn what_is_remembered_changes_no_assignment() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    // One group and many, blocks that are full and not.
    for (rows, clusters, dim) in [(50, 3, 2), (300, 200, 16), (700, 130, 9)] {
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count * dim)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect()
        };
        let (rows, mut centroids) = (draw(rows), draw(clusters));
        wander(&rows, &mut centroids, dim, &mut rng);
        let wide: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
        let mut centroids: Vec<f64> = centroids.iter().map(|x| f64::from(*x)).collect();
        wander(&wide, &mut centroids, dim, &mut rng);
    }
}

#[test]
fn duplicates_and_ties_stay_with_the_lower_centroid_while_others_move() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut draw = |count: usize| -> Vec<f32> {
        (0..count * 4)
            .map(|_| f32::from(rng.random_range(0u8..3)))
            .collect()
    };
    let (rows, mut centroids) = (draw(300), draw(150));
    wander(&rows, &mut centroids, 4, &mut rng);
}

#[test]
fn it_is_measuring_every_pair() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for (rows, clusters, dim) in [(1, 1, 1), (127, 3, 5), (300, 256, 7), (129, 600, 16)] {
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count * dim)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect()
        };
        let (rows, centroids) = (draw(rows), draw(clusters));
        assert_eq!(
            assign(&rows, &centroids, dim),
            exact(&rows, &centroids, dim)
        );
    }
}

#[test]
fn ties_and_near_ties_are_searched_for() {
    // Whole numbers far from 0: many exact ties, and differences that the products can't see.
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut draw = |count: usize| -> Vec<f32> {
        (0..count * 2)
            .map(|_| 4_096.0 + f32::from(rng.random_range(0u8..4)))
            .collect()
    };
    let (rows, centroids) = (draw(200), draw(40));
    assert_eq!(assign(&rows, &centroids, 2), exact(&rows, &centroids, 2));
    // Beyond the range of the products.
    let huge: Vec<f64> = vec![1e200, -1e200, 3e200];
    assert_eq!(assign(&huge, &huge, 1).clusters, [0, 1, 2]);
}
