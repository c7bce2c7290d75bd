//! By hand.

use dml_core::{ClassLoss, Error, Loss, Pairs};
use dml_distances::LpDistance;

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss(softmax_scale: f64) -> Result<ProxyNCALoss> {
    let config = ProxyNCALossConfig {
        softmax_scale,
        ..ProxyNCALossConfig::new(2, 1)
    };
    let loss = ProxyNCALoss::new(config, LpDistance::unnormalized(), vars())?;
    set(&loss, &[[0.], [3.]])?;
    Ok(loss)
}

#[test]
fn nearer_proxies_are_picked_more_often() -> Result<()> {
    let x = rows(&[[1.]])?;
    let [values, gradient, proxies] = value_and_gradients(&loss(2.0)?, "loss", &x, &[1])?;
    // Distances 1 and 2: the own proxy is picked with e⁻⁴ / (e⁻² + e⁻⁴).
    assert_near(&values, &[2f64.exp().ln_1p()]);
    let p = 1.0 / (1.0 + (-2f64).exp());
    assert_near(&gradient, &[-4.0 * p]);
    assert_near(&proxies, &[2.0 * p, 2.0 * p]);
    assert_near(&loss(2.0)?.logits(&x)?.to_vec2::<f64>()?[0], &[1.0, 2.0]);
    Ok(())
}

#[test]
fn a_row_however_far_has_a_finite_loss() -> Result<()> {
    let [values, gradient, _] = value_and_gradients(&loss(1e4)?, "loss", &rows(&[[1.]])?, &[1])?;
    assert_near(&values, &[1e4]);
    assert_near(&gradient, &[-2e4]);
    Ok(())
}

#[test]
fn a_label_without_a_proxy_is_an_error() -> Result<()> {
    let x = rows(&[[1.], [2.]])?;
    let outside = loss(1.0)?.terms(&Batch::new(&x, [0i64, 99])?, &Tuples::all());
    assert!(matches!(
        outside,
        Err(Error::Index {
            arg: "labels",
            position: 1,
            limit: 2,
            got: 99
        })
    ));
    Ok(())
}

#[test]
fn only_anchors_weigh() -> Result<()> {
    let x = rows(&[[1.], [1.], [1.]])?;
    let batch = Batch::new(&x, [1i64, 1, 1])?;
    let pairs = Pairs::new(vec![0, 0, 1], vec![1, 2, 2], vec![], vec![])?;
    let terms = loss(2.0)?.terms(&batch, &pairs.into())?;
    let values = terms.get("loss").unwrap().values()?.0.to_vec1::<f64>()?;
    let one = 2f64.exp().ln_1p();
    assert_near(&values, &[one, 0.5 * one, 0.0]);
    Ok(())
}
