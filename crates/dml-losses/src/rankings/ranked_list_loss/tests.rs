//! Values and gradients by hand, extreme temperatures, and what the loss refuses.

use dml_core::Triplets;
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, rows, values_and_gradient};
use dml_core::Error;

/// Positives within 0.8, negatives out of 1.2.
fn config() -> RankedListLossConfig {
    RankedListLossConfig::new(0.4, 0.0)
}

fn loss(config: RankedListLossConfig) -> Result<RankedListLoss> {
    RankedListLoss::new(config, LpDistance::unnormalized())
}

#[test]
fn by_hand() -> Result<()> {
    let x = rows(&[[0.0], [1.0], [1.5]])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let config = RankedListLossConfig {
        imbalance: 0.25,
        ..config()
    };
    let (values, gradient) = values_and_gradient(&loss(config)?, &batch, &Tuples::all(), &x)?;
    // The positive pair is 0.2 too far for both of its rows; of the negative pairs one is 0.7 too near.
    let total = 1.0 + 3e-5;
    let (positive, negative) = (0.75 * 0.2 / total, 0.25 * 0.7 / total);
    assert_near(&values, &[positive, positive + negative, negative]);
    let (pull, push) = (2.0 * 0.75 / total, 2.0 * 0.25 / total);
    for (got, want) in gradient.iter().zip([-pull, pull + push, -push]) {
        assert_near(got, &[want]);
    }
    Ok(())
}

#[test]
fn nearer_negatives_weigh_more_and_the_weights_have_gradients() -> Result<()> {
    let x = rows(&[[0.0], [0.2], [0.7]])?;
    let batch = Batch::new(&x, [0i64, 1, 2])?;
    let config = RankedListLossConfig {
        Tn: 3.0,
        imbalance: 1.0,
        ..config()
    };
    let (values, gradient) =
        values_and_gradient(&loss(config.clone())?, &batch, &Tuples::all(), &x)?;
    let mean = |a: f64, b: f64| {
        let weights = [(3.0 * a).exp(), (3.0 * b).exp()];
        (weights[0] * a + weights[1] * b) / (weights[0] + weights[1] + 3e-5)
    };
    let total =
        |x2: f64| mean(1.0, 1.2 - x2) + mean(1.0, 1.2 - (x2 - 0.2)) + mean(1.2 - x2, 1.4 - x2);
    assert_near(&[values.iter().sum()], &[total(0.7)]);
    let slope = (total(0.7 + 1e-6) - total(0.7 - 1e-6)) / 2e-6;
    assert!(
        (gradient[2][0] - slope).abs() < 1e-7,
        "{gradient:?} {slope}"
    );
    Ok(())
}

#[test]
fn no_temperature_overflows() -> Result<()> {
    let x = rows(&[[0.0], [9_000.0], [1e-3]])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let config = RankedListLossConfig {
        Tp: 100.0,
        Tn: 1e4,
        ..config()
    };
    let (values, gradient) = values_and_gradient(&loss(config)?, &batch, &Tuples::all(), &x)?;
    assert_near(
        &values,
        &[(8_999.2 + 1.199) / 2.0, 8_999.2 / 2.0, 1.199 / 2.0],
    );
    assert!(gradient.iter().flatten().all(|g| g.is_finite()));
    Ok(())
}

#[test]
fn what_it_refuses() -> Result<()> {
    let x = rows(&[[0.0], [1.0]])?;
    let batch = Batch::new(&x, [0i64, 1])?;
    let triplets = Triplets::new(vec![0], vec![1], vec![1])?;
    for (batch, tuples) in [
        (batch.clone(), triplets.into()),
        (batch.with_reference(&x, [0i64, 1])?, Tuples::all()),
        (Batch::unlabeled(&x)?, Tuples::all()),
    ] {
        let error = loss(config())?.terms(&batch, &tuples).unwrap_err();
        assert!(error.to_string().starts_with("RankedListLoss: "), "{error}");
    }
    for imbalance in [-0.1, 1.5, f64::NAN] {
        assert!(matches!(
            loss(RankedListLossConfig {
                imbalance,
                ..config()
            }),
            Err(Error::InvalidParameter {
                name: "imbalance",
                ..
            })
        ));
    }
    assert!(loss(RankedListLossConfig::new(f64::NAN, 0.0)).is_err());
    assert!(loss(RankedListLossConfig::new(0.4, f64::INFINITY)).is_err());
    assert!(matches!(
        RankedListLoss::new(config(), CosineSimilarity::default()),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
