//! The numbers of scikit-learn, to 1e-9; `tests/reference/scikit_learn.py` writes them.

// Functions that tests share are tests, too.
#![allow(clippy::unwrap_used)]

use dml_core::Order;
use dml_eval::{ClusterMetric, Contingency, RankMetric, RetrievalMetric, Verification};
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let text = include_str!("../reference/scikit_learn.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    reference[kind].as_array().unwrap().clone()
}

fn list<T: serde::de::DeserializeOwned>(case: &Value, key: &str) -> Vec<T> {
    serde_json::from_value(case[key].clone()).unwrap()
}

fn assert_close(got: f64, case: &Value, key: &str) {
    assert_close_to(
        got,
        case[key].as_f64().unwrap(),
        &format!("{}: {key}", case["name"]),
    );
}

fn assert_close_to(got: f64, want: f64, what: &str) {
    assert!(
        (got - want).abs() <= 1e-9,
        "{what}: {got} instead of {want}"
    );
}

#[test]
fn agreement_of_clusters_with_classes() {
    for case in cases("clusters") {
        let table = Contingency::new(
            list::<i64>(&case, "classes"),
            list::<i64>(&case, "clusters"),
        );
        let table = table.unwrap();
        for metric in [
            ClusterMetric::AMI,
            ClusterMetric::NMI,
            ClusterMetric::ARI,
            ClusterMetric::Homogeneity,
            ClusterMetric::Completeness,
            ClusterMetric::VMeasure,
        ] {
            assert_close(metric.of(&table), &case, metric.name());
        }
        assert_close(
            table.v_measure_with(0.5).unwrap(),
            &case,
            "v_measure_beta_0.5",
        );
    }
}

#[test]
fn verification_by_similarity_and_by_distance() {
    for case in cases("scores") {
        let (scores, same) = (list::<f64>(&case, "scores"), list::<bool>(&case, "same"));
        let negated: Vec<f64> = scores.iter().map(|score| -score).collect();
        for (scores, order, sign) in [
            (scores, Order::LargerIsCloser, 1.0),
            (negated, Order::SmallerIsCloser, -1.0),
        ] {
            let verification = Verification::new(&scores, &same, order).unwrap();
            assert_close(verification.auc(), &case, "auc");
            assert_close(verification.best_f1().value, &case, "best_f1");
            assert_close(verification.best_accuracy().value, &case, "best_accuracy");
            let roc = verification.roc();
            let far = list::<f64>(&case, "false_accept_rates");
            let tar = list::<f64>(&case, "true_accept_rates");
            assert_eq!(roc.len(), far.len());
            for (point, (far, tar)) in roc.iter().zip(far.iter().zip(tar)) {
                assert_close_to(point.false_accept_rate, *far, "false accept rate");
                assert_close_to(point.true_accept_rate, tar, "true accept rate");
            }
            for (point, threshold) in roc[1..].iter().zip(list::<f64>(&case, "thresholds")) {
                assert_close_to(sign * point.threshold, threshold, "threshold");
            }
        }
    }
}

#[test]
fn metrics_of_rankings() {
    for case in cases("rankings") {
        let hits = list::<bool>(&case, "hits");
        let relevant = hits.iter().filter(|hit| **hit).count();
        for (k, want) in case["ndcg"].as_object().unwrap() {
            let got = RetrievalMetric::NdcgAt(k.parse().unwrap()).of_query(&hits, relevant);
            assert_close_to(
                got,
                want.as_f64().unwrap(),
                &format!("{}: ndcg at {k}", case["name"]),
            );
        }
        let average = RetrievalMetric::MeanAveragePrecision.of_query(&hits, relevant);
        assert_close(average, &case, "average_precision");
    }
}
