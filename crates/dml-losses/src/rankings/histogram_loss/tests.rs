//! Values by hand, and what the loss refuses.

use dml_core::{Pairs, Triplets};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::outcome::{assert_near, circle, values_and_gradient};
use dml_core::Error;

fn loss(n_bins: Option<usize>, delta: Option<f64>) -> Result<HistogramLoss> {
    let config = HistogramLossConfig { n_bins, delta };
    HistogramLoss::new(config, CosineSimilarity::default())
}

/// The overlap of the rows at 0° and 60° (one class) and 90° with nodes at −1, 0 and 1: the positive pair has ½ at 0
/// and ½ at 1; the negative pairs have cosines 0 and c = cos 30°, together 1 − c/2 at 0 and c/2 at 1.
fn overlap() -> f64 {
    0.5 + 30f64.to_radians().cos() / 4.0
}

#[test]
fn by_hand_over_every_form_of_tuples() -> Result<()> {
    let x = circle([0.0, 60.0, 90.0])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    // The same pairs again and the other way round count once; an anchor without negatives does not count.
    let triplets = Triplets::new(vec![0, 0, 1], vec![1, 1, 0], vec![2, 2, 2])?;
    let pairs = Pairs::new(vec![0, 1, 2], vec![1, 0, 1], vec![0, 1], vec![2, 2])?;
    for tuples in [
        Tuples::all(),
        triplets.into(),
        pairs.into(),
        Tuples::from(Tuples::all().mask(&batch)?),
    ] {
        for loss in [loss(Some(2), None)?, loss(None, Some(1.0))?] {
            let (values, gradient) = values_and_gradient(&loss, &batch, &tuples, &x)?;
            assert_near(&values, &[overlap()]);
            // ∂ (½ + cos(θ₂ − θ₁)/4 − cos(θ₁ − θ₀)/4 …) turned by a small angle of row 2: −sin 30° / 4 and, for the
            // pair at the very node 0, the gradient towards the next one: −½ · ½ · sin 90°.
            let tangent = -gradient[2][0];
            assert_near(&[tangent], &[-0.125 - 0.25]);
        }
    }
    Ok(())
}

#[test]
fn rows_that_point_the_same_way_belong_to_the_last_node() -> Result<()> {
    let x = circle([0.0, 0.0, 0.0])?;
    let batch = Batch::new(&x, [0i64, 0, 1])?;
    let (values, gradient) = values_and_gradient(&loss(None, None)?, &batch, &Tuples::all(), &x)?;
    assert_near(&values, &[1.0]);
    assert!(gradient.iter().flatten().all(|g| g.is_finite()));
    Ok(())
}

#[test]
fn nothing_to_do_and_errors() -> Result<()> {
    let x = circle([0.0, 60.0])?;
    for labels in [[0i64, 0], [0, 1]] {
        let terms = loss(None, None)?.terms(&Batch::new(&x, labels)?, &Tuples::all())?;
        assert!(terms.get("loss").unwrap().is_empty());
    }
    let with_reference = Batch::new(&x, [0i64, 0])?.with_reference(&x, [0i64, 0])?;
    assert!(matches!(
        loss(None, None)?.terms(&with_reference, &Tuples::all()),
        Err(Error::Unsupported { .. })
    ));
    assert!(matches!(
        loss(None, None)?.terms(&Batch::unlabeled(&x)?, &Tuples::all()),
        Err(Error::Missing { .. })
    ));
    assert!(loss(Some(20), Some(0.1)).is_ok());
    for (n_bins, delta, name) in [
        (Some(20), Some(0.3), "delta"),
        (None, Some(0.0), "delta"),
        (None, Some(2.5), "delta"),
        (Some(0), None, "n_bins"),
    ] {
        let error = loss(n_bins, delta).unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
    assert!(matches!(
        HistogramLoss::new(Default::default(), LpDistance::default()),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}
