//! Metrics of a ranking: what share of the nearest neighbours are matches.
//!
//! With `hit_j` = 1 if neighbour j of a query matches it and `R` = how many references match it at all:
//!
//! ```text
//! precision_at_1               hit_1
//! r_precision                  (hit_1 + … + hit_R) / R
//! mean_average_precision       Σ_j hit_j (hit_1 + … + hit_j) / j,  all neighbours j,  / R
//! mean_average_precision_at_r  the same over j <= R
//! mean_reciprocal_rank         1 / (the first j with a hit), 0 if there is none
//! ```
//!
//! R-precision and MAP@R: Musgrave et al., "A Metric Learning Reality Check" (2020, arXiv:2003.08505).

use std::fmt::Debug;

/// How many neighbours a metric looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankDepth {
    /// The first so many.
    First(usize),
    /// As many as there are matches of the query.
    Relevant,
    /// All references.
    All,
}

/// A number for the ranking that one query gets; the average over queries is the metric.
pub trait RankMetric: Debug + Send + Sync {
    /// The metric's name in results.
    fn name(&self) -> &str;

    /// How many neighbours it looks at: no more are searched for.
    fn depth(&self) -> RankDepth;

    /// The number for one query: whether each neighbour matches, closest first, and how many references match at
    /// all, at least one.
    ///
    /// There may be fewer neighbours than [`depth`](RankMetric::depth) asks for, and there may be more.
    fn of_query(&self, hits: &[bool], relevant: usize) -> f64;
}

/// The metrics of PML's `AccuracyCalculator`; [formulas](self).
///
/// ```
/// use dml_eval::{AccuracyMetric, RankMetric};
///
/// // The first and the third neighbour match, of three that could.
/// let hits = [true, false, true, false];
/// assert_eq!(AccuracyMetric::PrecisionAt1.of_query(&hits, 3), 1.0);
/// assert_eq!(AccuracyMetric::RPrecision.of_query(&hits, 3), 2. / 3.);
/// assert_eq!(AccuracyMetric::MeanAveragePrecision.of_query(&hits, 3), (1. + 2. / 3.) / 3.);
/// assert_eq!(AccuracyMetric::MeanReciprocalRank.of_query(&hits, 3), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
}

impl AccuracyMetric {
    /// Every metric, in the order of the [formulas](self).
    pub const ALL: [Self; 5] = [
        Self::PrecisionAt1,
        Self::RPrecision,
        Self::MeanAveragePrecision,
        Self::MeanAveragePrecisionAtR,
        Self::MeanReciprocalRank,
    ];
}

impl RankMetric for AccuracyMetric {
    fn name(&self) -> &str {
        match self {
            Self::PrecisionAt1 => "precision_at_1",
            Self::RPrecision => "r_precision",
            Self::MeanAveragePrecision => "mean_average_precision",
            Self::MeanAveragePrecisionAtR => "mean_average_precision_at_r",
            Self::MeanReciprocalRank => "mean_reciprocal_rank",
        }
    }

    fn depth(&self) -> RankDepth {
        match self {
            Self::PrecisionAt1 => RankDepth::First(1),
            Self::RPrecision | Self::MeanAveragePrecisionAtR => RankDepth::Relevant,
            Self::MeanAveragePrecision | Self::MeanReciprocalRank => RankDepth::All,
        }
    }

    fn of_query(&self, hits: &[bool], relevant: usize) -> f64 {
        let first_r = &hits[..relevant.min(hits.len())];
        match self {
            Self::PrecisionAt1 => f64::from(hits.first() == Some(&true)),
            Self::RPrecision => {
                // Where fewer neighbours were searched for than there are matches, the share among these.
                first_r.iter().filter(|hit| **hit).count() as f64 / first_r.len() as f64
            }
            Self::MeanAveragePrecision => summed_precision(hits) / relevant as f64,
            Self::MeanAveragePrecisionAtR => summed_precision(first_r) / relevant as f64,
            Self::MeanReciprocalRank => hits
                .iter()
                .position(|hit| *hit)
                .map_or(0.0, |before| 1.0 / (before + 1) as f64),
        }
    }
}

/// The precision at every hit, summed.
fn summed_precision(hits: &[bool]) -> f64 {
    let ranks = (1..).zip(hits).filter(|(_, hit)| **hit);
    let precisions = (1..)
        .zip(ranks)
        .map(|(found, (rank, _)): (u32, (u32, _))| f64::from(found) / f64::from(rank));
    precisions.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_ranking_scores_one() {
        for metric in AccuracyMetric::ALL {
            assert_eq!(metric.of_query(&[true, true, false], 2), 1.0, "{metric:?}");
        }
    }

    #[test]
    fn a_late_match_by_hand() {
        // Matches at ranks 2 and 5, of two.
        let hits = [false, true, false, false, true];
        for (metric, expected) in [
            (AccuracyMetric::PrecisionAt1, 0.0),
            (AccuracyMetric::RPrecision, 0.5),
            (AccuracyMetric::MeanAveragePrecision, (0.5 + 0.4) / 2.0),
            (AccuracyMetric::MeanAveragePrecisionAtR, 0.25),
            (AccuracyMetric::MeanReciprocalRank, 0.5),
        ] {
            assert_eq!(metric.of_query(&hits, 2), expected, "{metric:?}");
        }
    }

    #[test]
    fn no_match_among_the_neighbours_scores_zero() {
        for metric in AccuracyMetric::ALL {
            assert_eq!(metric.of_query(&[false; 3], 1), 0.0, "{metric:?}");
        }
    }

    #[test]
    fn fewer_neighbours_than_matches() {
        // Three of the three neighbours match, of ten that could.
        let hits = [true; 3];
        assert_eq!(AccuracyMetric::RPrecision.of_query(&hits, 10), 1.0);
        assert_eq!(
            AccuracyMetric::MeanAveragePrecision.of_query(&hits, 10),
            0.3
        );
        assert_eq!(
            AccuracyMetric::MeanAveragePrecisionAtR.of_query(&hits, 10),
            0.3
        );
    }
}
