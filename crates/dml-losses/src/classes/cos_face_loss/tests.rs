//! By hand.

use dml_core::{ClassLoss, Error, Result};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

#[test]
fn the_margin_is_taken_from_the_own_cosine() -> Result<()> {
    let config = CosFaceLossConfig {
        margin: 0.2,
        scale: 5.0,
        ..CosFaceLossConfig::new(2, 2)
    };
    let loss = CosFaceLoss::new(config, CosineSimilarity::default(), vars())?;
    set(&loss, &[[3., 0.], [0., 2.]])?;
    // Cosines 0.8 and 0.6: less the margin they are alike.
    let x = rows(&[[4., 3.]])?;
    let [values, gradient, _] = value_and_gradients(&loss, "loss", &x, &[0])?;
    assert_near(&values, &[2f64.ln()]);
    // 2.5 (−1, 1) by the cosines; a row of length 5 turns by a fifth of what is across: (−0.6, 0.8) · 3.5.
    assert_near(&gradient, &[-0.42, 0.56]);
    assert_near(&loss.logits(&x)?.to_vec2::<f64>()?[0], &[4.0, 3.0]);
    let refused = CosFaceLoss::new(CosFaceLossConfig::new(2, 2), LpDistance::default(), vars());
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    Ok(())
}
