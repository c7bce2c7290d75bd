//! Every loss, miner and regularizer by name over batches without rows: views of every kind.

use dml::candle_core::{DType, Device, Tensor, Var};
use dml::config::{LossKind, MinerKind, RegularizerKind};
use dml::core::autograd::without_kernels;
use dml::{Batch, Relation};
use serde_json::json;

use super::properties::{CLASSES, DIM, objective};

/// Tensors of no rows: as made, and views into a matrix, contiguous or not.
fn views(dtype: DType) -> dml::Result<Vec<Tensor>> {
    let full = Var::ones((4, DIM + 2), dtype, &Device::Cpu)?;
    let square = Var::ones((DIM, DIM), dtype, &Device::Cpu)?;
    Ok(vec![
        Var::zeros((0, DIM), dtype, &Device::Cpu)?
            .as_tensor()
            .clone(),
        full.narrow(1, 0, DIM)?.narrow(0, 4, 0)?,
        full.narrow(1, 2, DIM)?.narrow(0, 2, 0)?,
        // It begins beyond the end of its storage.
        full.narrow(1, 2, DIM)?.narrow(0, 4, 0)?,
        square.t()?.narrow(0, DIM, 0)?,
    ])
}

fn batches(rows: &Tensor) -> dml::Result<Vec<Batch>> {
    let none = || Vec::<i64>::new();
    let some = Tensor::ones((3, DIM), rows.dtype(), &Device::Cpu)?;
    let three: Vec<i64> = vec![0, 1, CLASSES as i64 - 1];
    Ok(vec![
        Batch::new(rows, none())?,
        Batch::new(rows, none())?.with_reference(rows, none())?,
        Batch::new(rows, none())?.with_reference(&some, three.clone())?,
        Batch::new(&some, three)?.with_reference(rows, none())?,
        Batch::unlabeled(rows)?,
        Batch::unlabeled(rows)?.with_unlabeled_reference(rows)?,
        Batch::unlabeled(rows)?.with_relation(Relation::matrix(&[], 0, 0)?)?,
    ])
}

/// In both forms: a typed error will do, a panic will not.
fn in_both_forms(mut run: impl FnMut()) {
    run();
    without_kernels(run);
}

#[test]
fn every_loss_takes_a_batch_without_rows_or_refuses_it() -> dml::Result<()> {
    for &name in LossKind::NAMES {
        for dtype in [DType::F32, DType::F64] {
            for rows in views(dtype)? {
                for batch in batches(&rows)? {
                    in_both_forms(|| {
                        let Ok(value) = objective(name, dtype).forward(&batch) else {
                            return;
                        };
                        let number = value.to_dtype(DType::F64).unwrap();
                        let number = number.to_scalar::<f64>().unwrap();
                        assert!(number.is_finite(), "{name}: {number}");
                        value
                            .backward()
                            .unwrap_or_else(|error| panic!("{name}: {error}"));
                    });
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_miner_and_regularizer_takes_a_batch_without_rows_or_refuses_it() -> dml::Result<()> {
    for rows in views(DType::F32)? {
        for batch in batches(&rows)? {
            for &name in MinerKind::NAMES {
                let config = json!({"name": name}).to_string();
                let Ok(config) = dml::config::MinerConfig::from_json(&config) else {
                    continue;
                };
                let miner = config
                    .build()
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                in_both_forms(|| {
                    if let Ok(tuples) = miner.mine(&batch)
                        && let Ok(triplets) = tuples.triplets(&batch)
                    {
                        assert!(triplets.anchors.is_empty(), "{name}");
                    }
                });
            }
        }
        for &name in RegularizerKind::NAMES {
            let config = json!({"name": name}).to_string();
            let Ok(config) = dml::config::RegularizerConfig::from_json(&config) else {
                continue;
            };
            let regularizer = config
                .build()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            in_both_forms(|| {
                if let Ok(value) = regularizer.penalty(&rows) {
                    let number = value.to_scalar::<f32>().unwrap();
                    assert!(number.is_finite(), "{name}: {number}");
                    value
                        .backward()
                        .unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            });
        }
    }
    Ok(())
}
