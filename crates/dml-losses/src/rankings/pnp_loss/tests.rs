//! Values by hand for every variant, and what the loss refuses.

use dml_core::autograd::without_kernels;
use dml_core::{Error, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};

fn loss(config: PNPLossConfig) -> Result<PNPLoss> {
    PNPLoss::new(config, CosineSimilarity::default())
}

#[test]
fn every_variant_by_hand() -> Result<()> {
    // Row 0 has itself at 1 and its positive at 0, the negative at 1: ½ and ¾ of it are before these. Row 1 has
    // itself at 1 and its positive at 0, the negative at 0: ¼ and ½.
    let x = circle([0.0, 90.0, 0.0])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let before = [0.5, 0.75, 0.25, 0.5f64];
    let cost: [(PNPVariant, &dyn Fn(f64) -> f64); 5] = [
        (PNPVariant::O, &|r| r),
        (PNPVariant::Ds, &|r| (1.0 + r).ln()),
        (PNPVariant::Dq, &|r| 1.0 - 1.0 / (1.0 + r).powi(3)),
        (PNPVariant::Iu, &|r| (1.0 + r) * (1.0 + r).ln()),
        (PNPVariant::Ib, &|r| (0.5 * r - (1.0 + 0.5 * r).ln()) / 0.25),
    ];
    for (variant, cost) in cost {
        let loss = loss(PNPLossConfig {
            b: 0.5,
            alpha: 3.0,
            anneal: 1.0 / 3f64.ln(),
            variant,
        })?;
        let (values, gradient) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
        let want = before.iter().map(|r| cost(*r)).sum::<f64>() / 4.0;
        assert_near(&values, &[want]);
        // Turning row 2 towards row 1 brings it nearer to it and not yet farther from row 0: the gradients of ¼ and ½
        // before row 1's own, σ(1 − σ) / anneal.
        let slope = |r: f64| (cost(r + 1e-6) - cost(r - 1e-6)) / 2e-6 * r * (1.0 - r) * 3f64.ln();
        let want = (slope(0.25) + slope(0.5)) / 4.0;
        assert!((gradient[2][1] - want).abs() < 1e-8, "{gradient:?} {want}");
    }
    Ok(())
}

/// As b goes to 0, `Ib` goes to r² / 2, and its derivative must not be lost in the difference of two large numbers.
#[test]
fn a_small_b_keeps_its_gradient() -> Result<()> {
    let x = circle([0.0, 90.0, 0.0])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let gradient_at = |b: f64| -> Result<f64> {
        let config = PNPLossConfig {
            b,
            anneal: 1.0 / 3f64.ln(),
            variant: PNPVariant::Ib,
            ..PNPLossConfig::default()
        };
        let (_, gradient) = values_and_gradient(&loss(config)?, &batch, &Tuples::all(), &x)?;
        Ok(gradient[2][1])
    };
    let turned = |r: f64| r * r * (1.0 - r) * 3f64.ln();
    let want = (turned(0.25) + turned(0.5)) / 4.0;
    for b in [1e-12, 1e-16, 1e-30] {
        let got = gradient_at(b)?;
        assert!((got - want).abs() < 1e-9, "{b:e}: {got} {want}");
        let got = without_kernels(|| gradient_at(b))?;
        assert!((got - want).abs() < 1e-9, "composite, {b:e}: {got} {want}");
    }
    Ok(())
}

#[test]
fn nothing_to_do_and_errors() -> Result<()> {
    let x = circle([0.0, 90.0])?;
    let lonely = Batch::new(&x, [0i64, 1])?;
    let default = loss(PNPLossConfig::default())?;
    let terms = default.terms(&lonely, &Tuples::all())?;
    assert!(terms.get("loss").unwrap().is_empty());
    let triplets = Triplets::new(vec![0], vec![1], vec![1])?;
    for (batch, tuples) in [
        (lonely.clone(), triplets.into()),
        (lonely.with_reference(&x, [0i64, 1])?, Tuples::all()),
        (Batch::unlabeled(&x)?, Tuples::all()),
    ] {
        let error = default.terms(&batch, &tuples).unwrap_err();
        assert!(error.to_string().starts_with("PNPLoss: "), "{error}");
    }
    for (b, alpha, anneal, name) in [
        (0.0, 1.0, 0.01, "b"),
        (2.0, f64::NAN, 0.01, "alpha"),
        (2.0, 1.0, 0.0, "anneal"),
    ] {
        let config = PNPLossConfig {
            b,
            alpha,
            anneal,
            ..Default::default()
        };
        let error = loss(config).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    assert!(matches!(
        PNPLoss::new(Default::default(), LpDistance::default()),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
