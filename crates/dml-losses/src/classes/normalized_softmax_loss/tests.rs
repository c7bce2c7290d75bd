//! By hand.

use dml_core::{Batch, ClassLoss, Error, Loss, Tuples};
use dml_distances::{DotProductSimilarity, DotProductSimilarityConfig, LpDistance};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss(distance: impl Distance + 'static, temperature: f64) -> Result<NormalizedSoftmaxLoss> {
    let config = NormalizedSoftmaxLossConfig {
        temperature,
        ..NormalizedSoftmaxLossConfig::new(2, 2)
    };
    let loss = NormalizedSoftmaxLoss::new(config, distance, vars())?;
    set(&loss, &[[2., 0.], [0., 3.]])?;
    Ok(loss)
}

#[test]
fn weights_have_length_one_whatever_the_distance_does() -> Result<()> {
    let x = rows(&[[4., 3.]])?;
    let raw = DotProductSimilarityConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    let raw = loss(DotProductSimilarity::new(raw)?, 0.5)?;
    let [values, gradient, _] = value_and_gradients(&raw, "loss", &x, &[0])?;
    assert_near(&raw.logits(&x)?.to_vec2::<f64>()?[0], &[8.0, 6.0]);
    assert_near(&values, &[(-2f64).exp().ln_1p()]);
    let p = 1.0 / (1.0 + 2f64.exp());
    assert_near(&gradient, &[-2.0 * p, 2.0 * p]);
    let unit = loss(DotProductSimilarity::default(), 0.1)?;
    assert_near(&unit.logits(&x)?.to_vec2::<f64>()?[0], &[8.0, 6.0]);
    let far = loss(LpDistance::unnormalized(), 2.0)?;
    let (to_first, to_second) = (18f64.sqrt(), 20f64.sqrt());
    assert_near(
        &far.logits(&x)?.to_vec2::<f64>()?[0],
        &[-to_first / 2.0, -to_second / 2.0],
    );
    Ok(())
}

#[test]
fn labels_are_classes_and_the_temperature_is_above_zero() -> Result<()> {
    let distance = || DotProductSimilarity::default();
    let x = rows(&[[1., 0.]])?;
    // PyTorch's cross entropy would leave this label out.
    let outside = loss(distance(), 1.0)?.terms(&Batch::new(&x, [-100i64])?, &Tuples::all());
    assert!(matches!(
        outside,
        Err(Error::Index {
            arg: "labels",
            got: -100,
            ..
        })
    ));
    assert!(matches!(
        loss(distance(), 0.0),
        Err(Error::InvalidParameter {
            name: "temperature",
            ..
        })
    ));
    Ok(())
}
