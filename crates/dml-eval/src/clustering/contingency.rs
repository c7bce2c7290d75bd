//! How classes and clusters overlap, and the numbers that say how well they agree.
//!
//! With `n_ij` rows in class i and cluster j, `aᵢ` in class i, `bⱼ` in cluster j, `N` in all, and logarithms to base e:
//!
//! ```text
//! I      = Σ_ij n_ij/N ln(N n_ij / (aᵢ bⱼ))              mutual information
//! H(a)   = −Σᵢ aᵢ/N ln(aᵢ/N)                             entropy of the classes; H(b) of the clusters
//! NMI    = I / ½(H(a) + H(b))
//! AMI    = (I − E[I]) / (½(H(a) + H(b)) − E[I])          E[I]: what chance gives
//! homogeneity = I / H(a),  completeness = I / H(b)
//! V_β    = (1 + β) homogeneity · completeness / (β homogeneity + completeness)
//! ARI    = 2 (tp tn − fn fp) / ((tp + fn)(fn + tn) + (tp + fp)(fp + tn))      counted over pairs of rows
//! BCubed = precision Σ_ij n_ij²/bⱼ / N,  recall Σ_ij n_ij²/aᵢ / N,  F1 their harmonic mean
//! ```
//!
//! Vinh, Epps and Bailey (2010) for AMI; Hubert and Arabie, "Comparing partitions" (1985); Rosenberg and Hirschberg,
//! "V-Measure" (2007); Bagga and Baldwin, "Entity-based cross-document coreferencing" (1998) for `BCubed`. Edge cases are
//! scikit-learn's: where classes and clusters are each one and the same, or there is no row, all agree fully.

use std::collections::BTreeMap;

use dml_core::{IntoLabels, Result, check};

use super::expected_information::expected_information;

/// The table of how many rows each class shares with each cluster.
///
/// ```
/// use dml_eval::Contingency;
///
/// // The first cluster is a class; the second one mixes two.
/// let table = Contingency::new([0i64, 0, 1, 1, 2, 2], [5i64, 5, 6, 6, 6, 6])?;
/// assert!((table.normalized_mutual_information() - 0.7336804366512).abs() < 1e-12);
/// assert!((table.adjusted_mutual_information() - 0.6153846153846).abs() < 1e-12);
/// assert_eq!(table.adjusted_rand_index(), 4. / 9.);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contingency {
    /// Class, cluster and shared rows of every cell that is not 0.
    cells: Vec<(usize, usize, usize)>,
    classes: Vec<usize>,
    clusters: Vec<usize>,
    rows: usize,
}

/// Precision, recall and F1 of [`Contingency::bcubed`], each in `[0, 1]`.
///
/// ```
/// use dml_eval::Contingency;
///
/// let found = Contingency::new([0i64, 0, 1, 1], [5i64, 5, 5, 5])?.bcubed();
/// assert_eq!((found.precision, found.recall), (0.5, 1.0));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BCubed {
    /// How much of a row's cluster is of its class, on average.
    pub precision: f64,
    /// How much of a row's class is in its cluster, on average.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

impl Contingency {
    /// Counts; classes and clusters are any numbers.
    ///
    /// # Errors
    /// [`Error::Length`](dml_core::Error::Length) if there is not one cluster for each class; as
    /// [`IntoLabels::into_labels`].
    pub fn new(classes: impl IntoLabels, clusters: impl IntoLabels) -> Result<Self> {
        let (classes, clusters) = (classes.into_labels()?, clusters.into_labels()?);
        check::length("clusters", classes.len(), clusters.len())?;
        let (class_rows, class_sizes) = numbered(classes.as_slice());
        let (cluster_rows, cluster_sizes) = numbered(clusters.as_slice());
        let mut cells = BTreeMap::new();
        for cell in class_rows.into_iter().zip(cluster_rows) {
            *cells.entry(cell).or_default() += 1;
        }
        let cells = cells.into_iter().map(|((i, j), count)| (i, j, count));
        Ok(Self {
            cells: cells.collect(),
            classes: class_sizes,
            clusters: cluster_sizes,
            rows: classes.len(),
        })
    }

    /// `I` of the [formulas](self), in nats.
    #[must_use]
    pub fn mutual_information(&self) -> f64 {
        if self.classes.len() <= 1 || self.clusters.len() <= 1 {
            return 0.0;
        }
        let rows = self.rows as f64;
        let shared = self.cells.iter().map(|(i, j, count)| {
            let (count, a, b) = (
                *count as f64,
                self.classes[*i] as f64,
                self.clusters[*j] as f64,
            );
            count / rows * (count * rows / (a * b)).ln()
        });
        let sum: f64 = shared.sum();
        // Independent labellings share nothing, but for rounding.
        if sum < f64::EPSILON { 0.0 } else { sum }
    }

    /// NMI of the [formulas](self), in `[0, 1]`.
    #[must_use]
    pub fn normalized_mutual_information(&self) -> f64 {
        if self.is_trivial() {
            return 1.0;
        }
        let information = self.mutual_information();
        if information <= 0.0 {
            return 0.0;
        }
        information / self.mean_entropy()
    }

    /// AMI of the [formulas](self): 1 for full agreement, about 0 for agreement by chance.
    #[must_use]
    pub fn adjusted_mutual_information(&self) -> f64 {
        if self.is_trivial() {
            return 1.0;
        }
        if self.classes.len() == 1 || self.clusters.len() == 1 {
            return 0.0;
        }
        let by_chance = expected_information(&self.classes, &self.clusters, self.rows);
        // Never 0 / 0: where even chance agrees fully, so do these.
        let at_least = |x: f64| {
            if x < 0.0 {
                x.min(-f64::EPSILON)
            } else {
                x.max(f64::EPSILON)
            }
        };
        at_least(self.mutual_information() - by_chance) / at_least(self.mean_entropy() - by_chance)
    }

    /// How far each cluster is of one class only: `I / H(a)`, in `[0, 1]`; 1 for a single class.
    #[must_use]
    pub fn homogeneity(&self) -> f64 {
        self.information_share(&self.classes)
    }

    /// How far each class is in one cluster only: `I / H(b)`, in `[0, 1]`; 1 for a single cluster.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        self.information_share(&self.clusters)
    }

    /// `V₁` of the [formulas](self), in `[0, 1]`: the same number as NMI.
    #[must_use]
    pub fn v_measure(&self) -> f64 {
        self.weighted_v_measure(1.0)
    }

    /// `V_β` of the [formulas](self), in `[0, 1]`; completeness counts more for `β` above 1.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if `beta` is negative or not finite.
    pub fn v_measure_with(&self, beta: f64) -> Result<f64> {
        let beta = check::non_negative("beta", beta)?;
        Ok(self.weighted_v_measure(beta))
    }

    fn weighted_v_measure(&self, beta: f64) -> f64 {
        let (homogeneity, completeness) = (self.homogeneity(), self.completeness());
        if homogeneity + completeness == 0.0 {
            return 0.0;
        }
        (1.0 + beta) * homogeneity * completeness / (beta * homogeneity + completeness)
    }

    /// ARI of the [formulas](self): 1 for full agreement, about 0 for agreement by chance.
    #[must_use]
    pub fn adjusted_rand_index(&self) -> f64 {
        let squares = |sizes: &mut dyn Iterator<Item = usize>| -> i128 {
            sizes.map(|size| size as i128 * size as i128).sum()
        };
        let rows = self.rows as i128;
        let shared = squares(&mut self.cells.iter().map(|(_, _, count)| *count));
        let classes = squares(&mut self.classes.iter().copied());
        let clusters = squares(&mut self.clusters.iter().copied());
        // Ordered pairs of different rows: together in both, in the class only, in the cluster only, in neither.
        let both = shared - rows;
        let (class_only, cluster_only) = (classes - shared, clusters - shared);
        let neither = rows * rows - classes - clusters + shared;
        if class_only == 0 && cluster_only == 0 {
            return 1.0;
        }
        let [both, class_only, cluster_only, neither] =
            [both, class_only, cluster_only, neither].map(|pairs| pairs as f64);
        2.0 * (both * neither - class_only * cluster_only)
            / ((both + class_only) * (class_only + neither)
                + (both + cluster_only) * (cluster_only + neither))
    }

    /// Precision, recall and F1 of the [formulas](self); all 1 where there is no row.
    #[must_use]
    pub fn bcubed(&self) -> BCubed {
        if self.rows == 0 {
            return BCubed {
                precision: 1.0,
                recall: 1.0,
                f1: 1.0,
            };
        }
        let (mut precision, mut recall) = (0.0, 0.0);
        for (i, j, count) in &self.cells {
            let square = *count as f64 * *count as f64;
            precision += square / self.clusters[*j] as f64;
            recall += square / self.classes[*i] as f64;
        }
        let rows = self.rows as f64;
        let (precision, recall) = (precision / rows, recall / rows);
        BCubed {
            precision,
            recall,
            f1: 2.0 * precision * recall / (precision + recall),
        }
    }

    /// The cells that are not 0: class, cluster and how many rows they share. Classes and clusters are numbered from 0.
    ///
    /// ```
    /// let table = dml_eval::Contingency::new([0i64, 0, 7], [5i64, 6, 6])?;
    /// assert_eq!(table.cells().collect::<Vec<_>>(), [(0, 0, 1), (0, 1, 1), (1, 1, 1)]);
    /// assert_eq!((table.class_sizes(), table.cluster_sizes()), (&[2, 1][..], &[1, 2][..]));
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (usize, usize, usize)> {
        self.cells.iter().copied()
    }

    /// How many rows each class has.
    #[must_use]
    pub fn class_sizes(&self) -> &[usize] {
        &self.classes
    }

    /// How many rows each cluster has.
    #[must_use]
    pub fn cluster_sizes(&self) -> &[usize] {
        &self.clusters
    }

    /// How many classes there are.
    #[must_use]
    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// How many clusters have a row.
    #[must_use]
    pub fn cluster_count(&self) -> usize {
        self.clusters.len()
    }

    /// Whether neither labelling says anything.
    fn is_trivial(&self) -> bool {
        self.classes.len() == self.clusters.len() && self.classes.len() <= 1
    }

    fn mean_entropy(&self) -> f64 {
        (self.entropy(&self.classes) + self.entropy(&self.clusters)) / 2.0
    }

    fn information_share(&self, sizes: &[usize]) -> f64 {
        let entropy = self.entropy(sizes);
        if entropy > 0.0 {
            self.mutual_information() / entropy
        } else {
            1.0
        }
    }

    fn entropy(&self, sizes: &[usize]) -> f64 {
        if sizes.len() <= 1 {
            return 0.0;
        }
        let rows = self.rows as f64;
        let terms = sizes.iter().map(|size| *size as f64 / rows);
        -terms.map(|share| share * share.ln()).sum::<f64>()
    }
}

/// Numbers from 0 for the labels in ascending order, and how many rows each has.
fn numbered(labels: &[i64]) -> (Vec<usize>, Vec<usize>) {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut sizes = vec![0; sorted.len()];
    let rows = labels.iter().map(|label| {
        let number = sorted.partition_point(|other| other < label);
        sizes[number] += 1;
        number
    });
    (rows.collect(), sizes)
}

#[cfg(test)]
mod tests;
