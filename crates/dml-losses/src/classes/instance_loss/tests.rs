//! Values by hand, and what the loss refuses.

use dml_core::{Relation, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};
use dml_core::Error;

fn loss(gamma: f64) -> Result<InstanceLoss> {
    InstanceLoss::new(InstanceLossConfig { gamma }, CosineSimilarity::default())
}

#[test]
fn a_label_stands_for_the_column_of_its_rank() -> Result<()> {
    let x = circle([0.0, 90.0, 180.0])?;
    let batch = Batch::new(&x, [7i64, -3, 7])?;
    // Label 7 has rank 1, label −3 rank 0. Row 0 scores (2, 0, −2), row 1 (0, 2, 0), row 2 (−2, 0, 2).
    let (values, gradient) = values_and_gradient(&loss(2.0)?, &batch, &Tuples::all(), &x)?;
    let sum = 2f64.exp() + 1.0 + (-2f64).exp();
    let middle = (2f64.exp() + 2.0).ln();
    assert_near(&values, &[sum.ln(), middle, sum.ln()]);
    // Turning row 0 towards row 1 raises s(0,1) and s(1,0) at gradient 1: both are targets.
    let slope = 2.0 * (1.0 / sum - 1.0) + 2.0 * (1.0 / (2f64.exp() + 2.0) - 1.0);
    assert_near(&[gradient[0][1]], &[slope]);
    Ok(())
}

#[test]
fn what_it_refuses() -> Result<()> {
    let x = circle([0.0, 90.0])?;
    let batch = Batch::new(&x, [0i64, 1])?;
    let triplets = Triplets::new(vec![0], vec![1], vec![1])?;
    let relation = Relation::matrix(&[1.0; 4], 2, 2)?;
    for (batch, tuples) in [
        (batch.clone(), triplets.into()),
        (batch.with_reference(&x, [0i64, 1])?, Tuples::all()),
        (
            Batch::unlabeled(&x)?.with_relation(relation)?,
            Tuples::all(),
        ),
    ] {
        let error = loss(64.0)?.terms(&batch, &tuples).unwrap_err();
        assert!(error.to_string().starts_with("InstanceLoss: "), "{error}");
    }
    assert!(loss(f64::INFINITY).is_err());
    assert!(matches!(
        InstanceLoss::new(Default::default(), LpDistance::default()),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
