//! The closest centroid of every row.
//!
//! A matrix product gives `‖c‖² − 2x·c` for rows and centroids, of which the smallest and the second smallest are kept.
//! Where they are further apart than twice the error of such a number, the smallest is the closest centroid for certain;
//! the few other rows are searched for exactly. Either way the result is that of measuring every pair.
//!
//! From one assignment to the next most centroids hardly move. Each row remembers, for each group of centroids, a
//! distance that none of the group can be closer than, its own centroid aside; it falls by as much as the group's
//! centroids move at most. A group that is further than the own centroid is not looked at:
//!
//! ```text
//! b(x, G) = min ‖x − c‖ over c ∈ G, c ≠ a(x)          b(x, G) − max ‖c' − c‖ over c ∈ G,  after the centroids moved
//! G is looked at for x if b(x, G) ≤ ‖x − a(x)‖
//! ```
//!
//! Ding, Zhao, Shen, Musuvathi and Mytkowicz, "Yinyang K-Means: A Drop-In Replacement of the Classic K-Means with
//! Consistent Speedup", ICML 2015. Bounds are rounded down and movements up, so that no rounding changes a result.

use dml_core::kernels::exact::{dot, squared_distance};
use dml_core::kernels::lanes::by_halves;
use dml_core::kernels::matrix_product::{Existing, Matrix, MatrixMut, product};
use dml_core::kernels::row_panels::RowPanels;
use dml_core::kernels::{Real, vectorized};
use rayon::prelude::*;

use crate::kernels::nearest::{Affinity, References, number_error};

/// Rows of a panel.
pub(super) const ROWS: usize = 128;
/// Rows that one task assigns at a time: enough that those which need a group fill a product.
const BLOCK: usize = 256;
/// Fewest centroids of a group: four of the widest registers.
const GROUP: usize = 64;
/// Numbers that are looked at together, in the vector registers.
const LANES: usize = 16;
/// What a bound loses to being rounded down.
const DOWN: f64 = 1.0 - 2e-7;
/// What a distance gains from being rounded up.
const UP: f64 = 1.0 + 1e-9;

/// Rows, prepared for being compared with centroids again and again.
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

    /// Some rows, one after the other.
    pub(super) fn gather(&self, which: &[usize]) -> Vec<T> {
        let rows = which.iter().flat_map(|row| self.row(*row));
        rows.copied().collect()
    }

    /// The elements of a block of [`ROWS`] rows, coordinates outermost; zeros for the rows that the last one lacks.
    pub(super) fn panel(&self, panel: usize) -> &[T] {
        self.panels.panel(panel)
    }
}

/// What is known of every row from the assignments so far.
pub(super) struct Assignment<'a, T> {
    rows: &'a [T],
    dim: usize,
    squared_norms: Vec<f64>,
    /// How many centroids a group has.
    width: usize,
    groups: usize,
    /// The centroid that a row's bounds leave out.
    own: Vec<Option<u32>>,
    /// No other centroid of a group is closer than this: `[rows, groups]`.
    bounds: Vec<f32>,
}

impl<'a, T: Real> Assignment<'a, T> {
    /// Nothing is known yet.
    pub(super) fn new(rows: &Rows<'a, T>, clusters: usize) -> Self {
        let (rows, dim) = (rows.rows, rows.dim);
        // The bounds take at most a quarter of what the rows take.
        let most = (dim / 4).max(1);
        let width = clusters.div_ceil(most).max(GROUP).next_multiple_of(LANES);
        let groups = clusters.div_ceil(width);
        let count = rows.len() / dim;
        let squared_norms = rows.par_chunks_exact(dim).map(|row| dot(row, row));
        Self {
            rows,
            dim,
            squared_norms: squared_norms.collect(),
            width,
            groups,
            own: vec![None; count],
            bounds: vec![0.0; count * groups],
        }
    }

    /// The closest centroid of every row. `moved` is how far each centroid is from where it was at the last call; it is
    /// not read at the first.
    pub(super) fn assign(&mut self, centroids: &[T], moved: &[f64]) -> Assigned {
        let centers = Centers::new(centroids, self.dim, self.width, moved);
        let count = self.squared_norms.len();
        let mut assigned = Assigned {
            clusters: vec![0; count],
            squared_distances: vec![0.0; count],
        };
        let (rows, dim) = (self.rows, self.dim);
        let uncertain: Vec<Vec<usize>> = assigned
            .clusters
            .par_chunks_mut(BLOCK)
            .zip(assigned.squared_distances.par_chunks_mut(BLOCK))
            .zip(self.own.par_chunks_mut(BLOCK))
            .zip(self.bounds.par_chunks_mut(BLOCK * self.groups))
            .zip(self.squared_norms.par_chunks(BLOCK))
            .zip(rows.par_chunks(BLOCK * dim))
            .enumerate()
            .map_init(
                Scratch::default,
                |scratch, (number, (((((clusters, distances), own), bounds), norms), rows))| {
                    let mut block = Block {
                        rows,
                        norms,
                        own,
                        bounds,
                        clusters,
                        distances,
                        centers: &centers,
                    };
                    let mut uncertain = vectorized(
                        #[inline(always)]
                        || block.assign(scratch),
                    );
                    uncertain.iter_mut().for_each(|row| *row += number * BLOCK);
                    uncertain
                },
            )
            .collect();
        self.search(&uncertain.concat(), centroids, &mut assigned);
        assigned
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
        for (row, (clusters, squared_distances)) in which.iter().zip(found.iter()) {
            assigned.clusters[*row] = clusters[0];
            assigned.squared_distances[*row] = squared_distances[0];
        }
    }
}

/// Centroids in groups, and how far they moved.
struct Centers<'a, T> {
    centroids: &'a [T],
    dim: usize,
    panels: RowPanels<T>,
    /// Squared norms; the largest number for the centroids that the last group lacks.
    norms: Vec<T>,
    largest_norm: f64,
    /// How far the centroids of each group moved at most.
    moved: Vec<f64>,
}

impl<'a, T: Real> Centers<'a, T> {
    fn new(centroids: &'a [T], dim: usize, width: usize, moved: &[f64]) -> Self {
        let panels = RowPanels::new(centroids, dim, width);
        let norms = centroids
            .chunks_exact(dim)
            .map(|row| T::from_f64(dot(row, row)));
        let mut norms: Vec<T> = norms.collect();
        let largest_norm = norms.iter().fold(0.0, |most, norm| norm.to_f64().max(most));
        norms.resize(panels.count() * width, T::MAX);
        let largest = |moved: &[f64]| moved.iter().fold(0.0, |most: f64, moved| moved.max(most));
        Self {
            centroids,
            dim,
            panels,
            norms,
            largest_norm,
            moved: moved.chunks(width).map(largest).collect(),
        }
    }

    fn centroid(&self, centroid: u32) -> &[T] {
        &self.centroids[centroid as usize * self.dim..][..self.dim]
    }

    fn width(&self) -> usize {
        self.panels.width()
    }

    fn group_of(&self, centroid: u32) -> usize {
        centroid as usize / self.width()
    }
}

/// Some rows with what is known and what becomes known of them.
struct Block<'a, T> {
    rows: &'a [T],
    norms: &'a [f64],
    own: &'a mut [Option<u32>],
    bounds: &'a mut [f32],
    clusters: &'a mut [u32],
    distances: &'a mut [f64],
    centers: &'a Centers<'a, T>,
}

/// Memory that a task reuses from block to block.
#[derive(Default)]
struct Scratch<T> {
    found: Vec<Found>,
    /// The rows that a group is looked at for.
    needed: Vec<usize>,
    gathered: Vec<T>,
    products: Vec<T>,
}

/// What the groups that were looked at say of a row. Numbers are `‖x − c‖² − ‖x‖²`.
#[derive(Clone, Copy)]
struct Found {
    /// How far a number can be off.
    error: f64,
    /// The distance to the own centroid, rounded up: infinity without one.
    reach: f64,
    least: f64,
    centroid: Option<u32>,
    /// The smallest number of another centroid of any group.
    second: f64,
    /// The smallest number of another centroid of the same group.
    second_of_group: f64,
}

impl<T: Real> Block<'_, T> {
    /// Assigns the rows; returns those that are not certain.
    #[inline(always)]
    fn assign(&mut self, scratch: &mut Scratch<T>) -> Vec<usize> {
        self.begin(&mut scratch.found);
        for group in 0..self.centers.panels.count() {
            self.look_at(group, scratch);
        }
        self.end(&scratch.found)
    }

    fn row(&self, row: usize) -> &[T] {
        let dim = self.centers.dim;
        &self.rows[row * dim..][..dim]
    }

    fn bounds_of(&mut self, row: usize) -> &mut [f32] {
        let groups = self.centers.panels.count();
        &mut self.bounds[row * groups..][..groups]
    }

    /// Measures the own centroids where they are now, and lets the bounds fall.
    #[inline(always)]
    fn begin(&mut self, found: &mut Vec<Found>) {
        let centers = self.centers;
        found.clear();
        for row in 0..self.own.len() {
            let norm = self.norms[row];
            let own = self.own[row];
            // Not by a closure, which would not be inlined into what may use vector instructions.
            let square = match own {
                Some(own) => squared_distance(self.row(row), centers.centroid(own)),
                None => f64::INFINITY,
            };
            self.distances[row] = square;
            found.push(Found {
                error: number_error::<T>(centers.dim, norm + centers.largest_norm),
                reach: square.sqrt() * UP,
                least: square - norm,
                centroid: own,
                second: f64::INFINITY,
                second_of_group: f64::INFINITY,
            });
            for (bound, moved) in self.bounds_of(row).iter_mut().zip(&centers.moved) {
                *bound = ((f64::from(*bound) - moved).max(0.0) * DOWN) as f32;
            }
        }
    }

    /// Looks at the centroids of a group, for the rows that need it.
    #[inline(always)]
    fn look_at(&mut self, group: usize, scratch: &mut Scratch<T>) {
        let (centers, count) = (self.centers, self.own.len());
        let (dim, width) = (centers.dim, centers.width());
        let found = &mut scratch.found;
        let needed = &mut scratch.needed;
        needed.clear();
        needed.extend((0..count).filter(|row| {
            let bound = f64::from(self.bounds_of(*row)[group]);
            // Not a number needs it, too.
            bound.partial_cmp(&found[*row].reach) != Some(std::cmp::Ordering::Greater)
        }));
        if needed.is_empty() {
            return;
        }
        let rows = if needed.len() == count {
            self.rows
        } else {
            scratch.gathered.clear();
            for row in needed.iter() {
                scratch.gathered.extend_from_slice(self.row(*row));
            }
            &scratch.gathered
        };
        scratch.products.resize(BLOCK * width, T::ZERO);
        let products = &mut scratch.products[..needed.len() * width];
        product(
            MatrixMut::of_rows(products, needed.len(), width, width),
            Matrix::of_rows(rows, needed.len(), dim, dim),
            Matrix::of_rows(centers.panels.panel(group), dim, width, width),
            T::from_f64(-2.0),
            Existing::Overwrite,
        );
        let first = group * width;
        let norms = &centers.norms[first..first + width];
        for (row, numbers) in needed.iter().zip(products.chunks_exact_mut(width)) {
            let own = self.own[*row].map(|own| own as usize);
            if let Some(own) = own.filter(|own| (first..first + width).contains(own)) {
                numbers[own - first] = T::MAX;
            }
            let least = add_and_find_least(numbers, norms).to_f64();
            let found = &mut found[*row];
            self.bounds_of(*row)[group] = bound(least + self.norms[*row] - found.error);
            if least < found.least {
                let (place, second) = least_two(numbers);
                found.second = found.second.min(found.least).min(second);
                found.second_of_group = second;
                found.least = least;
                found.centroid = Some((first + place) as u32);
            } else {
                found.second = found.second.min(least);
            }
        }
    }

    /// Writes down what is certain, with distances from the coordinates themselves, and gives the rows that are not.
    #[inline(always)]
    fn end(&mut self, found: &[Found]) -> Vec<usize> {
        let centers = self.centers;
        let mut uncertain = Vec::new();
        for (row, found) in found.iter().enumerate() {
            let Some(centroid) = found
                .centroid
                .filter(|_| found.second - found.least > 2.0 * found.error)
            else {
                // What is known leaves out the own centroid of before, and goes on doing so.
                uncertain.push(row);
                continue;
            };
            self.clusters[row] = centroid;
            let before = self.own[row];
            if before == Some(centroid) {
                continue;
            }
            // The bounds leave out the new own centroid, and no longer that of before.
            let norm = self.norms[row];
            let distance_before = self.distances[row];
            self.bounds_of(row)[centers.group_of(centroid)] =
                bound(found.second_of_group + norm - found.error);
            if let Some(before) = before {
                let of_group = &mut self.bounds_of(row)[centers.group_of(before)];
                *of_group = of_group.min(bound(distance_before));
            }
            self.own[row] = Some(centroid);
            self.distances[row] = squared_distance(self.row(row), centers.centroid(centroid));
        }
        uncertain
    }
}

/// The root of a square, rounded down to what a bound can hold; 0 where nothing is known.
fn bound(square: f64) -> f32 {
    // `max` takes 0 for what is not a number.
    (square.max(0.0).sqrt() * DOWN).min(f64::from(f32::MAX)) as f32
}

/// Adds the squared norms to the products, and gives the smallest sum.
#[inline(always)]
fn add_and_find_least<T: Real>(products: &mut [T], norms: &[T]) -> T {
    let mut least = [T::MAX; LANES];
    let pieces = products
        .as_chunks_mut::<LANES>()
        .0
        .iter_mut()
        .zip(norms.as_chunks::<LANES>().0);
    for (products, norms) in pieces {
        // In an array of its own, as a sum that is written could be one of the numbers to be read next.
        let mut sums = *norms;
        for ((sum, product), least) in sums.iter_mut().zip(&*products).zip(&mut least) {
            *sum += *product;
            *least = if *sum < *least { *sum } else { *least };
        }
        *products = sums;
    }
    by_halves(least, |a, b| if b < a { b } else { a })
}

/// The place of the smallest number, the first of equal ones, and the smallest of the others.
fn least_two<T: Real>(numbers: &[T]) -> (usize, f64) {
    let (mut place, mut least, mut second) = (0, T::MAX, T::MAX);
    for (at, number) in numbers.iter().enumerate() {
        if *number < least {
            (place, second, least) = (at, least, *number);
        } else if *number < second {
            second = *number;
        }
    }
    (place, second.to_f64())
}

#[cfg(test)]
mod tests;
