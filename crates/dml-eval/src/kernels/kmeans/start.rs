//! Where the centroids begin: at rows.

use dml_core::kernels::Real;
use dml_core::kernels::exact::{dot, squared_distance};
use dml_core::kernels::matrix_product::{Existing, Matrix, MatrixMut, product};
use rand::{Rng, RngCore, seq::index};
use rayon::prelude::*;

use super::KMeansStart;
use super::assign::{ROWS, Rows};
use crate::kernels::nearest::number_error;

/// Most centroids that are drawn before all rows are compared with them.
const FRESH: usize = 32;
/// Most draws that are taken back before all rows are compared with the centroids so far.
const REJECTED: usize = 16;

/// The first centroids `[clusters, dim]`.
pub(super) fn centroids<T: Real>(
    rows: &Rows<'_, T>,
    clusters: usize,
    start: KMeansStart,
    mut rng: &mut dyn RngCore,
) -> Vec<T> {
    let chosen = match start {
        KMeansStart::Random => index::sample(&mut rng, rows.count(), clusters).into_vec(),
        KMeansStart::PlusPlus => plus_plus(rows, clusters, rng),
    };
    rows.gather(&chosen)
}

/// Rows drawn one by one, each with probability proportional to its squared distance from the closest one so far.
///
/// Comparing all rows with one centroid at a time would be slow, so they are compared with several at once. In between, a
/// row is drawn by its distance from those before, and kept with the share that is left of it by now: the same
/// probability.
fn plus_plus<T: Real>(rows: &Rows<'_, T>, clusters: usize, rng: &mut dyn RngCore) -> Vec<usize> {
    let mut closest = vec![f64::INFINITY; rows.count()];
    let mut is_chosen = vec![false; rows.count()];
    let mut chosen = vec![rng.random_range(0..rows.count())];
    is_chosen[chosen[0]] = true;
    let mut sums = approach(rows, &mut closest, &chosen);
    let (mut compared, mut rejected) = (1, 0);
    while chosen.len() < clusters {
        let drawn = draw(&closest, &sums, rng.random());
        if let Some(row) = drawn {
            let fresh = chosen[compared..].iter();
            let left = fresh
                .map(|other| squared_distance(rows.row(row), rows.row(*other)))
                .fold(closest[row], f64::min);
            if rng.random::<f64>() * closest[row] < left {
                is_chosen[row] = true;
                chosen.push(row);
            } else {
                rejected += 1;
            }
        }
        if drawn.is_none() || chosen.len() - compared == FRESH || rejected == REJECTED {
            if compared == chosen.len() {
                // Every row lies on a centroid: any others will do.
                let Some(row) = is_chosen.iter().position(|chosen| !chosen) else {
                    break;
                };
                is_chosen[row] = true;
                chosen.push(row);
            }
            sums = approach(rows, &mut closest, &chosen[compared..]);
            (compared, rejected) = (chosen.len(), 0);
        }
    }
    chosen
}

/// Compares all rows with some centroids, and sums the squared distances from the closest one of each block of rows.
///
/// Distances are measured from the coordinates, but only where a matrix product leaves open that one is closer.
fn approach<T: Real>(rows: &Rows<'_, T>, closest: &mut [f64], chosen: &[usize]) -> Vec<f64> {
    let dim = rows.dim();
    let centroids = rows.gather(chosen);
    let norms: Vec<f64> = centroids.chunks_exact(dim).map(|c| dot(c, c)).collect();
    let largest = norms.iter().copied().fold(0.0, f64::max);
    closest
        .par_chunks_mut(ROWS)
        .enumerate()
        .map_init(
            || vec![T::ZERO; chosen.len() * ROWS],
            |products, (panel, closest)| {
                product(
                    MatrixMut::of_rows(products, chosen.len(), ROWS, ROWS),
                    Matrix::of_rows(&centroids, chosen.len(), dim, dim),
                    Matrix::of_rows(rows.panel(panel), dim, ROWS, ROWS),
                    T::from_f64(-2.0),
                    Existing::Overwrite,
                );
                let mut sum = 0.0;
                for (i, closest) in closest.iter_mut().enumerate() {
                    let row = rows.row(panel * ROWS + i);
                    let norm = dot(row, row);
                    let error = number_error::<T>(dim, norm + largest);
                    for (j, centroid) in centroids.chunks_exact(dim).enumerate() {
                        let number = norms[j] + products[j * ROWS + i].to_f64() + norm;
                        // What is not a number, after an overflow, is measured.
                        if number > *closest + error {
                            continue;
                        }
                        *closest = closest.min(squared_distance(row, centroid));
                    }
                    sum += *closest;
                }
                sum
            },
        )
        .collect()
}

/// A row with probability proportional to its squared distance, for a number that is uniform in `[0, 1)`; none if all
/// are 0.
fn draw(closest: &[f64], sums: &[f64], uniform: f64) -> Option<usize> {
    let mut left = uniform * sums.iter().sum::<f64>();
    let mut last = None;
    for (chunk, (closest, sum)) in closest.chunks(ROWS).zip(sums).enumerate() {
        if *sum > 0.0 {
            // Where rounding leaves nothing, the last row that could be drawn is.
            let last_in_place = closest.iter().rposition(|distance| *distance > 0.0);
            last = last_in_place.map(|i| chunk * ROWS + i);
            if left < *sum {
                for (i, distance) in closest.iter().enumerate() {
                    if *distance > 0.0 && left < *distance {
                        return Some(chunk * ROWS + i);
                    }
                    left -= distance;
                }
                return last;
            }
            left -= sum;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn rows_are_drawn_in_proportion_to_their_squared_distance() {
        let draw = |uniform| draw(&[1.0, 0.0, 3.0], &[4.0], uniform);
        assert_eq!([draw(0.0), draw(0.24)], [Some(0); 2]);
        assert_eq!([draw(0.25), draw(0.999)], [Some(2); 2]);
        // More than there is, as rounding may make it.
        assert_eq!(draw(1.0), Some(2));
        assert_eq!(super::draw(&[0.0], &[0.0], 0.5), None);
    }

    #[test]
    fn the_first_centroids_are_different_rows_and_far_ones_come_first() {
        // Three places, two of them with copies.
        let places = [0f64, 0., 0., 100., 100., 7.];
        let rows = Rows::new(&places, 1);
        for seed in 0..20 {
            let rng = || ChaCha8Rng::seed_from_u64(seed);
            let chosen = plus_plus(&rows, 3, &mut rng());
            let mut found: Vec<f64> = chosen.iter().map(|i| places[*i]).collect();
            found.sort_by(f64::total_cmp);
            assert_eq!(found, [0., 7., 100.]);
            // Beyond the three places, copies fill up.
            let mut chosen = plus_plus(&rows, 6, &mut rng());
            chosen.sort_unstable();
            assert_eq!(chosen, [0, 1, 2, 3, 4, 5]);
            let mut all = centroids(&rows, 6, KMeansStart::Random, &mut rng());
            all.sort_by(f64::total_cmp);
            assert_eq!(all, [0., 0., 0., 7., 100., 100.]);
        }
    }

    #[test]
    fn comparing_with_several_at_once_measures_what_is_closer() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f32> = (0..600)
            .map(|i| (i % 5) as f32 * 9.0 + rng.random::<f32>())
            .collect();
        let rows = Rows::new(&values, 2);
        let mut closest = vec![f64::INFINITY; 300];
        for chosen in [[0usize, 17, 4].as_slice(), &[250], &[3, 9, 200, 199, 77]] {
            let before = closest.clone();
            let sums = approach(&rows, &mut closest, chosen);
            for (i, (got, before)) in closest.iter().zip(before).enumerate() {
                let distances = chosen
                    .iter()
                    .map(|c| squared_distance(rows.row(i), rows.row(*c)));
                assert_eq!(*got, distances.fold(before, f64::min));
            }
            assert!((sums.iter().sum::<f64>() - closest.iter().sum::<f64>()).abs() < 1e-9);
        }
    }

    #[test]
    fn draws_that_are_taken_back_leave_the_right_probabilities() {
        // The third centroid after the first two, of places 0, 1, 3 and 7: all are drawn before being compared.
        let places = [0f64, 1., 3., 7.];
        let rows = Rows::new(&places, 1);
        let (mut counts, draws) = ([[[0u32; 4]; 4]; 4], 40_000);
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for _ in 0..draws {
            let chosen = plus_plus(&rows, 3, &mut rng);
            counts[chosen[0]][chosen[1]][chosen[2]] += 1;
        }
        let square = |a: usize, b: usize| (places[a] - places[b]).powi(2);
        let all = || 0..4usize;
        for (a, b, c) in all().flat_map(|a| all().flat_map(move |b| all().map(move |c| (a, b, c))))
        {
            let second = square(a, b) / all().map(|x| square(a, x)).sum::<f64>();
            let left = |x| square(a, x).min(square(b, x));
            let third = left(c) / all().map(left).sum::<f64>();
            let probability = second * third / 4.0;
            let expected = probability * f64::from(draws);
            let deviation = (expected * (1.0 - probability)).sqrt();
            let got = f64::from(counts[a][b][c]);
            assert!(
                (got - expected).abs() <= 5.0 * deviation,
                "{a} {b} {c}: {got} of {expected}"
            );
        }
    }
}
