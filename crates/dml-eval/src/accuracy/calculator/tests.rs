use candle_core::{Device, Tensor};
use dml_core::PairKind;

use super::*;
use crate::accuracy::RankDepth;
use crate::index::{FlatIndex, SelfMatch};

mod clusters;
mod depth;
mod edges;
mod findable;
mod label_relation;

fn calculator(config: AccuracyCalculatorConfig) -> AccuracyCalculator {
    AccuracyCalculator::new(config, FlatIndex::default()).unwrap()
}

/// Everything but metrics of clusters.
fn rankings() -> AccuracyCalculatorConfig {
    AccuracyCalculatorConfig {
        exclude: vec![AccuracyMetric::AMI, AccuracyMetric::NMI],
        ..Default::default()
    }
}

fn line(places: &[f64]) -> Tensor {
    Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
}

fn values(accuracies: &Accuracies) -> Vec<f64> {
    accuracies.iter().map(|score| score.value).collect()
}

/// Queries at 0 and 10; references of class 0 at 1, 3 and 9, of class 1 at 2 and 12.
///
/// Query 0 (class 0) ranks 0 1 0 0 1, three matches: hits 1 0 1 1 0.
/// Query 1 (class 1) ranks 9 12 3 2 1: hits 0 1 0 1 0, two matches.
fn two_queries() -> Batch {
    let batch = Batch::new(&line(&[0., 10.]), [0i64, 1]).unwrap();
    let reference = line(&[1., 3., 9., 2., 12.]);
    batch
        .with_reference(&reference, [0i64, 0, 0, 1, 1])
        .unwrap()
}

#[test]
fn every_metric_by_hand() -> Result<()> {
    let accuracies = calculator(rankings()).get_accuracy(&two_queries())?;
    let names: Vec<&str> = accuracies
        .iter()
        .map(|score| score.metric.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "precision_at_1",
            "r_precision",
            "mean_average_precision",
            "mean_average_precision_at_r",
            "mean_reciprocal_rank"
        ]
    );
    let expected = [
        (1.0, 0.0),
        (2. / 3., 0.5),
        ((1. + 2. / 3. + 3. / 4.) / 3., (0.5 + 0.5) / 2.),
        ((1. + 2. / 3.) / 3., 0.25),
        (1.0, 0.5),
    ];
    for (score, (first, second)) in accuracies.iter().zip(expected) {
        assert_eq!(score.per_query, [first, second], "{}", score.metric);
        assert_eq!(score.value, (first + second) / 2.);
        assert!(score.per_class.is_empty());
    }
    assert!(accuracies.get("recall_at_1").is_none());
    Ok(())
}

#[test]
fn include_and_exclude_choose_the_metrics() -> Result<()> {
    let include = vec![
        AccuracyMetric::MeanReciprocalRank,
        AccuracyMetric::PrecisionAt1,
    ];
    let config = AccuracyCalculatorConfig {
        include: include.clone(),
        ..Default::default()
    };
    assert_eq!(
        values(&calculator(config).get_accuracy(&two_queries())?),
        [0.5, 0.75]
    );
    let config = AccuracyCalculatorConfig {
        include,
        exclude: vec![AccuracyMetric::PrecisionAt1],
        ..Default::default()
    };
    assert_eq!(
        values(&calculator(config).get_accuracy(&two_queries())?),
        [0.75]
    );
    Ok(())
}

#[test]
fn k_cuts_the_ranking() -> Result<()> {
    let with = |k| AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::MeanAveragePrecision],
        k: Some(k),
        ..Default::default()
    };
    let map =
        |k| -> Result<f64> { Ok(values(&calculator(with(k)).get_accuracy(&two_queries())?)[0]) };
    assert_eq!(map(NeighborCount::Exactly(1))?, (1. / 3. + 0.) / 2.);
    let three = ((1. + 2. / 3.) / 3. + 0.25) / 2.;
    assert_eq!(map(NeighborCount::Exactly(3))?, three);
    // The largest class has three references.
    assert_eq!(map(NeighborCount::MaxBinCount)?, three);
    // More than there are is all of them.
    assert_eq!(
        map(NeighborCount::Exactly(100))?,
        map(NeighborCount::Exactly(5))?
    );
    Ok(())
}

#[test]
fn lone_queries_do_not_count() -> Result<()> {
    // Class 9 is seen once; the others find their partner.
    let batch = Batch::new(&line(&[0., 1., 5., 10., 11.]), [0i64, 0, 9, 1, 1])?;
    let accuracies = calculator(rankings()).get_accuracy(&batch)?;
    for score in &accuracies {
        assert!(score.per_query[2].is_nan());
        assert_eq!(score.value, 1.0, "{}", score.metric);
    }
    Ok(())
}

#[test]
fn all_lone_is_not_a_number() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        return_per_class: true,
        ..rankings()
    };
    let one = Batch::new(&line(&[0.]), [4i64])?;
    let three = Batch::new(&line(&[0., 1., 2.]), [4i64, 5, 6])?;
    for (batch, classes) in [(one, 1), (three, 3)] {
        for score in &calculator(config.clone()).get_accuracy(&batch)? {
            assert!(score.value.is_nan());
            assert_eq!(score.per_class.len(), classes);
            assert!(score.per_class.iter().all(|(_, value)| value.is_nan()));
        }
    }
    Ok(())
}

#[test]
fn averages_of_classes() -> Result<()> {
    // Class 0: three right neighbours of three; class 1: none of two.
    let batch = Batch::new(&line(&[0., 1., 2.]), [0i64, 0, 1])?;
    let batch = batch.with_reference(&line(&[0., 1., 3.]), [0i64, 0, 1])?;
    let batch = batch.with_relation(Relation::cross_labels([0i64, 0, 1], [0i64, 1, 1])?)?;
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        ..Default::default()
    };
    let per_class = AccuracyCalculatorConfig {
        return_per_class: true,
        ..config.clone()
    };
    let averages = AccuracyCalculatorConfig {
        avg_of_avgs: true,
        ..config.clone()
    };
    // Query 0 finds class 0, query 1 finds class 1, query 2 (class 1) finds row 1 of class 1 before row 2.
    assert_eq!(values(&calculator(config).get_accuracy(&batch)?), [2. / 3.]);
    let score = calculator(per_class).get_accuracy(&batch)?;
    assert_eq!(
        score.get("precision_at_1").unwrap().per_class,
        [(0, 0.5), (1, 1.0)]
    );
    assert_eq!(values(&calculator(averages).get_accuracy(&batch)?), [0.75]);
    Ok(())
}

#[test]
fn huge_labels_stay_apart() -> Result<()> {
    let labels = [16_777_216i64, 16_777_217, 16_777_216, 16_777_217];
    let batch = Batch::new(&line(&[0., 1., 10., 11.]), labels)?;
    let accuracies = calculator(Default::default()).get_accuracy(&batch)?;
    assert_eq!(accuracies.get("precision_at_1").unwrap().value, 0.0);
    Ok(())
}

#[test]
fn ignored_references_are_passed_over() -> Result<()> {
    // The nearest two references are junk; the third matches, the fourth does not.
    let relation = Relation::matrix(&[-1., -1., 1., 0.], 1, 4)?;
    let batch = Batch::unlabeled(&line(&[0.]))?
        .with_unlabeled_reference(&line(&[1., 2., 3., 4.]))?
        .with_relation(relation)?;
    for k in [None, Some(NeighborCount::Exactly(1))] {
        let config = AccuracyCalculatorConfig {
            k,
            ..Default::default()
        };
        assert_eq!(values(&calculator(config).get_accuracy(&batch)?), [1.0; 5]);
    }
    Ok(())
}

#[test]
fn any_relation_decides_and_matches_are_counted_rightly_or_as_pml_does() -> Result<()> {
    // Same item seen by another camera: a row does not match itself.
    let (item, camera) = ([0, 0, 0, 1], [0, 1, 2, 0]);
    let relation = Relation::closure(4, 4, move |q, r| {
        if item[q] == item[r] && camera[q] != camera[r] {
            PairKind::POSITIVE
        } else {
            PairKind::NEGATIVE
        }
    });
    let batch = Batch::unlabeled(&line(&[0., 1., 3., 9.]))?
        .with_relation(relation.with_diagonal_self_matches()?)?;
    let map = |count_matches_as_pml| -> Result<Vec<f64>> {
        let config = AccuracyCalculatorConfig {
            include: vec![AccuracyMetric::MeanAveragePrecision],
            count_matches_as_pml,
            ..Default::default()
        };
        let accuracies = calculator(config).get_accuracy(&batch)?;
        Ok(accuracies.get("mean_average_precision").unwrap().per_query[..3].to_vec())
    };
    assert_eq!(map(false)?, [1.0; 3]);
    // Two matches divided by one: an average precision above 1.
    assert_eq!(map(true)?, [2.0; 3]);
    Ok(())
}

#[test]
fn a_count_of_none_as_pml_counts_leaves_the_query_out_of_what_is_divided_by_it() -> Result<()> {
    // Query 0 matches row 2 only, and not itself: PML's count is 1 − 1. Query 1 matches rows 0 and 2.
    let weights = [0., 0., 1., 1., 0., 1., 0., 0., 0.];
    let relation = Relation::matrix(&weights, 3, 3)?.with_diagonal_self_matches()?;
    let batch = Batch::unlabeled(&line(&[0., 1., 3.]))?.with_relation(relation)?;
    let config = AccuracyCalculatorConfig {
        count_matches_as_pml: true,
        ..rankings()
    };
    let accuracies = calculator(config).get_accuracy(&batch)?;
    for score in &accuracies {
        assert!(score.value.is_finite(), "{}", score.metric);
    }
    let first = |name: &str| accuracies.get(name).unwrap().per_query[0];
    assert!(first("mean_average_precision").is_nan());
    // What is not divided by the count has its value.
    assert_eq!(first("precision_at_1"), 0.0);
    assert_eq!(first("mean_reciprocal_rank"), 0.5);
    Ok(())
}

/// Precision among the first two.
#[derive(Debug)]
struct PrecisionAt2;

impl RankMetric for PrecisionAt2 {
    fn name(&self) -> String {
        "precision_at_2".to_owned()
    }

    fn depth(&self) -> RankDepth {
        RankDepth::First(2)
    }

    fn of_query(&self, hits: &[bool], _: usize) -> f64 {
        hits.iter().take(2).filter(|hit| **hit).count() as f64 / 2.0
    }
}

#[test]
fn a_metric_of_your_own() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        ..Default::default()
    };
    let calculator = calculator(config).with_metric(PrecisionAt2);
    assert_eq!(
        values(&calculator.get_accuracy(&two_queries())?),
        [0.5, 0.5]
    );
    Ok(())
}

#[test]
fn further_metrics_of_rankings() -> Result<()> {
    let config = AccuracyCalculatorConfig {
        include: vec![AccuracyMetric::PrecisionAt1],
        retrieval: vec![
            RetrievalMetric::HitRateAt(2),
            RetrievalMetric::RecallAt(3),
            RetrievalMetric::PrecisionAt(4),
        ],
        ..Default::default()
    };
    let accuracies = calculator(config).get_accuracy(&two_queries())?;
    // Hits 1 0 1 1 0 of three, and 0 1 0 1 0 of two.
    let per_query = |name| accuracies.get(name).unwrap().per_query.clone();
    assert_eq!(per_query("precision_at_1"), [1., 0.]);
    assert_eq!(per_query("hit_rate_at_2"), [1., 1.]);
    assert_eq!(per_query("recall_at_3"), [2. / 3., 0.5]);
    assert_eq!(per_query("precision_at_4"), [0.75, 0.5]);
    let config = AccuracyCalculatorConfig {
        retrieval: vec![RetrievalMetric::NdcgAt(0)],
        ..Default::default()
    };
    assert!(matches!(
        AccuracyCalculator::new(config, FlatIndex::default()),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    Ok(())
}

#[test]
fn bad_configurations_and_batches_are_refused() -> Result<()> {
    let new = |config| AccuracyCalculator::new(config, FlatIndex::default());
    let both = AccuracyCalculatorConfig {
        avg_of_avgs: true,
        return_per_class: true,
        ..Default::default()
    };
    assert!(matches!(new(both), Err(Error::Unsupported { .. })));
    let none = AccuracyCalculatorConfig {
        k: Some(NeighborCount::Exactly(0)),
        ..Default::default()
    };
    assert!(matches!(
        new(none),
        Err(Error::InvalidParameter { name: "k", .. })
    ));
    let unknown = Batch::unlabeled(&line(&[0., 1.]))?;
    assert!(matches!(
        calculator(Default::default()).get_accuracy(&unknown),
        Err(Error::Missing { .. })
    ));
    let config = AccuracyCalculatorConfig {
        avg_of_avgs: true,
        ..Default::default()
    };
    let classless = unknown.with_relation(Relation::matrix(&[0., 1., 1., 0.], 2, 2)?)?;
    assert!(matches!(
        calculator(config).get_accuracy(&classless),
        Err(Error::Missing { .. })
    ));
    Ok(())
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;

    #[test]
    fn further_metrics_go_by_name() {
        let json =
            r#"{"retrieval":["hit_rate_at_5","ndcg_at_10"],"clustering":["v_measure","ARI"]}"#;
        let config: AccuracyCalculatorConfig = serde_json::from_str(json).unwrap();
        assert_eq!(
            config.retrieval,
            [RetrievalMetric::HitRateAt(5), RetrievalMetric::NdcgAt(10)]
        );
        assert_eq!(
            config.clustering,
            [ClusterMetric::VMeasure, ClusterMetric::ARI]
        );
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<AccuracyCalculatorConfig>(&again).unwrap(),
            config
        );
        let zero = r#"{"retrieval":["ndcg_at_0"]}"#;
        assert!(serde_json::from_str::<AccuracyCalculatorConfig>(zero).is_err());
    }

    #[test]
    fn configurations_are_written_as_pml_names_them() {
        let json =
            r#"{"include":["precision_at_1","mean_average_precision_at_r"],"k":"max_bin_count"}"#;
        let config: AccuracyCalculatorConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.k, Some(NeighborCount::MaxBinCount));
        assert_eq!(config.include[1], AccuracyMetric::MeanAveragePrecisionAtR);
        let config: AccuracyCalculatorConfig = serde_json::from_str(r#"{"k":3}"#).unwrap();
        assert_eq!(config.k, Some(NeighborCount::Exactly(3)));
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<AccuracyCalculatorConfig>(&again).unwrap(),
            config
        );
        for wrong in [
            r#"{"k":"max"}"#,
            r#"{"k":-1}"#,
            r#"{"include":["map"]}"#,
            r#"{"include":"precision_at_1"}"#,
        ] {
            assert!(
                serde_json::from_str::<AccuracyCalculatorConfig>(wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
