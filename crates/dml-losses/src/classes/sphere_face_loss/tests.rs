//! By hand.

use dml_core::{ClassLoss, Error};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

#[test]
fn the_own_angle_counts_twice_and_lengths_of_weights_do_not() -> Result<()> {
    let config = SphereFaceLossConfig {
        margin: 2.0,
        ..SphereFaceLossConfig::new(2, 2)
    };
    let loss = SphereFaceLoss::new(config, CosineSimilarity::default(), vars())?;
    set(&loss, &[[2., 0.], [0., 3.]])?;
    let x = rows(&[[4., 3.]])?;
    // 5 cos 2θ = 5 · 0.28 against 3.
    let [values, gradient, _] = value_and_gradients(&loss, "loss", &x, &[0])?;
    assert_near(&values, &[(3f64 - 1.4).exp().ln_1p()]);
    assert_near(&loss.logits(&x)?.to_vec2::<f64>()?[0], &[4.0, 3.0]);
    // z₀ = (2 x² − |x|²) / |x|: ∂z₀ = (2 · 0.8 − 0.28 · 0.8, −2 · 0.6 − 0.28 · 0.6), and z₁ = y.
    let p = 1.0 / (1.0 + (1.4f64 - 3.0).exp());
    assert_near(&gradient, &[-p * 1.376, p * 1.368 + p]);
    let config = SphereFaceLossConfig::new(2, 2);
    let refused = SphereFaceLoss::new(config, LpDistance::default(), vars());
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    Ok(())
}
