//! Single metrics by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dml_core::{Batch, Error, check};
use dml_distances::{CosineSimilarity, LpDistance};
use dml_eval::{
    AccuracyCalculator, AccuracyCalculatorConfig, AccuracyMetric, ClusterMetric, KnnIndex,
    PairDistances, RetrievalMetric, Verification, VerificationMetric, alignment,
    mean_pair_distances, principal_components_fraction, rank_me, uniformity,
};
use serde::{Deserialize, Serialize};

/// A number that says how good embeddings are, by its name: `precision_at_1`, `mean_average_precision_at_r`, `ndcg_at_10`,
/// `AMI`, `v_measure`, `roc_auc`, `rank_me`, …
///
/// | names | of what | formulas |
/// |---|---|---|
/// | `precision_at_K`, `recall_at_K`, `hit_rate_at_K`, `ndcg_at_K`, `mean_average_precision_at_K`, `mean_average_precision_at_K_over_r`, `mean_average_precision`, `mean_average_precision_at_r`, `r_precision`, `mean_reciprocal_rank` | each query's ranking of the references | [retrieval](dml_eval::accuracy::retrieval) |
/// | `AMI`, `NMI`, `ARI`, `homogeneity`, `completeness`, `v_measure`, `bcubed_precision`, `bcubed_recall`, `bcubed_f1` | labels and as many k-means clusters of the embeddings | [clusters](dml_eval::clustering::contingency) |
/// | `roc_auc`, `eer`, `tar_at_far_RATE`, `fnmr_at_fmr_RATE`, `best_accuracy`, `best_accuracy_threshold`, `best_f1`, `best_f1_threshold` | all pairs of embeddings, by their cosine rounded to 16 binary digits | [verification](dml_eval::verification::metric), [rounding](Verification::of_batch_rounded) |
/// | `rank_me`, `mean_positive_distance`, `mean_negative_distance`, `alignment`, `uniformity`, `principal_components_fraction_at_SHARE` | the embeddings as a whole | [collapse](dml_eval::collapse) |
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MetricName {
    /// Of the ranking that each query gets.
    Retrieval(RetrievalMetric),
    /// Of the labels and as many clusters.
    Clustering(ClusterMetric),
    /// Of all pairs of embeddings, told apart by a threshold of their cosine.
    Verification(VerificationMetric),
    /// Over how many directions the embeddings spread: `rank_me`.
    RankMe,
    /// The mean Euclidean distance of positive pairs of length 1: `mean_positive_distance`.
    MeanPositiveDistance,
    /// The mean Euclidean distance of negative pairs of length 1: `mean_negative_distance`.
    MeanNegativeDistance,
    /// The mean squared distance of positive pairs of length 1: `alignment`.
    Alignment,
    /// How evenly the embeddings cover the sphere, with `t` 2: `uniformity`.
    Uniformity,
    /// The fewest principal components that hold this share of the variance, above 0 and at most 1, as a share of all:
    /// `principal_components_fraction_at_0.95`.
    PrincipalComponentsFraction(f64),
}

/// Metrics of the embeddings as a whole that have no number in their name.
const WHOLE: [MetricName; 5] = [
    MetricName::RankMe,
    MetricName::MeanPositiveDistance,
    MetricName::MeanNegativeDistance,
    MetricName::Alignment,
    MetricName::Uniformity,
];

/// What a share of the variance follows.
const FRACTION: &str = "principal_components_fraction_at_";

impl MetricName {
    /// The value of each metric: rankings of the batch's embeddings among its references, clusters and everything else of
    /// its embeddings. One search serves all rankings, and pairs are compared once.
    ///
    /// # Errors
    /// As [`AccuracyCalculator::get_accuracy`] and [`Verification::of_batch_rounded`], those of the metrics, and for a
    /// metric of pairs [`Error::Missing`] if the batch has no relation, [`Error::Unsupported`] if its relation tells
    /// only which references match: that of labels tells of the embeddings, too.
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
        let accuracies = AccuracyCalculator::new(config, index.to_empty())?.get_accuracy(batch)?;
        let among_themselves = |component: &'static str| {
            let relation = batch.require_relation(component)?;
            match (batch.reference(), relation.query_labels()) {
                (None, _) => Ok(batch.clone()),
                (Some(_), Some(labels)) => Batch::new(batch.embeddings(), labels),
                (Some(_), None) => Err(Error::unsupported(
                    component,
                    "pairs are of the embeddings, and the batch's relation tells which references match: give \
                             labels, or a batch without references",
                )),
            }
        };
        // Pairs are compared when the first metric asks, and once for all of them.
        let mut verification: Option<Verification> = None;
        let mut distances: Option<PairDistances> = None;
        let value = |metric: &Self| {
            let name = metric.to_string();
            let value = match metric {
                Self::Retrieval(_) | Self::Clustering(_) => {
                    accuracies.get(&name).map_or(f64::NAN, |score| score.value)
                }
                Self::RankMe => rank_me(batch.embeddings())?,
                Self::Verification(metric) => {
                    let compared = match verification.take() {
                        Some(compared) => compared,
                        None => {
                            let pairs = among_themselves("Verification")?;
                            Verification::of_batch_rounded(&pairs, &CosineSimilarity::default())?
                        }
                    };
                    metric.of(verification.insert(compared))?
                }
                Self::MeanPositiveDistance | Self::MeanNegativeDistance => {
                    let measured = match distances {
                        Some(measured) => measured,
                        None => {
                            let pairs = among_themselves("mean_pair_distances")?;
                            mean_pair_distances(&pairs, &LpDistance::default())?
                        }
                    };
                    distances = Some(measured);
                    match metric {
                        Self::MeanPositiveDistance => measured.positive,
                        _ => measured.negative,
                    }
                }
                Self::Alignment => alignment(&among_themselves("alignment")?, 2.0)?,
                Self::Uniformity => uniformity(batch.embeddings(), 2.0)?,
                Self::PrincipalComponentsFraction(share) => {
                    principal_components_fraction(batch.embeddings(), *share)?
                }
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
            Self::Verification(metric) => metric.fmt(f),
            Self::RankMe => f.write_str("rank_me"),
            Self::MeanPositiveDistance => f.write_str("mean_positive_distance"),
            Self::MeanNegativeDistance => f.write_str("mean_negative_distance"),
            Self::Alignment => f.write_str("alignment"),
            Self::Uniformity => f.write_str("uniformity"),
            Self::PrincipalComponentsFraction(share) => write!(f, "{FRACTION}{share}"),
        }
    }
}

impl FromStr for MetricName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(metric) = WHOLE.into_iter().find(|m| m.to_string() == name) {
            return Ok(metric);
        }
        if let Some(metric) = ClusterMetric::ALL.into_iter().find(|m| m.name() == name) {
            return Ok(Self::Clustering(metric));
        }
        if let Some(share) = name.strip_prefix(FRACTION) {
            let share: f64 = share.parse().map_err(|_| unknown())?;
            let fits = share > 0.0 && share <= 1.0;
            let share = check::parameter(fits, "share", share, "a number above 0 and at most 1")?;
            return Ok(Self::PrincipalComponentsFraction(share));
        }
        match name.parse::<VerificationMetric>() {
            Err(Error::Unsupported { .. }) => {}
            known => return known.map(Self::Verification),
        }
        match name.parse::<RetrievalMetric>() {
            Err(Error::Unsupported { .. }) => Err(unknown()),
            known => known.map(Self::Retrieval),
        }
    }
}

fn unknown() -> Error {
    Error::unsupported(
        "metric",
        "no metric has that name; known are precision_at_K, recall_at_K, hit_rate_at_K, ndcg_at_K, \
                 mean_average_precision_at_K, mean_average_precision_at_K_over_r, mean_average_precision, \
                 mean_average_precision_at_r, r_precision, mean_reciprocal_rank, AMI, NMI, ARI, homogeneity, \
                 completeness, v_measure, bcubed_precision, bcubed_recall, bcubed_f1, roc_auc, eer, \
                 tar_at_far_RATE, fnmr_at_fmr_RATE, best_accuracy, best_accuracy_threshold, best_f1, best_f1_threshold, \
                 rank_me, mean_positive_distance, mean_negative_distance, alignment, uniformity and \
                 principal_components_fraction_at_SHARE",
    )
}

dml_core::as_text!(MetricName);

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
            "bcubed_precision",
            "bcubed_recall",
            "bcubed_f1",
            "fnmr_at_fmr_0.01",
            "mean_positive_distance",
            "mean_negative_distance",
            "rank_me",
            "alignment",
            "uniformity",
            "ndcg_at_10",
            "roc_auc",
            "eer",
            "tar_at_far_0.001",
            "best_accuracy_threshold",
            "principal_components_fraction_at_0.95",
        ];
        for name in names.into_iter().chain(others) {
            let metric: MetricName = name.parse().unwrap();
            assert_eq!(metric.to_string(), name);
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(serde_json::from_str::<MetricName>(&json).unwrap(), metric);
        }
        for name in ["precision_at_0", "tar_at_far_2", &format!("{FRACTION}0")] {
            let error = name.parse::<MetricName>().unwrap_err();
            assert!(matches!(error, Error::InvalidParameter { .. }), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_all_that_are_known() {
        for name in ["", "ami", "precision_at_x", "tar_at_far_", "accuracy"] {
            let error = name.parse::<MetricName>().unwrap_err().to_string();
            let fixed = ClusterMetric::ALL.map(|m| m.name().to_owned());
            let fixed = fixed.into_iter().chain(WHOLE.map(|m| m.to_string()));
            let some = ["precision_at_K", "roc_auc", "fnmr_at_fmr_RATE", FRACTION];
            for known in fixed.chain(some.map(str::to_owned)) {
                assert!(error.contains(&known), "{name}: {error}");
            }
        }
    }

    #[test]
    fn pairs_are_of_the_embeddings_and_their_thresholds_are_cosines() {
        // Cosines with the first: 0.8 (same), 0 (different), and 0.6 of the last two (different).
        let rows = [[2f64, 0.], [0.8, 0.6], [0., 3.]];
        let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
        let gallery = Tensor::new(&[[-1f64, 0.], [0., -1.]], &Device::Cpu).unwrap();
        let batch = Batch::new(&rows, [0i64, 0, 1])
            .and_then(|batch| batch.with_reference(&gallery, [0i64, 1]))
            .unwrap();
        let names = [
            "roc_auc",
            "eer",
            "tar_at_far_0",
            "best_accuracy",
            "best_accuracy_threshold",
        ];
        let metrics = names.map(|name| name.parse::<MetricName>().unwrap());
        let index = || Arc::new(FlatIndex::default());
        let values = MetricName::evaluate(&metrics, &batch, index()).unwrap();
        let expected = [1.0, 0.0, 1.0, 1.0, 0.8];
        for ((name, value), expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{name}: {value}");
        }
        let unlabeled = Batch::unlabeled(&rows).unwrap();
        assert!(matches!(
            MetricName::evaluate(&metrics, &unlabeled, index()),
            Err(Error::Missing { .. })
        ));
    }

    #[test]
    fn pairs_match_by_the_relation_of_the_batch() {
        // By labels the two rows at cosine 0.8 are alike, by the relation those at cosine 0.
        let rows = [[2f64, 0.], [0.8, 0.6], [0., 3.]];
        let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
        let labeled = Batch::new(&rows, [0i64, 0, 1]).unwrap();
        let names = [
            "roc_auc",
            "alignment",
            "mean_positive_distance",
            "mean_negative_distance",
        ];
        let metrics = names.map(|name| name.parse::<MetricName>().unwrap());
        let evaluate = |metrics: &[MetricName], batch: &Batch| {
            MetricName::evaluate(metrics, batch, Arc::new(FlatIndex::default()))
        };
        let weights = [0., 0., 1., 0., 0., 0., 1., 0., 0.];
        let relation = dml_core::Relation::matrix(&weights, 3, 3)
            .and_then(dml_core::Relation::with_diagonal_self_matches);
        let related = labeled.clone().with_relation(relation.unwrap()).unwrap();
        assert_eq!(evaluate(&metrics, &labeled).unwrap()[0].1, 1.0);
        let values = evaluate(&metrics, &related).unwrap();
        // The pair at cosine 0 is the least alike of all, and its squared distance is 2.
        assert_eq!(values[0].1, 0.0);
        assert!((values[1].1 - 2.0).abs() < 1e-12, "{}", values[1].1);
        assert!((values[2].1 - 2f64.sqrt()).abs() < 1e-12);
        // The others have cosines 0.8 and 0.6, so that their squared distances are 0.4 and 0.8.
        let mean = (0.4f64.sqrt() + 0.8f64.sqrt()) / 2.0;
        assert!((values[3].1 - mean).abs() < 1e-12, "{}", values[3].1);
        // What is known of references says nothing of pairs.
        let gallery = rows.narrow(0, 0, 1).unwrap();
        let relation = dml_core::Relation::matrix(&[1., 0., 0.], 3, 1).unwrap();
        let apart = labeled
            .with_reference(&gallery, [0i64])
            .and_then(|batch| batch.with_relation(relation))
            .unwrap();
        for metric in metrics {
            let refused = evaluate(&[metric], &apart);
            assert!(
                matches!(refused, Err(Error::Unsupported { .. })),
                "{metric}"
            );
        }
    }

    #[test]
    fn every_metric_of_two_tight_classes() {
        let rows = [[1f32, 0.], [0.99, 0.1], [-1., 0.], [-0.99, 0.1]];
        let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
        let batch = Batch::new(&rows, [0i64, 0, 1, 1]).unwrap();
        let names = "hit_rate_at_1,NMI,ARI,bcubed_f1,rank_me,alignment,uniformity,\
                     principal_components_fraction_at_0.9";
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
        // Nearly all variance is along the first of two directions.
        assert_eq!(values[7].1, 0.5);
    }
}
