//! Triplets that are not written out: mined and summed.

use std::sync::Arc;

use dml::candle_core::{DType, Tensor, Var};
use dml::config::{DistanceConfig, LossConfig, MinerConfig};
use dml::{Batch, Objective, PairKind, Relation, TupleCount, Tuples};
use serde_json::{Value, json};

use super::{assert_alike, draw, on_cuda, var};

fn objective(loss: Value, miner: Option<Value>) -> Objective {
    let loss: LossConfig = dml::config::from_value(loss).unwrap();
    let objective = loss.build().unwrap();
    match miner {
        None => objective,
        Some(miner) => {
            let miner: MinerConfig = dml::config::from_value(miner).unwrap();
            objective.with_miner(miner.build().unwrap())
        }
    }
}

/// Rows of some classes, the last one alone in its class.
fn rows(count: usize, classes: usize, dtype: DType) -> (Var, Vec<i64>) {
    let mut labels: Vec<i64> = (0..count).map(|i| (i * i % classes) as i64).collect();
    labels[count - 1] = -7;
    (var(&draw(11, count, 4), &[count, 4], dtype), labels)
}

fn losses() -> Vec<Value> {
    let mut losses = Vec::new();
    for distance in ["LpDistance", "CosineSimilarity"] {
        for (swap, smooth) in [(false, false), (true, false), (false, true), (true, true)] {
            for reducer in [
                json!({"name": "MeanReducer"}),
                json!({"name": "AvgNonZeroReducer"}),
                json!({"name": "ThresholdReducer", "low": 0.1, "high": 0.6}),
            ] {
                losses.push(json!({"name": "TripletMarginLoss", "margin": 0.2, "swap": swap, "smooth_loss": smooth,
                    "distance": {"name": distance}, "reducer": reducer}));
            }
        }
    }
    losses
}

#[test]
fn all_triplets() {
    for dtype in [DType::F32, DType::F64] {
        // More rows than a block has threads, and fewer.
        for (count, classes) in [(2, 1), (40, 3), (300, 2)] {
            let (x, labels) = rows(count, classes, dtype);
            let few = if count < 100 {
                losses()
            } else {
                losses().into_iter().step_by(5).collect()
            };
            for loss in few {
                let objective = objective(loss.clone(), None);
                assert_alike(&format!("{loss}, {count} rows, {dtype:?}"), &[&x], &|| {
                    objective.forward(&Batch::new(&x, labels.clone())?)
                });
            }
        }
    }
}

#[test]
fn mined_triplets() {
    let (x, labels) = rows(50, 4, DType::F64);
    for kind in ["all", "hard", "semihard", "easy"] {
        for distance in ["LpDistance", "CosineSimilarity"] {
            let miner = json!({"name": "TripletMarginMiner", "margin": 0.3, "type_of_triplets": kind,
                "distance": {"name": distance}});
            for loss in losses() {
                let objective = objective(loss.clone(), Some(miner.clone()));
                let what = format!("{miner}, {loss}");
                assert_alike(&what, &[&x], &|| {
                    objective.forward(&Batch::new(&x, labels.clone())?)
                });
            }
        }
    }
}

#[test]
fn mined_triplets_with_references_are_the_same_set() {
    let (x, labels) = rows(30, 3, DType::F32);
    let (r, others) = rows(70, 5, DType::F32);
    let batch = Batch::new(&x, labels)
        .unwrap()
        .with_reference(&r, others)
        .unwrap();
    let miner = json!({"name": "TripletMarginMiner", "type_of_triplets": "semihard"});
    let miner: MinerConfig = dml::config::from_value(miner).unwrap();
    let miner = miner.build().unwrap();
    let want = miner.mine(&batch).unwrap();
    let Some(got) = on_cuda(|| miner.mine(&batch).unwrap()) else {
        return;
    };
    assert!(got.on_device().is_some());
    let number = got.count(&batch).unwrap();
    assert_eq!(number, want.count(&batch).unwrap());
    assert!(number.total() > 0 && matches!(number, TupleCount::Triplets(_)));
    assert_eq!(
        *got.triplets(&batch).unwrap(),
        *want.triplets(&batch).unwrap()
    );
    assert_eq!(*got.mask(&batch).unwrap(), *want.mask(&batch).unwrap());
    // Another loss takes what the miner has left on the device.
    for name in [
        "TripletMarginLoss",
        "MultiSimilarityLoss",
        "ContrastiveLoss",
        "MarginLoss",
    ] {
        let objective = objective(json!({"name": name}), None);
        let value =
            |tuples: &Tuples| -> Tensor { objective.evaluate_tuples(&batch, tuples).unwrap().loss };
        let (got, want) = (on_cuda(|| value(&got)).unwrap(), value(&want));
        let (got, want) = (
            got.to_scalar::<f32>().unwrap(),
            want.to_scalar::<f32>().unwrap(),
        );
        assert!(
            (got - want).abs() < 1e-5 * want.abs().max(1.0),
            "{name}: {got} {want}"
        );
    }
}

#[test]
fn relations_without_labels() {
    let (x, _) = rows(40, 3, DType::F64);
    let relation = Relation::closure(40, 40, |q, r| match (q * 7 + r * 3) % 5 {
        0 | 1 => PairKind::POSITIVE,
        2 => PairKind::Ignored,
        _ => PairKind::NEGATIVE,
    });
    let objective = objective(json!({"name": "TripletMarginLoss"}), None);
    assert_alike("a closure", &[&x], &|| {
        let batch = Batch::unlabeled(&x)?.with_relation(relation.clone())?;
        objective.forward(&batch)
    });
}

#[test]
fn what_is_not_a_number_shows_in_the_loss() {
    let (x, labels) = rows(20, 2, DType::F32);
    let mut values = super::numbers(&x);
    values[5] = f64::NAN;
    let x = var(&values, &[20, 4], DType::F32);
    let batch = Batch::new(&x, labels).unwrap();
    let distance: DistanceConfig = dml::config::from_value(json!({"name": "LpDistance"})).unwrap();
    let distance = distance.build().unwrap();
    let loss =
        dml::losses::TripletMarginLoss::new(Default::default(), Arc::clone(&distance)).unwrap();
    let terms = || dml::Loss::terms(&loss, &batch, &Tuples::all()).unwrap();
    let sum = |low| {
        let sum = terms()
            .get("loss")
            .unwrap()
            .sum_within(low, None)
            .unwrap()
            .sum;
        sum.to_scalar::<f32>().unwrap()
    };
    assert!(sum(None).is_nan());
    if let Some(on_cuda) = on_cuda(|| sum(None)) {
        assert!(on_cuda.is_nan());
    }
}
