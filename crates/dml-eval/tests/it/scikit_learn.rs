//! The numbers of scikit-learn, to 1e-9; `tests/reference/scikit_learn.py` writes them.

// Functions that tests share are tests, too.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use dml_core::Order;
use dml_eval::{
    ClusterMetric, Contingency, Pca, RankMetric, RetrievalMetric, Verification,
    principal_components_fraction,
};
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

#[test]
fn principal_components() {
    for case in cases("components") {
        let rows = list::<Vec<f64>>(&case, "rows");
        let rows = Tensor::new(rows, &Device::Cpu).unwrap();
        let ratio = list::<f64>(&case, "ratio");
        let (count, dim) = rows.dims2().unwrap();
        let all = Pca::fit(&rows, count.min(dim), false).unwrap();
        let total: f64 = all.variances().iter().sum();
        for (got, want) in all.variances().iter().zip(ratio) {
            assert_close_to(got / total, want, "share of the variance");
        }
        for (share, want) in case["fraction"].as_object().unwrap() {
            let got = principal_components_fraction(&rows, share.parse().unwrap()).unwrap();
            assert_close_to(got, want.as_f64().unwrap(), "fraction of components");
        }
        let projected = list::<Vec<f64>>(&case, "projected");
        let standard = Pca::fit(&rows, projected[0].len(), true).unwrap();
        let got = standard.transform(&rows).unwrap().to_vec2::<f64>().unwrap();
        for (got, want) in got.iter().flatten().zip(projected.iter().flatten()) {
            assert_close_to(got.abs(), *want, "place along a component");
        }
    }
}
