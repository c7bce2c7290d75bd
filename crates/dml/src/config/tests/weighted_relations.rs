//! Every loss reads the weights of a relation or refuses it: no weight is dropped in silence.

use candle_core::{Device, Tensor};
use dml_core::{Batch, Error, PairKind, Relation, Result};

use crate::config::{BatchSizes, LossConfig, LossKind, from_value};

const SIZES: BatchSizes = BatchSizes {
    rows: 6,
    num_classes: 2,
    embedding_size: 3,
};

fn value(config: &LossConfig, relation: Relation) -> Result<f64> {
    let x = [
        [1f32, 0.2, -0.5],
        [0.3, 1., 0.4],
        [-0.6, 0.8, 0.1],
        [0.9, -0.7, 0.3],
        [-0.2, 0.5, 1.],
        [0.4, 0.1, -1.],
    ];
    let rows = Tensor::new(&x, &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 0, 1, 1, 1])?.with_relation(relation)?;
    let objective = config.build().unwrap();
    let loss = objective.forward(&batch)?;
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

/// Two classes of three rows, with weights of positives and of negatives by reference: the two anchors of a pair weigh it
/// differently, or the changes of their values would cancel out in the mean.
fn relation(near: fn(usize) -> f32, far: fn(usize) -> f32) -> Relation {
    let pair_kind = move |q: usize, r: usize| {
        if q / 3 == r / 3 {
            PairKind::Positive(near(r))
        } else {
            PairKind::Negative(far(r))
        }
    };
    Relation::closure(6, 6, pair_kind)
        .with_diagonal_self_matches()
        .unwrap()
}

#[test]
fn a_weight_changes_the_loss_or_is_refused() {
    let one = |_| 1.0;
    let some = |row| [0.2, 0.8, 0.5][row % 3];
    for name in LossKind::NAMES {
        let examples = LossKind::examples(name, SIZES).into_iter();
        let examples: Vec<LossConfig> = examples.map(|text| from_value(text).unwrap()).collect();
        for (near, far) in [
            (some as fn(usize) -> f32, one as fn(usize) -> f32),
            (one, some),
        ] {
            // Negatives count in one of the examples at least.
            let changes = examples.iter().map(|config| {
                let plain = value(config, relation(one, one));
                let weighted = value(config, relation(near, far));
                if config.build().unwrap().loss().reads_weights() {
                    let plain = plain.unwrap();
                    // The weights can be dropped by name, and only so.
                    let dropped = value(config, relation(near, far).without_weights()).unwrap();
                    assert!(
                        (plain - dropped).abs() <= 1e-6 * plain.abs(),
                        "{name}: {dropped}"
                    );
                    return (plain - weighted.unwrap()).abs() > 1e-4 * plain.abs();
                }
                match weighted {
                    Err(Error::Unsupported { component, .. }) => assert_eq!(component, *name),
                    other => panic!("{name}: {other:?}"),
                }
                true
            });
            let changes: Vec<bool> = changes.collect();
            assert!(changes.contains(&true), "{name}: {changes:?}");
        }
    }
}

#[test]
fn a_wrapper_reads_what_its_loss_reads() {
    let wrapped = [
        r#"{"name": "CrossBatchMemory", "loss": {"name": "TripletMarginLoss"}, "embedding_size": 3}"#,
        r#"{"name": "MultipleLosses", "losses": [{"name": "ContrastiveLoss"}, {"name": "TripletMarginLoss"}]}"#,
        r#"{"name": "MultipleLosses", "losses": [{"name": "CrossBatchMemory", "loss": {"name": "NCALoss"}, "embedding_size": 3}]}"#,
    ];
    for text in wrapped {
        let config = LossConfig::from_json(text).unwrap();
        assert!(!config.build().unwrap().loss().reads_weights());
        let weighted = value(&config, relation(|_| 0.5, |_| 1.0));
        assert!(
            matches!(weighted, Err(Error::Unsupported { .. })),
            "{text}: {weighted:?}"
        );
    }
}
