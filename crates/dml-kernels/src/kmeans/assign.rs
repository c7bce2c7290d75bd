//! The closest centroid of every row.
//!
//! A matrix product gives `‖c‖² − 2x·c` for blocks of rows and centroids, of which the smallest and the second smallest are
//! kept. Where they are further apart than twice the error of such a number, the smallest is the closest centroid for
//! certain; the few other rows are searched for exactly. Either way the result is that of measuring every pair.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use crate::Real;
use crate::matrix_product::{Existing, Matrix, MatrixMut, product};
use crate::nearest::{Affinity, References, dot, number_error, squared_distance};
use crate::row_panels::RowPanels;

/// Rows of a block: their numbers with a tile of centroids fill an eighth of a usual second-level cache.
pub(super) const ROWS: usize = 128;
/// Centroids of a tile.
const TILE: usize = 256;
/// Rows that are looked at together, in the vector registers.
const LANES: usize = 16;

/// Rows, prepared for being assigned again and again.
pub(super) struct Rows<'a, T> {
    rows: &'a [T],
    dim: usize,
    panels: RowPanels<T>,
}

/// The closest centroid of every row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assigned {
    pub(super) clusters: Vec<u32>,
    pub(super) squared_distances: Vec<f64>,
}

impl<'a, T: Real> Rows<'a, T> {
    pub(super) fn new(rows: &'a [T], dim: usize) -> Self {
        Self {
            rows,
            dim,
            panels: RowPanels::new(rows, dim, ROWS),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len() / self.dim
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn row(&self, row: usize) -> &[T] {
        &self.rows[row * self.dim..][..self.dim]
    }

    /// The elements of a block of [`ROWS`] rows, coordinates outermost; zeros for the rows that the last one lacks.
    pub(super) fn panel(&self, panel: usize) -> &[T] {
        self.panels.panel(panel)
    }

    pub(super) fn assign(&self, centroids: &[T]) -> Assigned {
        let dim = self.dim;
        let norms: Vec<T> = centroids
            .chunks_exact(dim)
            .map(|centroid| T::from_f64(dot(centroid, centroid)))
            .collect();
        let largest = norms.iter().fold(0.0, |most, norm| norm.to_f64().max(most));
        let count = self.count();
        let mut assigned = Assigned {
            clusters: vec![0; count],
            squared_distances: vec![0.0; count],
        };
        let uncertain: Vec<Vec<usize>> = assigned
            .clusters
            .par_chunks_mut(ROWS)
            .zip(assigned.squared_distances.par_chunks_mut(ROWS))
            .enumerate()
            .map_init(
                || vec![T::ZERO; TILE * ROWS],
                |products, (panel, (clusters, squared_distances))| {
                    let closest = self.closest(panel, centroids, &norms, products);
                    Arch::new().dispatch(Measure {
                        rows: &self.rows[panel * ROWS * dim..],
                        first: panel * ROWS,
                        centroids,
                        dim,
                        largest,
                        closest: &closest,
                        clusters,
                        squared_distances,
                    })
                },
            )
            .collect();
        self.search(&uncertain.concat(), centroids, &mut assigned);
        assigned
    }

    /// The smallest two numbers of each row of a panel.
    fn closest(
        &self,
        panel: usize,
        centroids: &[T],
        norms: &[T],
        products: &mut [T],
    ) -> Vec<Closest<T>> {
        let dim = self.dim;
        let mut closest = vec![Closest::NONE; ROWS / LANES];
        for (tile, norms) in norms.chunks(TILE).enumerate() {
            let products = &mut products[..norms.len() * ROWS];
            product(
                MatrixMut::of_rows(products, norms.len(), ROWS, ROWS),
                Matrix::of_rows(&centroids[tile * TILE * dim..], norms.len(), dim, dim),
                Matrix::of_rows(self.panel(panel), dim, ROWS, ROWS),
                T::from_f64(-2.0),
                Existing::Overwrite,
            );
            Arch::new().dispatch(TakeTile {
                closest: &mut closest,
                products,
                norms,
                first: (tile * TILE) as u32,
            });
        }
        closest
    }

    /// Searches exactly for the centroids of some rows.
    fn search(&self, which: &[usize], centroids: &[T], assigned: &mut Assigned) {
        if which.is_empty() {
            return;
        }
        let rows = which
            .iter()
            .flat_map(|row| &self.rows[row * self.dim..][..self.dim]);
        let rows: Vec<T> = rows.copied().collect();
        let mut references = References::new(self.dim);
        references.extend(centroids);
        let found = references.nearest(&rows, 1, Affinity::SquaredEuclidean, |_| None);
        for ((row, cluster), squared_distance) in which.iter().zip(found.indices).zip(found.values)
        {
            assigned.clusters[*row] = cluster;
            assigned.squared_distances[*row] = squared_distance;
        }
    }
}

/// The smallest numbers of some rows side by side.
#[derive(Clone, Copy, Debug)]
struct Closest<T> {
    least: [T; LANES],
    second: [T; LANES],
    centroid: [u32; LANES],
}

impl<T: Real> Closest<T> {
    const NONE: Self = Self {
        least: [T::MAX; LANES],
        second: [T::MAX; LANES],
        centroid: [0; LANES],
    };
}

/// Looks at the numbers of a tile of centroids.
struct TakeTile<'a, T> {
    closest: &'a mut [Closest<T>],
    products: &'a [T],
    norms: &'a [T],
    first: u32,
}

impl<T: Real> NullaryFnOnce for TakeTile<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (group, closest) in self.closest.iter_mut().enumerate() {
            let Closest {
                mut least,
                mut second,
                mut centroid,
            } = *closest;
            for (j, norm) in (self.first..).zip(self.norms) {
                let start = (j - self.first) as usize * ROWS + group * LANES;
                let products = &self.products[start..start + LANES];
                for lane in 0..LANES {
                    let number = *norm + products[lane];
                    let is_less = number < least[lane];
                    let larger = if is_less { least[lane] } else { number };
                    second[lane] = if larger < second[lane] {
                        larger
                    } else {
                        second[lane]
                    };
                    least[lane] = if is_less { number } else { least[lane] };
                    centroid[lane] = if is_less { j } else { centroid[lane] };
                }
            }
            *closest = Closest {
                least,
                second,
                centroid,
            };
        }
    }
}

/// Writes down what is certain, with distances from the coordinates themselves, and gives the rows that are not.
struct Measure<'a, T> {
    /// The rows from the first one of the block on.
    rows: &'a [T],
    first: usize,
    centroids: &'a [T],
    dim: usize,
    largest: f64,
    closest: &'a [Closest<T>],
    clusters: &'a mut [u32],
    squared_distances: &'a mut [f64],
}

impl<T: Real> NullaryFnOnce for Measure<'_, T> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn call(self) -> Vec<usize> {
        let mut uncertain = Vec::new();
        for (i, row) in self
            .rows
            .chunks_exact(self.dim)
            .take(self.clusters.len())
            .enumerate()
        {
            let (closest, lane) = (&self.closest[i / LANES], i % LANES);
            let error = number_error::<T>(self.dim, dot(row, row) + self.largest);
            let gap = closest.second[lane].to_f64() - closest.least[lane].to_f64();
            if gap > 2.0 * error {
                let centroid = closest.centroid[lane];
                let place = &self.centroids[centroid as usize * self.dim..][..self.dim];
                self.clusters[i] = centroid;
                self.squared_distances[i] = squared_distance(row, place);
            } else {
                uncertain.push(self.first + i);
            }
        }
        uncertain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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
            let got = Rows::new(&rows, dim).assign(&centroids);
            assert_eq!(got, exact(&rows, &centroids, dim));
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
        assert_eq!(
            Rows::new(&rows, 2).assign(&centroids),
            exact(&rows, &centroids, 2)
        );
        // Beyond the range of the products.
        let huge: Vec<f64> = vec![1e200, -1e200, 3e200];
        assert_eq!(Rows::new(&huge, 1).assign(&huge).clusters, [0, 1, 2]);
    }
}
