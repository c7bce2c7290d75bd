//! Values by hand, who belongs to a group, and what the loss refuses.

use dml_core::Triplets;
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};
use dml_core::Error;

fn loss(temperature: f64) -> Result<SmoothAPLoss> {
    SmoothAPLoss::new(
        SmoothAPLossConfig { temperature },
        CosineSimilarity::default(),
    )
}

#[test]
fn groups_are_given_by_the_labels_wherever_the_rows_stand() -> Result<()> {
    // From row 0: itself and a negative at 1, the positive and a negative at 0. Steps of 1 up or down count ¾ and ¼.
    // Itself: rank 1 + ¼ in the group, + ½ + ¼ among all. The positive: 1 + ¾, + ¾ + ½. Every other row sees the same.
    let precision = (1.25 / 2.0 + 1.75 / 3.0) / 2.0;
    for (degrees, labels) in [
        ([0.0, 90.0, 0.0, 90.0], [8i64, 8, -5, -5]),
        ([0.0, 0.0, 90.0, 90.0], [8, -5, 8, -5]),
    ] {
        let x = circle(degrees)?;
        let batch = Batch::new(&x, labels)?;
        let loss = loss(1.0 / 3f64.ln())?;
        let (values, _) = values_and_gradient(&loss, &batch, &Tuples::all(), &x)?;
        assert_near(&values, &[1.0 - precision; 4]);
        let triplets = Triplets::new(vec![0, 0], vec![1, 1], vec![2, 3])?;
        let (values, _) = values_and_gradient(&loss, &batch, &triplets.into(), &x)?;
        let lost = 1.0 - precision;
        assert_near(&values, &[lost, lost, lost / 2.0, lost / 2.0]);
    }
    Ok(())
}

#[test]
fn what_it_refuses() -> Result<()> {
    let x = circle([0.0, 90.0, 0.0])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let even = Batch::new(&x, [0i64; 3])?;
    for (batch, cause) in [
        (batch, "same number of rows"),
        (even.with_reference(&x, [0i64; 3])?, "reference set"),
        (Batch::unlabeled(&x)?, "labels"),
    ] {
        let error = loss(0.01)?.terms(&batch, &Tuples::all()).unwrap_err();
        assert!(error.to_string().contains(cause), "{error}");
    }
    assert!(loss(0.0).is_err());
    assert!(matches!(
        SmoothAPLoss::new(Default::default(), LpDistance::default()),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
