//! PML's metrics, by PML's names.

use super::RetrievalMetric;
use crate::clustering::ClusterMetric;

/// The metrics of PML's `AccuracyCalculator`: five of the ranking that each query gets
/// ([formulas](super::retrieval)), and two of clusters ([formulas](crate::clustering::contingency)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum AccuracyMetric {
    /// Whether the nearest neighbour matches.
    #[cfg_attr(feature = "serde", serde(rename = "precision_at_1"))]
    PrecisionAt1,
    /// The share of matches among as many neighbours as there are matches.
    #[cfg_attr(feature = "serde", serde(rename = "r_precision"))]
    RPrecision,
    /// The precision at every match, averaged over all matches.
    #[cfg_attr(feature = "serde", serde(rename = "mean_average_precision"))]
    MeanAveragePrecision,
    /// The same among as many neighbours as there are matches.
    #[cfg_attr(feature = "serde", serde(rename = "mean_average_precision_at_r"))]
    MeanAveragePrecisionAtR,
    /// One over the rank of the first match.
    #[cfg_attr(feature = "serde", serde(rename = "mean_reciprocal_rank"))]
    MeanReciprocalRank,
    /// Adjusted mutual information of the labels and as many clusters.
    AMI,
    /// Normalised mutual information of the labels and as many clusters.
    NMI,
}

impl AccuracyMetric {
    /// Every metric.
    pub const ALL: [Self; 7] = [
        Self::PrecisionAt1,
        Self::RPrecision,
        Self::MeanAveragePrecision,
        Self::MeanAveragePrecisionAtR,
        Self::MeanReciprocalRank,
        Self::AMI,
        Self::NMI,
    ];

    /// The metric of the ranking, if it is one.
    ///
    /// ```
    /// use dml_eval::{AccuracyMetric, RetrievalMetric};
    ///
    /// assert_eq!(AccuracyMetric::PrecisionAt1.retrieval(), Some(RetrievalMetric::PrecisionAt(1)));
    /// assert_eq!(AccuracyMetric::NMI.retrieval(), None);
    /// ```
    #[must_use]
    pub fn retrieval(self) -> Option<RetrievalMetric> {
        Some(match self {
            Self::PrecisionAt1 => RetrievalMetric::PrecisionAt(1),
            Self::RPrecision => RetrievalMetric::RPrecision,
            Self::MeanAveragePrecision => RetrievalMetric::MeanAveragePrecision,
            Self::MeanAveragePrecisionAtR => RetrievalMetric::MeanAveragePrecisionAtR,
            Self::MeanReciprocalRank => RetrievalMetric::MeanReciprocalRank,
            Self::AMI | Self::NMI => return None,
        })
    }

    /// The metric of clusters, if it is one.
    #[must_use]
    pub fn clustering(self) -> Option<ClusterMetric> {
        match self {
            Self::AMI => Some(ClusterMetric::AMI),
            Self::NMI => Some(ClusterMetric::NMI),
            _ => None,
        }
    }
}
