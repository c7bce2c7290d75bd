//! Where the centroids begin: at rows.

use pulp::{Arch, NullaryFnOnce};
use rand::{Rng, RngCore, seq::index};
use rayon::prelude::*;

use super::Start;
use crate::Real;
use crate::nearest::squared_distance;

/// Rows that one task looks at; fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 1024;

/// The first centroids `[clusters, dim]`.
pub(super) fn centroids<T: Real>(
    rows: &[T],
    dim: usize,
    clusters: usize,
    start: Start,
    mut rng: &mut dyn RngCore,
) -> Vec<T> {
    let chosen = match start {
        Start::Random => index::sample(&mut rng, rows.len() / dim, clusters).into_vec(),
        Start::PlusPlus => plus_plus(rows, dim, clusters, rng),
    };
    let rows = chosen.iter().flat_map(|row| &rows[row * dim..][..dim]);
    rows.copied().collect()
}

/// The closest centroid that there is of a row.
#[derive(Clone, Copy, Debug)]
struct Closest {
    squared_distance: f64,
    centroid: u32,
}

fn plus_plus<T: Real>(
    rows: &[T],
    dim: usize,
    clusters: usize,
    rng: &mut dyn RngCore,
) -> Vec<usize> {
    let count = rows.len() / dim;
    let row = |i: usize| &rows[i * dim..][..dim];
    let nothing = Closest {
        squared_distance: f64::INFINITY,
        centroid: 0,
    };
    let mut closest = vec![nothing; count];
    let mut is_chosen = vec![false; count];
    let mut chosen = vec![rng.random_range(0..count)];
    is_chosen[chosen[0]] = true;
    while chosen.len() < clusters {
        let newest = row(chosen[chosen.len() - 1]);
        let apart: Vec<f64> = chosen
            .iter()
            .map(|old| squared_distance(newest, row(*old)))
            .collect();
        let sums: Vec<f64> = closest
            .par_chunks_mut(ROWS)
            .zip(rows.par_chunks(ROWS * dim))
            .map(|(closest, rows)| {
                Arch::new().dispatch(Approach {
                    closest,
                    rows,
                    newest,
                    apart: &apart,
                })
            })
            .collect();
        let next = draw(&closest, &sums, rng.random())
            .or_else(|| is_chosen.iter().position(|chosen| !chosen));
        let Some(next) = next else { break };
        is_chosen[next] = true;
        chosen.push(next);
    }
    chosen
}

/// A row with probability proportional to its squared distance, for a number that is uniform in `[0, 1)`; none if all
/// are 0.
fn draw(closest: &[Closest], sums: &[f64], uniform: f64) -> Option<usize> {
    let mut left = uniform * sums.iter().sum::<f64>();
    let mut last = None;
    for (closest, (chunk, sum)) in closest.chunks(ROWS).zip(sums.iter().enumerate()) {
        if *sum > 0.0 {
            // Where rounding leaves nothing, the last row that could be drawn is.
            last = closest.iter().rposition(|c| c.squared_distance > 0.0);
            last = last.map(|i| chunk * ROWS + i);
            if left < *sum {
                for (i, closest) in closest.iter().enumerate() {
                    if closest.squared_distance > 0.0 {
                        if left < closest.squared_distance {
                            return Some(chunk * ROWS + i);
                        }
                        left -= closest.squared_distance;
                    }
                }
                return last;
            }
            left -= sum;
        }
    }
    last
}

/// Compares some rows with the newest centroid, and sums the squared distances from the closest one.
struct Approach<'a, T> {
    closest: &'a mut [Closest],
    rows: &'a [T],
    newest: &'a [T],
    /// The squared distance between the newest centroid and each, itself the last.
    apart: &'a [f64],
}

impl<T: Real> NullaryFnOnce for Approach<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let newest = self.apart.len() as u32 - 1;
        let mut sum = 0.0;
        for (closest, row) in self
            .closest
            .iter_mut()
            .zip(self.rows.chunks_exact(self.newest.len()))
        {
            // By the triangle inequality, a centroid twice as far from the closest one as the row is can't be closer.
            if self.apart[closest.centroid as usize] < 4.0 * closest.squared_distance {
                let squared_distance = squared_distance(row, self.newest);
                if squared_distance < closest.squared_distance {
                    *closest = Closest {
                        squared_distance,
                        centroid: newest,
                    };
                }
            }
            sum += closest.squared_distance;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn rows_are_drawn_in_proportion_to_their_squared_distance() {
        let closest = [1.0, 0.0, 3.0].map(|squared_distance| Closest {
            squared_distance,
            centroid: 0,
        });
        let draw = |uniform| draw(&closest, &[4.0], uniform);
        assert_eq!([draw(0.0), draw(0.24)], [Some(0); 2]);
        assert_eq!([draw(0.25), draw(0.999)], [Some(2); 2]);
        // More than there is, as rounding may make it.
        assert_eq!(draw(1.0), Some(2));
        assert_eq!(super::draw(&closest[1..2], &[0.0], 0.5), None);
    }

    #[test]
    fn the_first_centroids_are_different_rows_and_far_ones_come_first() {
        // Three places, two of them with copies.
        let rows = [0f64, 0., 0., 100., 100., 7.];
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut chosen = plus_plus(&rows, 1, 3, &mut rng);
            let mut places: Vec<f64> = chosen.iter().map(|i| rows[*i]).collect();
            places.sort_by(f64::total_cmp);
            assert_eq!(places, [0., 7., 100.]);
            // Beyond the three places, copies fill up.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            chosen = plus_plus(&rows, 1, 6, &mut rng);
            chosen.sort_unstable();
            assert_eq!(chosen, [0, 1, 2, 3, 4, 5]);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut all = centroids(&rows, 1, 6, Start::Random, &mut rng);
            all.sort_by(f64::total_cmp);
            assert_eq!(all, [0., 0., 0., 7., 100., 100.]);
        }
    }

    #[test]
    fn the_triangle_inequality_skips_nothing_that_is_closer() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let rows: Vec<f64> = (0..3_000)
            .map(|i| f64::from(i % 5) * 9.0 + rng.random::<f64>())
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let chosen = plus_plus(&rows, 2, 12, &mut rng);
        // The same draws with every distance computed.
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut plain = vec![rng.random_range(0..rows.len() / 2)];
        while plain.len() < 12 {
            let closest: Vec<Closest> = rows
                .chunks_exact(2)
                .map(|row| Closest {
                    squared_distance: plain
                        .iter()
                        .map(|c| squared_distance(row, &rows[c * 2..][..2]))
                        .fold(f64::INFINITY, f64::min),
                    centroid: 0,
                })
                .collect();
            let sums: Vec<f64> = closest
                .chunks(ROWS)
                .map(|chunk| chunk.iter().map(|c| c.squared_distance).sum())
                .collect();
            plain.push(draw(&closest, &sums, rng.random()).unwrap());
        }
        assert_eq!(chosen, plain);
    }
}
