//! By hand.

use dml_core::autograd::without_kernels;
use dml_core::{Error, Loss};
use dml_distances::{LpDistance, SNRDistance, SNRDistanceConfig};

use super::*;
use crate::machinery::by_hand::{set, value_and_gradients, vars};
use crate::machinery::outcome::{assert_near, rows};

fn loss(distance: impl Distance + 'static) -> Result<ProxyAnchorLoss> {
    let config = ProxyAnchorLossConfig {
        margin: 0.5,
        alpha: 2.0,
        ..ProxyAnchorLossConfig::new(3, 1)
    };
    let loss = ProxyAnchorLoss::new(config, distance, vars())?;
    set(&loss, &[[0.], [3.], [10.]])?;
    Ok(loss)
}

#[test]
fn proxies_draw_their_own_rows_and_push_others() -> Result<()> {
    let loss = loss(LpDistance::unnormalized())?;
    let x = rows(&[[1.], [2.]])?;
    let [near, gradient, _] = value_and_gradients(&loss, "pos_loss", &x, &[0, 0])?;
    // Distances 1 and 2 to proxy 0, less the margin, times 2.
    let (one, two) = (1f64.exp(), 3f64.exp());
    let sum = 1.0 + one + two;
    assert_near(&near, &[sum.ln(), 0.0, 0.0]);
    assert_near(&gradient, &[2.0 * one / sum, 2.0 * two / sum]);
    let [far, _, _] = value_and_gradients(&loss, "neg_loss", &x, &[0, 0])?;
    // Distances 2 and 1 to proxy 1, 9 and 8 to proxy 2.
    let of = |a: f64, b: f64| ((-2.0 * a - 1.0).exp() + (-2.0 * b - 1.0).exp()).ln_1p();
    assert_near(&far, &[0.0, of(2.0, 1.0), of(9.0, 8.0)]);
    let terms = loss.terms(&Batch::new(&x, [0i64, 0])?, &Tuples::all())?;
    let divisor = |name| terms.get(name).unwrap().divisor();
    assert_eq!(
        (divisor("pos_loss"), divisor("neg_loss")),
        (Some(1.0), Some(3.0))
    );
    Ok(())
}

#[test]
fn the_kernel_agrees_with_the_composite_form_whatever_the_distance() -> Result<()> {
    let raw = SNRDistanceConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    let distances: [Arc<dyn Distance>; 2] = [
        Arc::new(LpDistance::unnormalized()),
        Arc::new(SNRDistance::new(raw)?),
    ];
    for distance in distances {
        let config = ProxyAnchorLossConfig::new(3, 2);
        let loss = ProxyAnchorLoss::new(config, distance, vars())?;
        set(&loss, &[[0.3, 1.], [2., -1.], [0.5, 0.]])?;
        let x = rows(&[[0.1, 0.4], [0.7, -0.2], [-0.6, 1.0]])?;
        for term in ["pos_loss", "neg_loss"] {
            let numbers = || value_and_gradients(&loss, term, &x, &[2, 0, 0]);
            let (fused, composite) = (numbers()?, without_kernels(numbers)?);
            for (a, b) in fused.iter().zip(&composite) {
                assert_near(a, b);
            }
        }
    }
    Ok(())
}

#[test]
fn no_rows_are_empty_terms_and_alpha_is_finite() -> Result<()> {
    let distance = || LpDistance::default();
    let none = Tensor::zeros((0, 1), candle_core::DType::F64, &candle_core::Device::Cpu)?;
    let terms = loss(distance())?.terms(&Batch::new(&none, Vec::<i64>::new())?, &Tuples::all())?;
    assert!(terms.iter().all(Term::is_empty) && terms.iter().count() == 2);
    let config = ProxyAnchorLossConfig {
        alpha: f64::NAN,
        ..ProxyAnchorLossConfig::new(1, 1)
    };
    let refused = ProxyAnchorLoss::new(config, distance(), vars());
    assert!(matches!(
        refused,
        Err(Error::InvalidParameter { name: "alpha", .. })
    ));
    Ok(())
}
