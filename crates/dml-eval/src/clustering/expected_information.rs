//! What two labellings of the given sizes would share by chance.

use std::collections::BTreeMap;

use rayon::prelude::*;

/// The mean mutual information, in nats, of all pairs of labellings of `total` rows with classes and clusters of these
/// sizes.
///
/// ```text
/// E[I] = Σ_ij Σ_n P(n; aᵢ, bⱼ) n/N ln(N n / (aᵢ bⱼ)),   n = rows that class i and cluster j share
/// P(n; a, b) = C(a, n) C(N − a, b − n) / C(N, b)         the hypergeometric distribution
/// ```
///
/// Vinh, Epps and Bailey, "Information Theoretic Measures for Clusterings Comparison" (2010), eq. 24a. The sum over n
/// starts at the most probable one and goes both ways by ratios of neighbouring probabilities, so no factorial loses
/// digits; it ends where nothing can be added any more. Equal sizes are counted once.
pub(super) fn expected_information(classes: &[usize], clusters: &[usize], total: usize) -> f64 {
    let (classes, clusters) = (multiplicities(classes), multiplicities(clusters));
    let of_class: Vec<f64> = classes
        .par_iter()
        .map(|(a, class_count)| {
            let of_clusters = clusters.iter().map(|(b, cluster_count)| {
                *cluster_count as f64 * of_sizes(*a as f64, *b as f64, total as f64)
            });
            *class_count as f64 * of_clusters.sum::<f64>()
        })
        .collect();
    of_class.iter().sum()
}

fn multiplicities(sizes: &[usize]) -> Vec<(usize, usize)> {
    let mut counts = BTreeMap::new();
    for size in sizes {
        *counts.entry(*size).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// `Σ_n P(n; a, b) n/N ln(N n / (a b))` for one class and one cluster.
fn of_sizes(a: f64, b: f64, total: f64) -> f64 {
    let (least, most) = ((a + b - total).max(0.0), a.min(b));
    let mode = ((a + 1.0) * (b + 1.0) / (total + 2.0))
        .floor()
        .clamp(least, most);
    let information = |n: f64| {
        if n > 0.0 {
            n / total * (total * n / (a * b)).ln()
        } else {
            0.0
        }
    };
    // Relative to the probability of the mode.
    let (mut weight, mut sum) = (1.0, information(mode));
    let mut add = |probability: f64, n: f64| {
        weight += probability;
        sum += probability * information(n);
        probability > weight * 1e-25
    };
    let (mut probability, mut n) = (1.0, mode);
    while n < most {
        probability *= (a - n) / (n + 1.0) * ((b - n) / (total - a - b + n + 1.0));
        n += 1.0;
        if !add(probability, n) {
            break;
        }
    }
    (probability, n) = (1.0, mode);
    while n > least {
        probability *= n / (a - n + 1.0) * ((total - a - b + n) / (b - n + 1.0));
        n -= 1.0;
        if !add(probability, n) {
            break;
        }
    }
    sum / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pairs_by_hand() {
        // Of the 6 ways to pair four rows, 2 give two full cells (ln 2 nats) and 4 give four cells of one (0 nats).
        let expected = 2f64.ln() / 3.0;
        assert!((expected_information(&[2, 2], &[2, 2], 4) - expected).abs() < 1e-15);
    }

    #[test]
    fn it_is_the_mean_over_all_permutations() {
        // Every order of five rows; classes 0 0 0 1 1, clusters 0 0 1 1 2.
        let (classes, clusters) = ([0, 0, 0, 1, 1], [0usize, 0, 1, 1, 2]);
        let (mut sum, mut count) = (0.0, 0.0);
        for code in 0..3125usize {
            let order: Vec<usize> = (0..5).map(|i| code / 5usize.pow(i) % 5).collect();
            if (0..5).any(|i| !order.contains(&i)) {
                continue;
            }
            let mut cells = [[0f64; 3]; 2];
            for (class, i) in classes.iter().zip(&order) {
                cells[*class][clusters[*i]] += 1.0;
            }
            for (i, a) in [3f64, 2.].iter().enumerate() {
                for (j, b) in [2f64, 2., 1.].iter().enumerate() {
                    if cells[i][j] > 0.0 {
                        sum += cells[i][j] / 5.0 * (5.0 * cells[i][j] / (a * b)).ln();
                    }
                }
            }
            count += 1.0;
        }
        let expected = expected_information(&[3, 2], &[2, 2, 1], 5);
        assert!((sum / count - expected).abs() < 1e-14);
    }

    #[test]
    fn a_large_table_has_no_rounding_to_speak_of() {
        // With one cluster nothing is shared, whatever the sizes.
        assert!(expected_information(&[600_000, 400_000], &[1_000_000], 1_000_000).abs() < 1e-15);
        // With clusters of one row each, the information is the entropy of the classes.
        let entropy = -(0.6f64 * 0.6f64.ln() + 0.4 * 0.4f64.ln());
        let found = expected_information(&[600, 400], &[1; 1000], 1000);
        assert!((found - entropy).abs() < 1e-13);
    }
}
