//! Metrics of a ranking: what share of the nearest neighbours are matches.
//!
//! With `hit_j` = 1 if neighbour j of a query matches it, `R` = how many references match it at all, and
//! `P_j = (hit_1 + … + hit_j) / j`:
//!
//! ```text
//! precision_at_k                 (hit_1 + … + hit_k) / k
//! recall_at_k                    (hit_1 + … + hit_k) / R
//! hit_rate_at_k                  1 if any of hit_1 … hit_k is
//! r_precision                    (hit_1 + … + hit_R) / R
//! mean_average_precision         Σ_j hit_j P_j,  all neighbours j,  / R
//! mean_average_precision_at_r    the same over j <= R
//! mean_average_precision_at_k    the same over j <= k,  / min(k, R)
//! mean_average_precision_at_k_over_r    the same,  / R
//! ndcg_at_k                      Σ_{j<=k} hit_j / log2(j + 1),  / the same sum with all of the first min(k, R) a hit
//! mean_reciprocal_rank           1 / (the first j with a hit), 0 if there is none
//! ```
//!
//! What papers on metric learning call Recall@K is the hit rate here, as it is in "CMC" of re-identification; `recall_at_k`
//! is that of information retrieval. With fewer than k neighbours, those that are missing are no hits. MAP@k divided by
//! `min(k, R)` reaches 1 where all of the first k are hits; divided by `R` it is PML's `mean_average_precision` with its
//! argument `k`.
//!
//! A match is a match: weights that a relation gives to pairs play no part, in NDCG neither, and a
//! [`RankMetric`] gets none.
//!
//! R-precision and MAP@R: Musgrave et al., "A Metric Learning Reality Check" (2020, arXiv:2003.08505). NDCG: Järvelin and
//! Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002).

use std::fmt;
use std::str::FromStr;

use dml_core::{Error, Result, check};

use super::metric::{RankDepth, RankMetric};

/// A metric of the ranking that each query gets; [formulas](self). `k` is at least 1.
///
/// ```
/// use dml_eval::{RankMetric, RetrievalMetric};
///
/// // The first and the third neighbour match, of three that could.
/// let hits = [true, false, true, false];
/// assert_eq!(RetrievalMetric::PrecisionAt(1).of_query(&hits, 3), 1.0);
/// assert_eq!(RetrievalMetric::RPrecision.of_query(&hits, 3), 2. / 3.);
/// assert_eq!(RetrievalMetric::MeanAveragePrecision.of_query(&hits, 3), (1. + 2. / 3.) / 3.);
/// assert_eq!(RetrievalMetric::HitRateAt(2).of_query(&hits, 3), 1.0);
/// // By name:
/// assert_eq!("ndcg_at_10".parse::<RetrievalMetric>()?, RetrievalMetric::NdcgAt(10));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
#[non_exhaustive]
pub enum RetrievalMetric {
    /// The share of matches among the first k neighbours.
    PrecisionAt(usize),
    /// The share of all matches that are among the first k neighbours.
    RecallAt(usize),
    /// Whether any of the first k neighbours matches.
    HitRateAt(usize),
    /// The share of matches among as many neighbours as there are matches.
    RPrecision,
    /// The precision at every match, averaged over all matches.
    MeanAveragePrecision,
    /// The same among as many neighbours as there are matches.
    MeanAveragePrecisionAtR,
    /// The precision at every match among the first k neighbours, averaged over as many matches as could be there.
    MeanAveragePrecisionAt(usize),
    /// The precision at every match among the first k neighbours, averaged over all matches.
    MeanAveragePrecisionAtOverR(usize),
    /// The discounted gain of the first k neighbours, as a share of the best one.
    NdcgAt(usize),
    /// One over the rank of the first match.
    MeanReciprocalRank,
}

impl RetrievalMetric {
    /// The metric, if its `k` is at least 1.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] otherwise.
    pub fn checked(self) -> Result<Self> {
        if let Some(k) = self.k() {
            check::at_least_one("k", k)?;
        }
        Ok(self)
    }

    fn k(self) -> Option<usize> {
        match self {
            Self::PrecisionAt(k)
            | Self::RecallAt(k)
            | Self::HitRateAt(k)
            | Self::MeanAveragePrecisionAt(k)
            | Self::MeanAveragePrecisionAtOverR(k)
            | Self::NdcgAt(k) => Some(k),
            Self::RPrecision
            | Self::MeanAveragePrecision
            | Self::MeanAveragePrecisionAtR
            | Self::MeanReciprocalRank => None,
        }
    }
}

impl RankMetric for RetrievalMetric {
    fn name(&self) -> String {
        self.to_string()
    }

    fn depth(&self) -> RankDepth {
        match self {
            Self::RPrecision | Self::MeanAveragePrecisionAtR => RankDepth::Relevant,
            Self::MeanAveragePrecision | Self::MeanReciprocalRank => RankDepth::All,
            _ => RankDepth::First(self.k().unwrap_or(1)),
        }
    }

    fn of_query(&self, hits: &[bool], relevant: usize) -> f64 {
        let first = |count: usize| &hits[..count.min(hits.len())];
        let all = relevant as f64;
        match *self {
            Self::PrecisionAt(k) => count(first(k)) / k.max(1) as f64,
            Self::RecallAt(k) => count(first(k)) / all,
            Self::HitRateAt(k) => f64::from(first(k).contains(&true)),
            Self::RPrecision => {
                // Where fewer neighbours were searched for than there are matches, the share among these.
                let first = first(relevant);
                count(first) / first.len() as f64
            }
            Self::MeanAveragePrecision => summed_precision(hits) / all,
            Self::MeanAveragePrecisionAtR => summed_precision(first(relevant)) / all,
            Self::MeanAveragePrecisionAt(k) => {
                summed_precision(first(k)) / relevant.min(k).max(1) as f64
            }
            Self::MeanAveragePrecisionAtOverR(k) => summed_precision(first(k)) / all,
            Self::NdcgAt(k) => {
                let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
                let found = first(k).iter().enumerate().filter(|(_, hit)| **hit);
                let found: f64 = found.map(|(rank, _)| gain(rank)).sum();
                found / (0..relevant.min(k).max(1)).map(gain).sum::<f64>()
            }
            Self::MeanReciprocalRank => hits
                .iter()
                .position(|hit| *hit)
                .map_or(0.0, |before| 1.0 / (before + 1) as f64),
        }
    }
}

fn count(hits: &[bool]) -> f64 {
    hits.iter().filter(|hit| **hit).count() as f64
}

/// The precision at every hit, summed.
fn summed_precision(hits: &[bool]) -> f64 {
    let ranks = (1..).zip(hits).filter(|(_, hit)| **hit);
    let precisions = (1..)
        .zip(ranks)
        .map(|(found, (rank, _)): (u32, (u32, _))| f64::from(found) / f64::from(rank));
    precisions.sum()
}

impl fmt::Display for RetrievalMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrecisionAt(k) => write!(f, "precision_at_{k}"),
            Self::RecallAt(k) => write!(f, "recall_at_{k}"),
            Self::HitRateAt(k) => write!(f, "hit_rate_at_{k}"),
            Self::RPrecision => f.write_str("r_precision"),
            Self::MeanAveragePrecision => f.write_str("mean_average_precision"),
            Self::MeanAveragePrecisionAtR => f.write_str("mean_average_precision_at_r"),
            Self::MeanAveragePrecisionAt(k) => write!(f, "mean_average_precision_at_{k}"),
            Self::MeanAveragePrecisionAtOverR(k) => {
                write!(f, "mean_average_precision_at_{k}_over_r")
            }
            Self::NdcgAt(k) => write!(f, "ndcg_at_{k}"),
            Self::MeanReciprocalRank => f.write_str("mean_reciprocal_rank"),
        }
    }
}

impl FromStr for RetrievalMetric {
    type Err = Error;

    /// The metric of that name, with a number in the place of `k`.
    fn from_str(name: &str) -> Result<Self> {
        let unknown = || {
            Error::unsupported(
                "RetrievalMetric",
                "no metric has that name; known are precision_at_K, recall_at_K, hit_rate_at_K, ndcg_at_K, \
                     mean_average_precision_at_K, mean_average_precision_at_K_over_r, mean_average_precision, \
                     mean_average_precision_at_r, r_precision and mean_reciprocal_rank",
            )
        };
        let plain = [
            Self::RPrecision,
            Self::MeanAveragePrecision,
            Self::MeanAveragePrecisionAtR,
            Self::MeanReciprocalRank,
        ];
        if let Some(metric) = plain.into_iter().find(|metric| metric.to_string() == name) {
            return Ok(metric);
        }
        let (what, k) = name.rsplit_once("_at_").ok_or_else(unknown)?;
        let (k, of): (_, fn(usize) -> Self) = match (what, k.strip_suffix("_over_r")) {
            ("mean_average_precision", Some(k)) => (k, Self::MeanAveragePrecisionAtOverR),
            ("mean_average_precision", None) => (k, Self::MeanAveragePrecisionAt),
            ("precision", None) => (k, Self::PrecisionAt),
            ("recall", None) => (k, Self::RecallAt),
            ("hit_rate", None) => (k, Self::HitRateAt),
            ("ndcg", None) => (k, Self::NdcgAt),
            _ => return Err(unknown()),
        };
        of(k.parse().map_err(|_| unknown())?).checked()
    }
}

dml_core::as_text!(RetrievalMetric);

#[cfg(test)]
mod tests {
    use super::RetrievalMetric as Metric;
    use super::*;

    const ALL: [Metric; 10] = [
        Metric::PrecisionAt(2),
        Metric::RecallAt(2),
        Metric::HitRateAt(2),
        Metric::RPrecision,
        Metric::MeanAveragePrecision,
        Metric::MeanAveragePrecisionAtR,
        Metric::MeanAveragePrecisionAt(2),
        Metric::MeanAveragePrecisionAtOverR(2),
        Metric::NdcgAt(2),
        Metric::MeanReciprocalRank,
    ];

    #[test]
    fn a_perfect_ranking_scores_one_and_one_without_a_match_zero() {
        for metric in ALL {
            assert_eq!(metric.of_query(&[true, true, false], 2), 1.0, "{metric}");
            assert_eq!(metric.of_query(&[false; 3], 1), 0.0, "{metric}");
        }
    }

    #[test]
    fn a_late_match_by_hand() {
        // Matches at ranks 2 and 5, of three.
        let hits = [false, true, false, false, true];
        let gain = |j: f64| 1.0 / (j + 1.0).log2();
        for (metric, expected) in [
            (Metric::PrecisionAt(1), 0.0),
            (Metric::PrecisionAt(2), 0.5),
            (Metric::PrecisionAt(10), 0.2),
            (Metric::RecallAt(2), 1.0 / 3.0),
            (Metric::RecallAt(10), 2.0 / 3.0),
            (Metric::HitRateAt(1), 0.0),
            (Metric::HitRateAt(2), 1.0),
            (Metric::RPrecision, 1.0 / 3.0),
            (Metric::MeanAveragePrecision, (0.5 + 0.4) / 3.0),
            (Metric::MeanAveragePrecisionAtR, 0.5 / 3.0),
            (Metric::MeanAveragePrecisionAt(2), 0.25),
            (Metric::MeanAveragePrecisionAt(5), (0.5 + 0.4) / 3.0),
            (Metric::MeanAveragePrecisionAtOverR(2), 0.5 / 3.0),
            (Metric::NdcgAt(2), gain(2.) / (gain(1.) + gain(2.))),
            (
                Metric::NdcgAt(5),
                (gain(2.) + gain(5.)) / (gain(1.) + gain(2.) + gain(3.)),
            ),
            (Metric::MeanReciprocalRank, 0.5),
        ] {
            assert!(
                (metric.of_query(&hits, 3) - expected).abs() < 1e-15,
                "{metric}"
            );
        }
    }

    #[test]
    fn fewer_neighbours_than_matches() {
        // Three of the three neighbours match, of ten that could.
        let hits = [true; 3];
        assert_eq!(Metric::RPrecision.of_query(&hits, 10), 1.0);
        assert_eq!(Metric::MeanAveragePrecision.of_query(&hits, 10), 0.3);
        assert_eq!(Metric::MeanAveragePrecisionAtR.of_query(&hits, 10), 0.3);
        assert_eq!(Metric::MeanAveragePrecisionAt(5).of_query(&hits, 10), 0.6);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for metric in ALL {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        for name in [
            "",
            "ndcg",
            "ndcg_at_",
            "ndcg_at_x",
            "ndcg_at_5_over_r",
            "precision_at_-1",
        ] {
            assert!(
                matches!(name.parse::<Metric>(), Err(Error::Unsupported { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            "recall_at_0".parse::<Metric>(),
            Err(Error::InvalidParameter { name: "k", .. })
        ));
    }
}
