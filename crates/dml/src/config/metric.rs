//! Single metrics by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dml_core::{Batch, Error};
use dml_eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, ClusterMetric, KnnIndex,
    RetrievalMetric, alignment, rank_me, uniformity,
};
use serde::{Deserialize, Serialize};

/// A number that says how good embeddings are, by its name: `precision_at_1`, `mean_average_precision_at_r`, `ndcg_at_10`,
/// `AMI`, `v_measure`, `rank_me`, …
///
/// ```
/// use std::sync::Arc;
/// use dml::{Batch, candle_core::{Device, Tensor}, config::MetricName, eval::FlatIndex};
///
/// let rows = Tensor::new(&[[0f32], [1.], [4.], [6.], [6.5]], &Device::Cpu)?;
/// let batch = Batch::new(&rows, [0i64, 0, 0, 1, 1])?;
/// let metrics = ["precision_at_1", "ARI"].map(|name| name.parse::<MetricName>().unwrap());
/// let values = MetricName::evaluate(&metrics, &batch, Arc::new(FlatIndex::default()))?;
/// assert_eq!(values[0], ("precision_at_1".to_owned(), 0.8));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MetricName {
    /// Of the ranking that each query gets.
    Retrieval(RetrievalMetric),
    /// Of the labels and as many clusters.
    Clustering(ClusterMetric),
    /// Over how many directions the embeddings spread: `rank_me`.
    RankMe,
    /// The mean squared distance of positive pairs of length 1: `alignment`.
    Alignment,
    /// How evenly the embeddings cover the sphere, with `t` 2: `uniformity`.
    Uniformity,
}

/// All metrics of clusters.
const CLUSTERING: [ClusterMetric; 7] = [
    ClusterMetric::AMI,
    ClusterMetric::NMI,
    ClusterMetric::ARI,
    ClusterMetric::Homogeneity,
    ClusterMetric::Completeness,
    ClusterMetric::VMeasure,
    ClusterMetric::BCubedF1,
];

/// Metrics of the embeddings as a whole.
const WHOLE: [MetricName; 3] = [
    MetricName::RankMe,
    MetricName::Alignment,
    MetricName::Uniformity,
];

impl MetricName {
    /// The value of each metric: rankings of the batch's embeddings among its references, clusters and everything else of
    /// its embeddings. One search serves all rankings.
    ///
    /// # Errors
    /// As [`AccuracyCalculator::get_accuracy`], and those of the metrics.
    pub fn evaluate(
        metrics: &[Self],
        batch: &Batch,
        index: Arc<dyn KnnIndex>,
    ) -> dml_core::Result<Vec<(String, f64)>> {
        let config = AccuracyCalculatorConfig {
            exclude: AccuracyMetric::ALL.to_vec(),
            retrieval: metrics.iter().filter_map(|m| m.retrieval()).collect(),
            clustering: metrics.iter().filter_map(|m| m.clustering()).collect(),
            ..AccuracyCalculatorConfig::default()
        };
        let accuracies = AccuracyCalculator::new(config, index)?.get_accuracy(batch)?;
        let value = |metric: &Self| {
            let name = metric.to_string();
            let value = match metric {
                Self::Retrieval(_) | Self::Clustering(_) => {
                    accuracies.get(&name).map_or(f64::NAN, |score| score.value)
                }
                Self::RankMe => rank_me(batch.embeddings())?,
                Self::Alignment => {
                    let labels = batch.labels().ok_or(Error::Missing {
                        component: "alignment",
                        needed: "labels",
                    })?;
                    alignment(&Batch::new(batch.embeddings(), labels)?, 2.0)?
                }
                Self::Uniformity => uniformity(batch.embeddings(), 2.0)?,
            };
            Ok((name, value))
        };
        metrics.iter().map(value).collect()
    }

    fn retrieval(self) -> Option<RetrievalMetric> {
        match self {
            Self::Retrieval(metric) => Some(metric),
            _ => None,
        }
    }

    fn clustering(self) -> Option<ClusterMetric> {
        match self {
            Self::Clustering(metric) => Some(metric),
            _ => None,
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrieval(metric) => metric.fmt(f),
            Self::Clustering(metric) => f.write_str(metric.name()),
            Self::RankMe => f.write_str("rank_me"),
            Self::Alignment => f.write_str("alignment"),
            Self::Uniformity => f.write_str("uniformity"),
        }
    }
}

impl FromStr for MetricName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(metric) = WHOLE.into_iter().find(|m| m.to_string() == name) {
            return Ok(metric);
        }
        if let Some(metric) = CLUSTERING.into_iter().find(|m| m.name() == name) {
            return Ok(Self::Clustering(metric));
        }
        match name.parse::<RetrievalMetric>() {
            Ok(metric) => metric.checked().map(Self::Retrieval),
            Err(Error::Unsupported { .. }) => Err(Error::Unsupported {
                component: "metric",
                reason: "no metric has that name; known are precision_at_K, recall_at_K, hit_rate_at_K, ndcg_at_K, \
                         mean_average_precision_at_K, mean_average_precision_at_K_over_r, mean_average_precision, \
                         mean_average_precision_at_r, r_precision, mean_reciprocal_rank, AMI, NMI, ARI, homogeneity, \
                         completeness, v_measure, bcubed_f1, rank_me, alignment and uniformity",
            }),
            Err(error) => Err(error),
        }
    }
}

impl TryFrom<String> for MetricName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<MetricName> for String {
    fn from(metric: MetricName) -> Self {
        metric.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use dml_eval::FlatIndex;

    #[test]
    fn names_stand_for_themselves() {
        let names = [
            "precision_at_1",
            "recall_at_10",
            "mean_average_precision_at_5_over_r",
            "mean_average_precision_at_r",
            "r_precision",
        ];
        let others = [
            "AMI",
            "v_measure",
            "bcubed_f1",
            "rank_me",
            "alignment",
            "uniformity",
        ];
        for name in names.into_iter().chain(others) {
            let metric: MetricName = name.parse().unwrap();
            assert_eq!(metric.to_string(), name);
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(serde_json::from_str::<MetricName>(&json).unwrap(), metric);
        }
        for name in ["", "ami", "precision_at_x", "precision_at_0", "accuracy"] {
            assert!(name.parse::<MetricName>().is_err(), "{name}");
        }
    }

    #[test]
    fn every_metric_of_two_tight_classes() {
        let rows = [[1f32, 0.], [0.99, 0.1], [-1., 0.], [-0.99, 0.1]];
        let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
        let batch = Batch::new(&rows, [0i64, 0, 1, 1]).unwrap();
        let names = "hit_rate_at_1,NMI,ARI,bcubed_f1,rank_me,alignment,uniformity";
        let metrics: Vec<MetricName> = names.split(',').map(|n| n.parse().unwrap()).collect();
        let values =
            MetricName::evaluate(&metrics, &batch, Arc::new(FlatIndex::default())).unwrap();
        let found: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found.join(","), names);
        for (name, value) in &values[..4] {
            assert!((value - 1.0).abs() < 1e-12, "{name}: {value}");
        }
        assert!((1.0..2.0).contains(&values[4].1));
        // |(1, 0) − (0.99, 0.1) / |…||² is about 0.01.
        assert!((values[5].1 - 0.01).abs() < 1e-3);
        assert!(values[6].1 < -1.0);
    }
}
