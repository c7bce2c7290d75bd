//! By hand: anchors 0 and 2 of a batch of four.

use super::*;
use crate::tests::{Values, gradient_and_loss};
use crate::{AvgNonZeroReducer, ClassWeightedReducer, ClassWeightedReducerConfig, MeanReducer};
use dml_core::Error;
use dml_core::candle_core::{Device, Var};

fn per_anchor(aggregation_func: Aggregation, inner: impl Reducer + 'static) -> PerAnchorReducer {
    PerAnchorReducer::new(PerAnchorReducerConfig { aggregation_func }, inner)
}

fn pairs(values: &[f64; 3], lazy: bool) -> Values {
    Values::new(values, Over::PositivePairs, lazy).unwrap()
}

#[test]
fn rows_count_alike_however_many_pairs_they_have() -> Result<()> {
    // Row 0 has 1, row 2 the mean of 2 and 6, rows 1 and 3 nothing.
    for lazy in [false, true] {
        let values = pairs(&[1.0, 2.0, 6.0], lazy);
        let reducer = per_anchor(Aggregation::Mean, MeanReducer);
        let (gradient, reduced) = gradient_and_loss(&reducer, &values)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, 5.0 / 4.0);
        assert_eq!((reduced.kept, reduced.total), (4, 4));
        assert_eq!(gradient, [0.25, 0.125, 0.125]);

        let reducer = per_anchor(Aggregation::Sum, AvgNonZeroReducer::default());
        let (gradient, reduced) = gradient_and_loss(&reducer, &values)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, 9.0 / 2.0);
        assert_eq!((reduced.kept, reduced.total), (2, 4));
        assert_eq!(gradient, [0.5; 3]);
    }
    Ok(())
}

#[test]
fn the_inner_reducer_sees_the_labels_of_the_rows() -> Result<()> {
    let weights = vec![2.0, 10.0];
    let inner = ClassWeightedReducer::new(ClassWeightedReducerConfig { weights })?;
    let reducer = per_anchor(Aggregation::Mean, inner);
    let reduced = gradient_and_loss(&reducer, &pairs(&[1.0, 2.0, 6.0], false))?.1;
    assert_eq!(reduced.loss.to_scalar::<f64>()?, (2.0 + 40.0) / 4.0);
    Ok(())
}

#[test]
fn a_repeated_pair_counts_once_with_its_last_value() -> Result<()> {
    let embeddings = Var::new(&[[0f64], [1.], [2.]], &Device::Cpu)?;
    let batch = Batch::new(&embeddings, [0i64, 0, 0])?;
    let values = Var::new(&[9f64, 2., 4., 6.], &Device::Cpu)?;
    let indices = Indices::Pairs {
        anchors: vec![0, 0, 0, 2],
        others: vec![1, 2, 1, 1],
    };
    let term = Term::explicit(
        "loss",
        Over::NegativePairs,
        values.as_tensor().clone(),
        indices,
    )?;
    let reduced = per_anchor(Aggregation::Mean, MeanReducer).reduce(&term.into(), &batch)?;
    assert_eq!(reduced.loss.to_scalar::<f64>()?, (3.0 + 6.0) / 3.0);
    let store = reduced.loss.backward()?;
    let gradient = store.get(values.as_tensor()).unwrap().to_vec1::<f64>()?;
    for (got, expected) in gradient.iter().zip([0.0, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 3.0]) {
        assert!((got - expected).abs() < 1e-15, "{gradient:?}");
    }
    Ok(())
}

#[test]
fn references_may_outnumber_the_batch() -> Result<()> {
    let embeddings = Var::new(&[[0f64], [1.]], &Device::Cpu)?;
    let reference = Tensor::new(&[[0f64], [1.], [2.], [3.], [4.]], &Device::Cpu)?;
    let batch =
        Batch::new(&embeddings, [0i64, 1])?.with_reference(&reference, [0i64, 0, 1, 1, 0])?;
    let values = Tensor::new(&[1f64, 3., 5.], &Device::Cpu)?;
    let indices = Indices::Pairs {
        anchors: vec![0, 0, 1],
        others: vec![4, 1, 3],
    };
    let term = Term::explicit("loss", Over::PositivePairs, values, indices)?;
    let reduced = per_anchor(Aggregation::Mean, MeanReducer).reduce(&term.into(), &batch)?;
    assert_eq!(reduced.loss.to_scalar::<f64>()?, 3.5);
    Ok(())
}

#[test]
fn elements_go_to_the_inner_reducer() -> Result<()> {
    for lazy in [false, true] {
        let values = Values::new(&[1.0, 2.0, 6.0], Over::Elements, lazy)?;
        let reducer = per_anchor(Aggregation::Mean, MeanReducer);
        let (gradient, reduced) = gradient_and_loss(&reducer, &values)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, 3.0);
        assert_eq!(gradient, [1.0 / 3.0; 3]);
    }
    Ok(())
}

#[test]
fn triplets_are_refused_unless_allowed() -> Result<()> {
    for lazy in [false, true] {
        let values = Values::new(&[1.0, 2.0, 6.0], Over::Triplets, lazy)?;
        let reducer = per_anchor(Aggregation::Mean, MeanReducer);
        assert!(matches!(
            reducer.reduce(&values.terms, &values.batch),
            Err(Error::Unsupported {
                component: "PerAnchorReducer",
                ..
            })
        ));
        let (gradient, reduced) = gradient_and_loss(&reducer.with_triplets(), &values)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, 5.0 / 4.0);
        assert_eq!(gradient, [0.25, 0.125, 0.125]);
    }
    Ok(())
}

#[test]
fn rows_outside_of_the_batch_are_refused() -> Result<()> {
    let batch = Batch::unlabeled(&Tensor::new(&[[0f64], [1.]], &Device::Cpu)?)?;
    let values = pairs(&[1.0, 2.0, 6.0], false);
    assert!(matches!(
        per_anchor(Aggregation::Mean, MeanReducer).reduce(&values.terms, &batch),
        Err(Error::Index {
            limit: 2,
            got: 2,
            ..
        })
    ));
    Ok(())
}
