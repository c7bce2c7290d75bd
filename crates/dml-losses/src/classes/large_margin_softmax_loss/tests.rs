//! By hand.

use dml_core::{ClassLoss, Error};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss(margin: f64) -> Result<LargeMarginSoftmaxLoss> {
    let config = LargeMarginSoftmaxLossConfig {
        margin,
        ..LargeMarginSoftmaxLossConfig::new(2, 2)
    };
    let loss = LargeMarginSoftmaxLoss::new(config, CosineSimilarity::default(), vars())?;
    set(&loss, &[[2., 0.], [0., 3.]])?;
    Ok(loss)
}

#[test]
fn the_own_angle_counts_twice() -> Result<()> {
    let x = rows(&[[0.8, 0.6]])?;
    let loss = loss(2.7)?;
    // cos 2θ = 2 · 0.64 − 1 = 0.28, times the weight's length 2; the other logit is 0.6 · 3.
    let [values, gradient, weight] = value_and_gradients(&loss, "loss", &x, &[0])?;
    assert_near(&values, &[(1.8f64 - 0.56).exp().ln_1p()]);
    assert_near(&loss.logits(&x)?.to_vec2::<f64>()?[0], &[1.6, 1.8]);
    // With p the share of the other class: −p ∂z₀ + p ∂z₁, where z₀ = 2 (2 x² − |x|²) / |x| and z₁ = 3 y.
    let p = 1.0 / (1.0 + (0.56f64 - 1.8).exp());
    let own = [
        2.0 * (2.0 * 0.8 - 0.28 * 0.8),
        2.0 * (-2.0 * 0.6 - 0.28 * 0.6),
    ];
    assert_near(&gradient, &[-p * own[0], -p * own[1] + 3.0 * p]);
    // z₀ = |w| cos 2θ of a weight (2, 0): along it 0.28, across it the angle turns by half: 2 sin 2θ.
    assert_near(&weight, &[-p * 0.28, p * 0.8, -p * 1.92, p * 0.6]);
    Ok(())
}

#[test]
fn rows_without_length_are_finite_and_errors_are_typed() -> Result<()> {
    for x in [[0.0, 0.0], [-1e-6, 0.0], [-1e4, 0.0]] {
        let numbers = value_and_gradients(&loss(4.0)?, "loss", &rows(&[x])?, &[0])?;
        assert!(
            numbers.iter().flatten().all(|x| x.is_finite()),
            "{numbers:?}"
        );
    }
    assert!(matches!(
        loss(0.5),
        Err(Error::InvalidParameter { name: "margin", .. })
    ));
    let config = LargeMarginSoftmaxLossConfig::new(2, 2);
    let refused = LargeMarginSoftmaxLoss::new(config, LpDistance::default(), vars());
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    Ok(())
}
