//! Values and gradients by hand.

use dml_core::{Error, Triplets};
use dml_distances::{LpDistance, LpDistanceConfig};

use super::*;
use crate::machinery::outcome::{assert_near, rows, values_and_gradient};

/// Squared distances of rows as they come.
fn loss(softmax_scale: f64) -> Result<NCALoss> {
    let distance = LpDistance::new(LpDistanceConfig {
        normalize_embeddings: false,
        power: 2.0,
        ..Default::default()
    })?;
    NCALoss::new(NCALossConfig { softmax_scale }, Arc::new(distance))
}

#[test]
fn by_hand() -> Result<()> {
    // From row 0 the squared distances are 1 (its own class) and ln 3 + 1; row 2 is alone in its class.
    let far = (3f64.ln() + 1.0).sqrt();
    let x = rows(&[[0.0], [1.0], [-far]])?;
    let batch = Batch::new(&x, [7i64, 7, 2])?;
    let (values, gradient) = values_and_gradient(&loss(1.0)?, &batch, &Tuples::all(), &x)?;
    let other = (-(1.0 + far).powi(2)).exp();
    let q1 = (-1f64).exp() / ((-1f64).exp() + other);
    assert_near(&values, &[(4f64 / 3.0).ln(), -q1.ln()]);
    // Row 0 picks row 2 one time in four, row 1 does with 1 − q₁: ∂/∂x₂ of −s is 2 (x₂ − x_i), times that share.
    assert_near(
        &gradient[2],
        &[2.0 * far * 0.25 + 2.0 * (1.0 + far) * (1.0 - q1)],
    );
    Ok(())
}

#[test]
fn tuples_only_weigh_rows() -> Result<()> {
    let x = rows(&[[0.0], [1.0], [0.5]])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let (all, _) = values_and_gradient(&loss(1.0)?, &batch, &Tuples::all(), &x)?;
    let triplets = Triplets::new(vec![0, 0], vec![1, 2], vec![2, 2])?;
    let (weighted, _) = values_and_gradient(&loss(1.0)?, &batch, &triplets.into(), &x)?;
    assert_near(&weighted, &[all[0] * 2.0 / 3.0, all[1] / 3.0]);
    Ok(())
}

#[test]
fn rows_beyond_the_range_of_exponentials_keep_their_value() -> Result<()> {
    let x = rows(&[[0.0], [100.0], [1.0]])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let (values, gradient) = values_and_gradient(&loss(1.0)?, &batch, &Tuples::all(), &x)?;
    // 100² − 1² from row 0, 100² − 99² from row 1.
    assert_near(&values, &[9_999.0, 199.0]);
    assert!(gradient.iter().flatten().all(|g| g.is_finite()));
    Ok(())
}

#[test]
fn nothing_to_do_and_errors() -> Result<()> {
    let x = rows(&[[0.0], [1.0]])?;
    let lonely = Batch::new(&x, [0i64, 1])?;
    assert!(
        loss(1.0)?
            .terms(&lonely, &Tuples::all())?
            .get("loss")
            .unwrap()
            .is_empty()
    );
    let unlabeled = Batch::unlabeled(&x)?;
    assert!(matches!(
        loss(1.0)?.terms(&unlabeled, &Tuples::all()),
        Err(Error::Missing {
            component: "NCALoss",
            ..
        })
    ));
    assert!(matches!(
        loss(f64::NAN),
        Err(Error::InvalidParameter {
            name: "softmax_scale",
            ..
        })
    ));
    Ok(())
}
