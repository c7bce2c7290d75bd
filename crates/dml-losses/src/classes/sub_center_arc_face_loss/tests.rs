//! By hand.

use dml_core::{ClassLoss, Error};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss() -> Result<SubCenterArcFaceLoss> {
    let config = SubCenterArcFaceLossConfig {
        margin: 0.0,
        scale: 1.0,
        sub_centers: 2,
        ..SubCenterArcFaceLossConfig::new(2, 2)
    };
    let loss = SubCenterArcFaceLoss::new(config, CosineSimilarity::default(), vars())?;
    // Class 0 to the right and upwards, class 1 to the left and downwards.
    set(&loss, &[[1., 0., -1., 0.], [0., 1., 0., -1.]])?;
    Ok(loss)
}

#[test]
fn the_nearest_centre_of_a_class_counts() -> Result<()> {
    let x = rows(&[[0.6, 0.8]])?;
    assert_near(&loss()?.logits(&x)?.to_vec2::<f64>()?[0], &[0.8, -0.6]);
    let [values, _, weight] = value_and_gradients(&loss()?, "loss", &x, &[0])?;
    assert_near(&values, &[(-1.4f64).exp().ln_1p()]);
    // Only the centres that were nearest move: upwards by its first part, to the left by its second.
    let p = 1.0 / (1.0 + 1.4f64.exp());
    assert_near(&weight, &[0., -p * 0.6, 0., 0., 0., 0., p * 0.8, 0.]);
    Ok(())
}

#[test]
fn outliers_lie_far_from_the_main_centre() -> Result<()> {
    // Three rows of class 0 point upwards, one to the right; class 1 has one row.
    let x = rows(&[[0., 1.], [1., 0.], [0.1, 1.], [0.5, 0.866], [0., -1.]])?;
    let outliers = loss()?.outliers(&Batch::new(&x, [0i64, 0, 0, 0, 1])?, 45.0)?;
    assert_eq!(outliers.rows, [1]);
    let centers = outliers.dominant_centers.to_vec2::<f64>()?;
    assert_eq!(centers, [[0., 0.], [1., -1.]]);
    let strict = loss()?.outliers(&Batch::new(&x, [0i64, 0, 0, 0, 1])?, 20.0)?;
    assert_eq!(strict.rows, [1, 3]);
    let infinite = loss()?.outliers(&Batch::new(&x, [0i64; 5])?, f64::INFINITY);
    assert!(matches!(
        infinite,
        Err(Error::InvalidParameter {
            name: "threshold",
            ..
        })
    ));
    Ok(())
}

#[test]
fn angles_of_outliers_end_at_the_straight_angle() -> Result<()> {
    let x = rows(&[[0., 1.], [0., 1.], [0., -1.]])?;
    let batch = Batch::new(&x, [0i64; 3])?;
    let rows_beyond = |threshold| Ok::<_, Error>(loss()?.outliers(&batch, threshold)?.rows);
    assert_eq!(rows_beyond(179.0)?, [2]);
    // No angle is wider than 180°, and every one is wider than one below 0.
    for threshold in [180.0, 200.0, 360.0] {
        assert!(rows_beyond(threshold)?.is_empty(), "{threshold}");
    }
    assert_eq!(rows_beyond(-1.0)?, [0, 1, 2]);
    Ok(())
}

#[test]
fn a_class_has_a_centre_and_angles_need_cosines() {
    let config = SubCenterArcFaceLossConfig {
        sub_centers: 0,
        ..SubCenterArcFaceLossConfig::new(2, 2)
    };
    let refused = SubCenterArcFaceLoss::new(config, CosineSimilarity::default(), vars());
    assert!(matches!(
        refused,
        Err(Error::InvalidParameter {
            name: "sub_centers",
            ..
        })
    ));
    let config = SubCenterArcFaceLossConfig::new(2, 2);
    let refused = SubCenterArcFaceLoss::new(config, LpDistance::default(), vars());
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
}
