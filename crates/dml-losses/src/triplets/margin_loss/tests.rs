//! Values and gradients by hand, over every form of tuples, with every kind of boundary.

use candle_core::{DType, Device, Tensor};
use dml_core::{Error, Pairs, Triplets};
use dml_distances::LpDistance;

use super::*;
use crate::SeededVars;
use crate::machinery::outcome::{assert_near, rows};

fn loss(config: MarginLossConfig) -> Result<MarginLoss> {
    let vars = SeededVars::new(0).builder(DType::F64, &Device::Cpu);
    MarginLoss::new(config, LpDistance::unnormalized(), vars)
}

/// Positives within 0.5, negatives beyond 1.5.
fn config() -> MarginLossConfig {
    MarginLossConfig {
        margin: 0.5,
        beta: 1.0,
        ..Default::default()
    }
}

fn number(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.to_scalar()?)
}

#[test]
fn by_hand_over_every_form_of_tuples() -> Result<()> {
    // Anchor 0: positive at 0.75, negatives at 1.25 and 4; anchor 1: positive at 0.75, negatives at 0.5 and 3.25.
    let x = rows(&[[0.0], [0.75], [1.25], [4.0]])?;
    let batch = Batch::new(&x, [0i64, 0, 1, 2])?;
    let pairs = Pairs::new(vec![0, 1], vec![1, 0], vec![0, 0, 1, 1], vec![2, 3, 2, 3])?;
    let listed = Triplets::new(vec![0, 0, 1, 1], vec![1, 1, 0, 0], vec![2, 3, 2, 3])?;
    for tuples in [Tuples::all(), pairs.into(), listed.into()] {
        let loss = loss(MarginLossConfig {
            learn_beta: true,
            nu: 0.1,
            ..config()
        })?;
        let terms = loss.terms(&batch, &tuples)?;
        let term = terms.get("margin_loss").unwrap();
        // Each of the four triplets has 0.25 from its positive; the near negatives have 0.25 and 1.
        assert_eq!((term.count(), term.divisor()), (4, Some(6.0)));
        let all = term.sum_within(None, None)?;
        assert_near(&[number(&all.sum)?], &[4.0 * 0.25 + 0.25 + 1.0]);
        let some = term.sum_within(Some(0.25), Some(1.0))?;
        assert_eq!(some.count, 1);
        assert_near(&[number(&some.sum)?], &[0.5]);
        assert_near(&term.values()?.0.to_vec1()?, &[0.5, 0.25, 1.25, 0.25]);
        // d(0,1) is pulled at by four triplets, d(0,2) and d(1,2) are pushed by one each; β falls with each first
        // hinge and rises with each second one.
        let gradients = all.sum.backward()?;
        let gradient = gradients.get(x.as_tensor()).unwrap().flatten_all()?;
        assert_near(&gradient.to_vec1()?, &[-4.0 + 1.0, 4.0 + 1.0, -2.0, 0.0]);
        let beta = loss.parameters().pop().unwrap().1;
        let gradient = gradients.get(beta.as_tensor()).unwrap();
        assert_near(&gradient.to_vec1()?, &[-4.0 + 2.0]);
        let regularizer = terms.get("beta_reg_loss").unwrap();
        assert_eq!(regularizer.over(), Over::Scalar);
        assert_near(&regularizer.values()?.0.to_vec1()?, &[0.1]);
    }
    Ok(())
}

#[test]
fn a_boundary_for_each_class_is_that_of_the_anchor() -> Result<()> {
    let x = rows(&[[0.0], [0.75], [1.25], [4.0], [4.75]])?;
    let batch = Batch::new(&x, [0i64, 0, 9, 2, 2])?;
    let loss = loss(MarginLossConfig {
        learn_beta: true,
        nu: 0.5,
        num_classes: Some(3),
        ..config()
    })?;
    let (name, beta) = loss.parameters().pop().unwrap();
    assert_eq!((name.as_str(), beta.dims()), ("beta", &[3][..]));
    beta.set(&Tensor::new(&[1.0, 100.0, 0.25], &Device::Cpu)?)?;
    // Row 2 is no anchor: that its label has no boundary does not matter. Class 0 as above, with three negatives for
    // each anchor: 6 · 0.25 + 0.25 + 1. Class 2: 0.75 − 0.25 + 0.5 from each positive, six times, no near negative.
    let terms = loss.terms(&batch, &Tuples::all())?;
    let term = terms.get("margin_loss").unwrap();
    assert_eq!((term.count(), term.divisor()), (12, Some(14.0)));
    let part = term.sum_within(None, None)?;
    assert_near(&[number(&part.sum)?], &[1.5 + 1.25 + 6.0]);
    let gradients = part.sum.backward()?;
    let gradients = gradients.get(beta.as_tensor()).unwrap();
    assert_near(&gradients.to_vec1()?, &[-4.0, 0.0, -6.0]);
    let prices = terms.get("beta_reg_loss").unwrap();
    assert_eq!((prices.count(), prices.divisor()), (12, Some(14.0)));
    let sum = prices.sum_within(None, None)?;
    assert_near(&[number(&sum.sum)?], &[6.0 * 0.5 + 6.0 * 0.125]);
    let some = prices.sum_within(Some(0.2), None)?;
    assert_eq!(some.count, 6);
    assert_near(&[number(&some.sum)?], &[3.0]);
    let (values, indices) = prices.values()?;
    assert_eq!((values.dims(), indices.anchors()[11]), (&[12][..], 4));
    let by_anchor = prices.sums_by_anchor(6)?;
    assert_near(
        &by_anchor.sums.to_vec1()?,
        &[1.5, 1.5, 0.0, 0.375, 0.375, 0.0],
    );
    assert_eq!(by_anchor.counts, [3, 3, 0, 3, 3, 0]);
    Ok(())
}

#[test]
fn a_given_boundary_is_not_learned_and_costs_nothing() -> Result<()> {
    let x = rows(&[[0.0], [0.75], [1.25]])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let loss = loss(MarginLossConfig {
        nu: 0.5,
        num_classes: Some(2),
        ..config()
    })?;
    assert!(loss.parameters().is_empty());
    let terms = loss.terms(&batch, &Tuples::all())?;
    assert!(terms.get("beta_reg_loss").unwrap().is_empty());
    let part = terms.get("margin_loss").unwrap().sum_within(None, None)?;
    assert_near(&[number(&part.sum)?], &[0.5 + 1.25]);
    Ok(())
}

#[test]
fn nothing_to_do_and_errors() -> Result<()> {
    let x = rows(&[[0.0], [0.75], [1.25]])?;
    for batch in [Batch::new(&x, [0i64, 0, 0])?, Batch::new(&x, [0i64, 1, 2])?] {
        let terms = loss(config())?.terms(&batch, &Tuples::all())?;
        assert!(terms.iter().count() == 2 && terms.iter().all(Term::is_empty));
    }
    let per_class = |num_classes| {
        loss(MarginLossConfig {
            num_classes: Some(num_classes),
            ..config()
        })
    };
    let batch = Batch::new(&x, [5i64, 5, 1])?;
    assert!(matches!(
        per_class(4)?.terms(&batch, &Tuples::all()),
        Err(Error::Index {
            arg: "labels",
            position: 0,
            limit: 4,
            got: 5
        })
    ));
    let unlabeled = Batch::unlabeled(&x)?;
    let triplet = Triplets::new(vec![0], vec![1], vec![2])?;
    assert!(matches!(
        per_class(4)?.terms(&unlabeled, &triplet.into()),
        Err(Error::Missing {
            component: "MarginLoss",
            ..
        })
    ));
    assert!(loss(config())?.terms(&unlabeled, &Tuples::all()).is_err());
    assert!(per_class(0).is_err());
    for broken in [
        MarginLossConfig {
            margin: f64::NAN,
            ..config()
        },
        MarginLossConfig {
            nu: f64::INFINITY,
            ..config()
        },
        MarginLossConfig {
            beta: f64::NAN,
            ..config()
        },
        MarginLossConfig {
            triplets_per_anchor: TripletsPerAnchor::Random(0),
            ..config()
        },
    ] {
        assert!(matches!(loss(broken), Err(Error::InvalidParameter { .. })));
    }
    Ok(())
}
