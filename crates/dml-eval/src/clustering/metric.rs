//! Metrics of clusters, by name.

use std::fmt::Debug;
use std::sync::Arc;

use super::Contingency;

/// A number that says how well clusters agree with classes; see [`contingency`](super::contingency) for the formulas.
///
/// ```
/// use dml_eval::{ClusterMetric, Contingency};
///
/// let table = Contingency::new([0i64, 0, 1, 1], [5i64, 5, 6, 6])?;
/// assert_eq!(ClusterMetric::ARI.of(&table), 1.0);
/// assert_eq!(ClusterMetric::VMeasure.name(), "v_measure");
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ClusterMetric {
    /// Adjusted mutual information, as PML has it.
    AMI,
    /// Normalised mutual information by the mean of the entropies, as PML has it.
    NMI,
    /// Adjusted Rand index.
    ARI,
    /// How far each cluster is of one class only.
    #[cfg_attr(feature = "serde", serde(rename = "homogeneity"))]
    Homogeneity,
    /// How far each class is in one cluster only.
    #[cfg_attr(feature = "serde", serde(rename = "completeness"))]
    Completeness,
    /// The harmonic mean of homogeneity and completeness.
    #[cfg_attr(feature = "serde", serde(rename = "v_measure"))]
    VMeasure,
    /// The precision of [`BCubed`](super::BCubed).
    #[cfg_attr(feature = "serde", serde(rename = "bcubed_precision"))]
    BCubedPrecision,
    /// The recall of [`BCubed`](super::BCubed).
    #[cfg_attr(feature = "serde", serde(rename = "bcubed_recall"))]
    BCubedRecall,
    /// The F1 of [`BCubed`](super::BCubed).
    #[cfg_attr(feature = "serde", serde(rename = "bcubed_f1"))]
    BCubedF1,
}

impl ClusterMetric {
    /// Every metric.
    pub const ALL: [Self; 9] = [
        Self::AMI,
        Self::NMI,
        Self::ARI,
        Self::Homogeneity,
        Self::Completeness,
        Self::VMeasure,
        Self::BCubedPrecision,
        Self::BCubedRecall,
        Self::BCubedF1,
    ];

    /// The metric's name in results and configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name_and_formula().0
    }

    /// The number for these classes and clusters.
    ///
    /// ```
    /// use dml_eval::{ClusterMetric, Contingency};
    ///
    /// let table = Contingency::new([0i64, 0, 1, 1], [9i64, 9, 3, 3])?;
    /// assert_eq!(ClusterMetric::ARI.of(&table), 1.0);
    /// # Ok::<(), dml_core::Error>(())
    /// ```
    #[must_use]
    pub fn of(self, table: &Contingency) -> f64 {
        let (_, formula) = self.name_and_formula();
        formula(table)
    }

    fn name_and_formula(self) -> (&'static str, fn(&Contingency) -> f64) {
        match self {
            Self::AMI => ("AMI", Contingency::adjusted_mutual_information),
            Self::NMI => ("NMI", Contingency::normalized_mutual_information),
            Self::ARI => ("ARI", Contingency::adjusted_rand_index),
            Self::Homogeneity => ("homogeneity", Contingency::homogeneity),
            Self::Completeness => ("completeness", Contingency::completeness),
            Self::VMeasure => ("v_measure", Contingency::v_measure),
            Self::BCubedPrecision => ("bcubed_precision", |table| table.bcubed().precision),
            Self::BCubedRecall => ("bcubed_recall", |table| table.bcubed().recall),
            Self::BCubedF1 => ("bcubed_f1", |table| table.bcubed().f1),
        }
    }
}

/// A number for the table of classes and clusters, as [`RankMetric`](crate::RankMetric) is one for a ranking.
///
/// ```
/// use dml_eval::{AccuracyCalculator, ClusterAgreement, Contingency, FlatIndex};
///
/// /// The square root of B-cubed precision times recall.
/// #[derive(Debug)]
/// struct Geometric;
///
/// impl ClusterAgreement for Geometric {
///     fn name(&self) -> String {
///         "bcubed_geometric".to_owned()
///     }
///     fn of(&self, table: &Contingency) -> f64 {
///         let found = table.bcubed();
///         (found.precision * found.recall).sqrt()
///     }
/// }
///
/// assert_eq!(Geometric.of(&Contingency::new([0i64, 1], [3i64, 4])?), 1.0);
/// let calculator = AccuracyCalculator::new(Default::default(), FlatIndex::default())?;
/// let calculator = calculator.with_cluster_metric(Geometric);
/// # Ok::<(), dml_core::Error>(())
/// ```
pub trait ClusterAgreement: Debug + Send + Sync {
    /// The metric's name in results.
    fn name(&self) -> String;

    /// The number for these classes and clusters, of which there is at least one row.
    fn of(&self, table: &Contingency) -> f64;
}

dml_core::forward!(ClusterAgreement for [Arc<T>] {
    fn name(&self) -> String;
    fn of(&self, table: &Contingency) -> f64;
});

impl ClusterAgreement for ClusterMetric {
    fn name(&self) -> String {
        (*self).name().to_owned()
    }

    fn of(&self, table: &Contingency) -> f64 {
        (*self).of(table)
    }
}
