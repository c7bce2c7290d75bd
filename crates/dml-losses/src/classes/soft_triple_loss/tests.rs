//! By hand.

use dml_core::ClassLoss;
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};
use dml_core::Error;

fn config() -> SoftTripleLossConfig {
    SoftTripleLossConfig {
        centers_per_class: 2,
        la: 3.0,
        gamma: 0.5,
        margin: 0.1,
        ..SoftTripleLossConfig::new(2, 2)
    }
}

#[test]
fn a_class_is_as_near_as_the_softmax_mean_of_its_centres() -> Result<()> {
    let loss = SoftTripleLoss::new(config(), CosineSimilarity::default(), vars())?;
    // Centres of class 0 lie along and across the row, both of class 1 across it.
    set(&loss, &[[1., 0., 0., 0.], [0., 1., 1., -1.]])?;
    let x = rows(&[[2., 0.]])?;
    // The cosine 1 has the share e² / (e² + 1) of class 0.
    let near = 1.0 / (1.0 + (-2f64).exp());
    assert_near(&loss.logits(&x)?.to_vec2::<f64>()?[0], &[near, 0.0]);
    let [values, _, _] = value_and_gradients(&loss, "loss", &x, &[0])?;
    assert_near(&values, &[(-3.0 * (near - 0.1)).exp().ln_1p()]);
    let [values, _, _] = value_and_gradients(&loss, "loss", &x, &[1])?;
    assert_near(&values, &[(3.0 * (near + 0.1)).exp().ln_1p()]);
    Ok(())
}

#[test]
fn distances_and_a_temperature_of_zero_are_refused() {
    let refused = SoftTripleLoss::new(config(), LpDistance::default(), vars());
    assert!(matches!(
        refused,
        Err(Error::Unsupported {
            component: "SoftTripleLoss",
            ..
        })
    ));
    let frozen = SoftTripleLossConfig {
        gamma: 0.0,
        ..config()
    };
    let refused = SoftTripleLoss::new(frozen, CosineSimilarity::default(), vars());
    assert!(matches!(
        refused,
        Err(Error::InvalidParameter { name: "gamma", .. })
    ));
}
