//! Moving the centroids to the middle of their rows.

use rayon::prelude::*;

use dml_core::kernels::exact::squared_distance;
use dml_core::kernels::{Real, vectorized};

/// Gives each cluster without a row the one that is furthest from its own centroid, out of a cluster of several.
pub(super) fn fill_empty(members: &mut [u32], squared_distances: &[f64], clusters: usize) {
    let mut sizes = sizes(members, clusters);
    if !sizes.contains(&0) {
        return;
    }
    let mut furthest: Vec<usize> = (0..members.len()).collect();
    furthest.sort_unstable_by(|i, j| {
        squared_distances[*j]
            .total_cmp(&squared_distances[*i])
            .then(i.cmp(j))
    });
    let mut furthest = furthest.into_iter().filter(|i| squared_distances[*i] > 0.0);
    for cluster in 0..clusters {
        if sizes[cluster] > 0 {
            continue;
        }
        let Some(row) = furthest.find(|i| sizes[members[*i] as usize] > 1) else {
            return;
        };
        sizes[members[row] as usize] -= 1;
        sizes[cluster] = 1;
        members[row] = cluster as u32;
    }
}

/// Each centroid becomes the mean of its rows, summed in double precision in the order of the rows; one without rows
/// stays.
pub(super) fn set_to_means<T: Real>(centroids: &mut [T], rows: &[T], dim: usize, members: &[u32]) {
    let sizes = sizes(members, centroids.len() / dim);
    // Where each cluster's rows begin, and after the loop, where they end.
    let mut ends = vec![0; sizes.len()];
    for cluster in 1..sizes.len() {
        ends[cluster] = ends[cluster - 1] + sizes[cluster - 1];
    }
    let mut sorted = vec![0u32; members.len()];
    for (row, cluster) in (0..).zip(members) {
        let end = &mut ends[*cluster as usize];
        sorted[*end] = row;
        *end += 1;
    }
    centroids
        .par_chunks_exact_mut(dim)
        .zip(sizes.par_iter().zip(&ends))
        .for_each(|(centroid, (size, end))| {
            if *size > 0 {
                let members = &sorted[end - size..*end];
                vectorized(
                    #[inline(always)]
                    || set_to_mean(centroid, rows, members),
                );
            }
        });
}

/// A centroid becomes the mean of its members.
#[inline(always)]
fn set_to_mean<T: Real>(centroid: &mut [T], rows: &[T], members: &[u32]) {
    let dim = centroid.len();
    let mut sums = vec![0.0; dim];
    for member in members {
        let row = &rows[*member as usize * dim..][..dim];
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x.to_f64();
        }
    }
    let count = members.len() as f64;
    for (mean, sum) in centroid.iter_mut().zip(sums) {
        *mean = T::from_f64(sum / count);
    }
}

/// How far each centroid is from where it was `before`, rounded up.
pub(super) fn moved<T: Real>(before: &[T], centroids: &[T], dim: usize) -> Vec<f64> {
    let pairs = before.chunks_exact(dim).zip(centroids.chunks_exact(dim));
    let distance = |(before, now)| squared_distance::<T>(before, now).sqrt() * (1.0 + 1e-9);
    pairs.map(distance).collect()
}

fn sizes(members: &[u32], clusters: usize) -> Vec<usize> {
    let mut sizes = vec![0; clusters];
    for cluster in members {
        sizes[*cluster as usize] += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_by_hand() {
        let rows = [0f32, 1., 2., 3., 10., 20.];
        let mut centroids = [9f32; 6];
        set_to_means(&mut centroids, &rows, 2, &[0, 0, 2]);
        // The second cluster has no row and stays.
        assert_eq!(centroids, [1., 2., 9., 9., 10., 20.]);
    }

    #[test]
    fn an_empty_cluster_takes_the_furthest_row_that_another_can_spare() {
        // Row 3 is furthest but alone in its cluster; row 1 is next.
        let mut members = [0, 0, 0, 1];
        fill_empty(&mut members, &[1., 4., 2., 9.], 3);
        assert_eq!(members, [0, 2, 0, 1]);
        // Two empty clusters; of equal distances the lower row goes first.
        let mut members = [0, 0, 0];
        fill_empty(&mut members, &[2., 2., 2.], 3);
        assert_eq!(members, [1, 2, 0]);
        // Rows that lie on their centroid stay, and so do clusters of one.
        let mut members = [0, 0, 1];
        fill_empty(&mut members, &[0., 0., 5.], 3);
        assert_eq!(members, [0, 0, 1]);
    }
}
