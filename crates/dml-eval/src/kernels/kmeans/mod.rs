//! k-means: as many points as there are clusters, each the mean of the rows that are closest to it.
//!
//! ```text
//! start     centroids are rows: drawn uniformly, or far from each other (k-means++)
//! assign    a(x) = the centroid of smallest ‖x − c‖², ties to the lower one
//! update    c = mean of the rows with a(x) = c
//! inertia   Σₓ ‖x − c_a(x)‖²
//! ```
//!
//! Lloyd, "Least squares quantization in PCM" (1982); Arthur and Vassilvitskii, "k-means++: the advantages of careful
//! seeding" (2007). Assigning is exact, at the speed of a matrix product, and leaves out centroids that can't have become
//! the closest. A centroid that loses all its rows moves to the row that is furthest from its own centroid, so no cluster
//! stays empty as long as a row is away from its centroid. Results do not depend on the number of threads.

mod assign;
mod start;
mod update;

use rand::RngCore;

use dml_core::kernels::Real;
use dml_core::kernels::lengths;

/// Initial centroids of [`KMeans`](crate::KMeans).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum KMeansStart {
    /// Rows drawn one by one, with probability proportional to the squared distance from the closest one so far.
    #[default]
    PlusPlus,
    /// Different rows, all equally probable, as in faiss.
    Random,
}

/// Rows in clusters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clustering<T> {
    /// The centroids `[clusters, dim]`.
    pub(crate) centroids: Vec<T>,
    /// The cluster of every row: that of the closest centroid.
    pub(crate) assignments: Vec<u32>,
    /// The sum of the squared distances between rows and their centroids.
    pub(crate) inertia: f64,
    /// How often the centroids were updated: fewer times than allowed if nothing moved any more.
    pub(crate) updates: usize,
}

/// The rows `[rows, dim]` in `clusters` clusters, after at most `updates` updates; `1 <= clusters <= rows`, and rows are
/// finite numbers.
///
/// With fewer different rows than clusters, some clusters are empty.
///
/// # Panics
/// If the length is no multiple of `dim`, or there are no clusters or more of them than rows.
pub(crate) fn kmeans<T: Real>(
    rows: &[T],
    dim: usize,
    clusters: usize,
    updates: usize,
    start: KMeansStart,
    rng: &mut dyn RngCore,
) -> Clustering<T> {
    let count = lengths::rows("rows", rows.len(), dim);
    assert!(
        (1..=count).contains(&clusters),
        "clusters: expected 1 to {count}, got {clusters}"
    );
    let prepared = assign::Rows::new(rows, dim);
    let mut centroids = start::centroids(&prepared, clusters, start, rng);
    let mut assignment = assign::Assignment::new(&prepared, clusters);
    let mut found = assignment.assign(&centroids, &[]);
    // The clusters whose means the centroids are.
    let mut averaged = Vec::new();
    let mut done = 0;
    while done < updates {
        let mut members = found.clusters.clone();
        update::fill_empty(&mut members, &found.squared_distances, clusters);
        if members == averaged {
            break;
        }
        let before = centroids.clone();
        update::set_to_means(&mut centroids, rows, dim, &members);
        found = assignment.assign(&centroids, &update::moved(&before, &centroids, dim));
        averaged = members;
        done += 1;
    }
    Clustering {
        centroids,
        inertia: found.squared_distances.iter().sum(),
        assignments: found.clusters,
        updates: done,
    }
}

#[cfg(test)]
mod tests;
