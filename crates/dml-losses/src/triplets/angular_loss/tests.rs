//! Values and gradients by hand, and the fused form against the composite one.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use dml_core::Pairs;
use dml_core::autograd::without_kernels;
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use dml_core::Error;

fn loss(alpha: f64) -> Result<AngularLoss> {
    AngularLoss::new(AngularLossConfig { alpha }, Arc::new(LpDistance::default()))
}

#[test]
fn by_hand() -> Result<()> {
    let rows = Var::new(&[[2f64, 0.], [0., 3.], [1., 2.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let terms = loss(45.0)?.terms(&batch, &Tuples::all())?;
    let (values, indices) = terms.get("loss").unwrap().values()?;
    let pairs = Indices::Pairs {
        anchors: vec![0, 1],
        others: vec![1, 0],
    };
    assert_eq!(indices, pairs);
    // T = 1: 4 ([1, 0] + [0, 1]) · [1, 2] = 12; the positives are at right angles.
    for value in values.to_vec1::<f64>()? {
        assert!((value - 12f64.exp().ln_1p()).abs() < 1e-9, "{value}");
    }
    Ok(())
}

#[test]
fn tuples_choose_the_pairs_and_labels_the_negatives() -> Result<()> {
    let rows = Var::new(
        &[[1f64, 0.], [0., 1.], [0.5, 0.], [0., -0.25]],
        &Device::Cpu,
    )?;
    let batch = Batch::new(&rows, [0i64, 0, 1, 2])?;
    // The negative pair only has to be there; row 1 is given as a positive of row 3, whose negatives are all others.
    let pairs = Pairs::new(vec![3], vec![1], vec![0], vec![1])?;
    let terms = loss(45.0)?.terms(&batch, &pairs.into())?;
    let value = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?[0];
    // â + p̂ = 0, so every exponent is −2 · 2 · −1.
    assert!((value - (1.0 + 3.0 * 4f64.exp()).ln()).abs() < 1e-12);
    Ok(())
}

#[test]
fn fused_and_composite_form_agree() -> Result<()> {
    let values: Vec<f64> = (0..36).map(|i| (i as f64 * 1.7).sin()).collect();
    let rows = Var::from_tensor(&Tensor::from_vec(values.clone(), (12, 3), &Device::Cpu)?)?;
    let values: Vec<f64> = values.iter().map(|x| 2.0 * x * x - 0.5).collect();
    let other = Var::from_tensor(&Tensor::from_vec(values, (12, 3), &Device::Cpu)?)?;
    let labels = [0i64, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 3];
    let among = Batch::new(&rows, labels)?;
    let across = Batch::new(&rows, labels)?.with_reference(&other, [0i64; 12])?;
    let lists = [
        Tuples::all(),
        Pairs::new(vec![0, 5, 0], vec![1, 5, 1], vec![0], vec![2])?.into(),
    ];
    let weigh = |x: &Tensor| -> Result<Tensor> {
        let weights = (0..x.elem_count()).map(|i| (i as f64).cos());
        let weights = Tensor::from_iter(weights, x.device())?;
        Ok((x * weights)?.sum_all()?)
    };
    for batch in [among, across] {
        for tuples in &lists {
            let outcome = || -> Result<Vec<f64>> {
                let terms = loss(40.0)?.terms(&batch, tuples)?;
                let sum = weigh(&terms.get("loss").unwrap().values()?.0)?;
                let store = sum.backward()?;
                let mut numbers = vec![sum.to_scalar::<f64>()?];
                for var in [&rows, &other] {
                    if let Some(gradient) = store.get(var.as_tensor()) {
                        numbers.extend(gradient.flatten_all()?.to_vec1::<f64>()?);
                    }
                }
                Ok(numbers)
            };
            let (fused, composite) = (outcome()?, without_kernels(outcome)?);
            assert_eq!(fused.len(), composite.len());
            for (got, want) in fused.iter().zip(&composite) {
                assert!(
                    (got - want).abs() < 1e-9 * (1.0 + want.abs()),
                    "{got} {want}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn exponents_far_apart_keep_their_sum() -> Result<()> {
    // The negative that counts is 4,000 below the largest exponent that the rows might have had together.
    let rows = Var::new(&[[1f32, 0.], [0., 1.], [-1e3, 0.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let value = || -> Result<Vec<f32>> {
        let terms = loss(45.0)?.terms(&batch, &Tuples::all())?;
        Ok(terms.get("loss").unwrap().values()?.0.to_vec1()?)
    };
    assert_eq!(value()?, [0.0, 0.0]);
    assert_eq!(without_kernels(value)?, [0.0, 0.0]);
    let rows = Var::new(&[[1f32, 0.], [0., 1.], [-1e3, 1e3]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let terms = loss(45.0)?.terms(&batch, &Tuples::all())?;
    // 4 (−1000 + 1000) for both: ln 2.
    for value in terms.get("loss").unwrap().values()?.0.to_vec1::<f32>()? {
        approx::assert_relative_eq!(value, 2f32.ln(), max_relative = 1e-5);
    }
    Ok(())
}

#[test]
fn an_anchor_without_negatives_is_zero() -> Result<()> {
    let rows = Var::new(&[[1f64, 0.], [0., 1.]], &Device::Cpu)?;
    let reference = Tensor::new(&[[1f64, 1.], [2., 1.]], &Device::Cpu)?;
    // Everything is positive for query 0.
    let batch = Batch::new(&rows, [0i64, 1])?.with_reference(&reference, [0i64, 0])?;
    let value = || -> Result<Vec<f64>> {
        let terms = loss(40.0)?.terms(&batch, &Tuples::all())?;
        Ok(terms.get("loss").unwrap().values()?.0.to_vec1()?)
    };
    assert_eq!(value()?, [0.0, 0.0]);
    assert_eq!(without_kernels(value)?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn what_it_cannot_do_is_said() -> Result<()> {
    let rows = Var::new(&[[0f64, 1.], [1., 0.]], &Device::Cpu)?;
    for labels in [[0i64, 0], [0, 1]] {
        let terms = loss(40.0)?.terms(&Batch::new(&rows, labels)?, &Tuples::all())?;
        assert!(terms.get("loss").unwrap().is_empty());
    }
    let pairs = Pairs::new(vec![0], vec![1], vec![0], vec![1])?;
    assert!(matches!(
        loss(40.0)?.terms(&Batch::unlabeled(&rows)?, &pairs.into()),
        Err(Error::Missing {
            component: "AngularLoss",
            ..
        })
    ));
    let config = AngularLossConfig::default();
    for distance in [
        Arc::new(CosineSimilarity::default()) as Arc<dyn Distance>,
        Arc::new(LpDistance::unnormalized()),
    ] {
        assert!(matches!(
            AngularLoss::new(config.clone(), distance),
            Err(Error::Unsupported { .. })
        ));
    }
    assert!(matches!(
        loss(f64::INFINITY),
        Err(Error::InvalidParameter { name: "alpha", .. })
    ));
    Ok(())
}
